"""Thirty connections deliver at the same time; every message is there once."""
from lib import *
import threading

with Instance(users=5) as instance:
    failures = []

    def deliver(k):
        try:
            with instance.lmtp() as client:
                for n in range(20):
                    data = message(k * 1000 + n)
                    equal(client.send("s@example.net", ["user%d@example.org" % (k % 5)], data)[0][0], 250)
        except Exception as e:
            failures.append(e)

    threads = [threading.Thread(target=deliver, args=(k,)) for k in range(30)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal(failures, [])
    subjects = []
    for u in range(5):
        imap = instance.imap("user%d@example.org" % u, select="INBOX")
        subjects += [f["ENVELOPE"][1] for f in imap.fetch("1:*", "(ENVELOPE)").values()]
    wanted = [b"message %d" % (k * 1000 + n) for k in range(30) for n in range(20)]
    equal(sorted(subjects), sorted(wanted), "subjects")

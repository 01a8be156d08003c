"""kill -9 of imap's processes while clients append: what was answered OK is there."""
# timeout: 200
from loading import *

with Instance() as instance:
    acknowledged, stopped = [set() for _ in range(3)], threading.Event()

    def append(k):
        n = 0
        while not stopped.is_set():
            with contextlib.suppress(OSError, AssertionError):
                imap = instance.imap("user%d@example.org" % k)
                while not stopped.is_set():
                    imap.append("INBOX", message(n))
                    acknowledged[k].add(n)
                    n += 1
            n += 1  # whether this one was stored is not known

    threads = [threading.Thread(target=append, args=(k,)) for k in range(3)]
    for t in threads:
        t.start()
    try:
        for n in range(4):
            wait_for(lambda: sum(map(len, acknowledged)) > 50 * n, "appends go on")
            assert instance.kill("imap"), "no imap process"
    finally:
        stopped.set()
        for t in threads:
            t.join()
    for k in range(3):
        imap = wait_for(lambda: instance.imap("user%d@example.org" % k, select="INBOX"), "login")
        found = [int(re.search(rb"Subject: message (\d+)", d).group(1)) for d in imap.bodies().values()]
        equal(sorted(acknowledged[k] - set(found)), [], "acknowledged appends that are lost")
        equal(len(found), len(set(found)), "appends that are there twice")

"""The whole runs as an ordinary user, too: delivery, IMAP, TLS, ctl, and an orderly end."""
# needs: root
from lib import *
import make_corpus

with Instance(as_user="nobody") as instance:
    for pid in [instance.master_pid()] + descendants(instance.master_pid()):
        assert os.stat("/proc/%d" % pid).st_uid != 0
    made = make_corpus.corpus(seed=3, count=60, big=False)
    for name, data in made:
        instance.deliver(data)
    imap = instance.imap(select="INBOX")
    got = imap.bodies()
    for uid, (name, data) in zip(sorted(got), made):
        if without_added_fields(got[uid]).rstrip(b"\r\n") != data.rstrip(b"\r\n"):
            raise AssertionError(name)
    assert "user0@example.org" in instance.ctl("who")
    secure = Imap("127.0.0.1", instance.imaps_port, instance.tls_context())
    secure.ok("LOGIN user0@example.org pass")

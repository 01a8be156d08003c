"""dev/instance refuses what is not built, and a second start in the same folder."""
from lib import *

with Instance() as instance:
    done = instance.run(instance.script, "start", instance.dir + "2", "--store", "mysql-s3")
    assert done.returncode != 0 and b"mysql-s3" in done.stdout, done.stdout
    done = instance.run(instance.script, "start", instance.dir)
    assert done.returncode != 0, done.stdout
    for name in ("ca.pem", "token", "master.pid", "etc/lightmail.conf", "log"):
        assert os.path.exists(os.path.join(instance.dir, name)), name
with Instance(isolation="shared", settings=["imap.process_min=1", "imap.process_limit=2"]) as instance:
    sessions = [instance.imap("user%d@example.org" % (n % 3)) for n in range(12)]
    assert len(instance.pids("imap")) <= 3, instance.pids("imap")
    for n, imap in enumerate(sessions):
        imap.append("INBOX", message(n))
    equal(instance.imap().exists(), 4)

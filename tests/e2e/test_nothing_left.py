"""After a stop no process and no socket of the instance is left."""
from lib import *

with Instance() as instance:
    session = instance.imap(select="INBOX")
    instance.deliver(message(1))
    pids = [instance.master_pid()] + descendants(instance.master_pid())
    assert len(pids) > 6, pids
    instance.stop()
    equal([p for p in pids if executable(p)], [], "processes left")
    for port in (instance.imap_port, instance.imaps_port, instance.lmtp_port, instance.http_port):
        with socket.socket() as s:
            equal(s.connect_ex(("127.0.0.1", port)) != 0, True, "port %d" % port)
    for folder, _, files in os.walk("/dev/shm"):
        equal([f for f in files if "lightmail" in f], [], "shared memory left")
    instance.start()

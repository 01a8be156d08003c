"""SIGTERM: no new connections, a delivery under way is finished, then everything ends."""
from lib import *

with Instance() as instance:
    client = instance.lmtp()
    equal(client.envelope("s@example.net", ["user0@example.org"])[0][0], 250)
    equal(client.cmd("DATA")[0], 354)
    client.write(stuffed(message(1))[:-5])
    pids = [instance.master_pid()] + descendants(instance.master_pid())
    os.kill(instance.master_pid(), signal.SIGTERM)

    def refused():
        try:
            with socket.create_connection(("127.0.0.1", instance.imap_port), timeout=1) as s:
                s.settimeout(0.5)
                return s.recv(10) == b""
        except OSError:
            return True

    wait_for(refused, "new connections are refused")
    client.write(stuffed(message(1))[-5:])
    equal(client.reply()[0], 250, "the delivery under way")
    wait_for(lambda: not any(os.path.exists("/proc/%d/exe" % p) and executable(p) for p in pids),
             "all processes end", seconds=60)
    instance.stop()
    instance.start()
    equal(instance.imap().exists(), 1, "the message")

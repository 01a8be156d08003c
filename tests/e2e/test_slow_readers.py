"""Who asks and asks and never reads the answers is disconnected when the time is over, by login and by lmtp."""
from lib import *

with Instance(settings=["login.login_timeout=2s", "login.process_min=1", "login.process_limit=1",
                        "lmtp.idle_timeout=2s", "lmtp.process_min=1", "lmtp.process_limit=1"]) as instance:
    def connections(service):
        return sum(len(os.listdir("/proc/%d/fd" % pid)) for pid in instance.pids(service))

    def flood(port, first, command):
        """Sends until the server takes no more."""
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", port))
        s.setblocking(False)
        block, stuck = first + command * 4000, time.monotonic()
        while time.monotonic() - stuck < 0.5:
            try:
                block = block[s.send(block):] or command * 4000
                stuck = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
            except ConnectionError:
                break
        return s

    for service, port, first, command in (
            ("login", instance.imap_port, b"", b"a CAPABILITY\r\n"),
            ("lmtp", instance.lmtp_port, b"LHLO client.example.net\r\n", b"HELP\r\n")):
        wait_for(lambda: instance.pids(service), service)
        before = connections(service)
        slow = [flood(port, first, command) for _ in range(2)]
        wait_for(lambda: connections(service) <= before, "%s closes connections that do not read" % service, 25)
        for s in slow:
            s.close()
    instance.deliver(message(1))
    instance.imap().ok("NOOP")

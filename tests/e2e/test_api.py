"""/metrics, /healthz and /readyz, and what else HTTP clients may try."""
from lib import *

with Instance() as instance:
    equal(instance.http("/healthz")[0], 200)
    equal(instance.http("/readyz")[0], 200)
    equal(instance.http("/nothing")[0], 404)

    def metrics():
        status, text = instance.http("/metrics")
        equal(status, 200)
        values = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                assert re.fullmatch(r'[a-zA-Z_:][\w:]*(\{[^}]*\})? -?[\d.e+-]+(?: \d+)?', line), line
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    before = metrics()
    assert before, "no metrics"
    instance.deliver(message(1))
    instance.imap().ok("NOOP")
    wait_for(lambda: sum(v for n, v in metrics().items() if "lmtp" in n and "deliver" in n) >
             sum(v for n, v in before.items() if "lmtp" in n and "deliver" in n), "deliveries are counted")
    with socket.create_connection(("127.0.0.1", instance.http_port)) as s:
        s.sendall(b"BREW / HTTP/9.9\r\n" + b"X: " + b"y" * 100000 + b"\r\n\r\n")
    equal(instance.http("/healthz")[0], 200, "after nonsense")
    # Not ready without indexer; ready again when it is back.
    instance.kill("indexer", signal.SIGSTOP)
    wait_for(lambda: instance.http("/readyz")[0] == 503, "not ready without indexer")
    equal(instance.http("/healthz")[0], 200, "healthz")
    instance.kill("indexer", signal.SIGCONT)
    wait_for(lambda: instance.http("/readyz")[0] == 200, "ready again")

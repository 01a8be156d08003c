"""Before login: long lines, large literals, silence, many failures and many connections are limited."""
from lib import *

with Instance(settings=["login.login_timeout=2s", "login.max_connections_per_address=30",
                        "login.process_min=1", "login.process_limit=1"]) as instance:
    def ends(imap, seconds=20):
        imap.socket.settimeout(seconds)
        try:
            while imap.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    long = instance.raw_imap()
    with contextlib.suppress(OSError):
        long.write(b"a " + b"x" * 200000)
    ends(long)
    literal = instance.raw_imap()
    literal.write(b"a LOGIN {1000000}\r\n")
    answer = literal.line()
    assert not answer.startswith(b"+"), answer
    literal = instance.raw_imap()
    with contextlib.suppress(OSError):
        literal.write(b"a LOGIN {1000000+}\r\n" + b"x" * 1000000 + b"\r\n")
    ends(literal)
    failing = instance.raw_imap()
    for n in range(10):
        try:
            if failing.cmd("LOGIN user0@example.org wrong").status != "NO":
                raise AssertionError("not NO")
        except OSError:
            break
    else:
        raise AssertionError("ten failed logins on one connection")
    began = time.monotonic()
    silent = instance.raw_imap()
    ends(silent)
    assert 1 <= time.monotonic() - began < 15, "login_timeout"
    many, refused = [], 0
    for _ in range(60):
        try:
            many.append(instance.raw_imap())
            refused += not many[-1].greeting.startswith(b"* OK")
        except OSError:
            refused += 1
    assert refused >= 20, "only %d of 60 connections refused" % refused
    for imap in many:
        imap.close()

    def log_in():
        with contextlib.suppress(OSError, AssertionError):
            return instance.imap()

    wait_for(log_in, "a login after all this").ok("NOOP")

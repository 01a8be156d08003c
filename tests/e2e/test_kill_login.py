"""kill -9 of login: plaintext sessions go on, new ones are taken again at once."""
from lib import *

with Instance() as instance:
    session = instance.imap(select="INBOX")
    for _ in range(3):
        assert instance.kill("login"), "no login process"
        session.ok("NOOP")

        def log_in():
            with contextlib.suppress(OSError):
                return instance.imap("user1@example.org")

        wait_for(log_in, "a new login").ok("NOOP")
    instance.deliver(message(1))
    assert session.ok("NOOP").find(r"\* 1 EXISTS")

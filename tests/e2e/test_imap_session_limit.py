"""One user's sessions are limited (to 50 unless set), others' are not touched."""
from lib import *

with Instance(settings=["indexer.max_sessions_per_user=5"]) as instance:
    sessions = [instance.imap() for _ in range(5)]
    sixth = instance.raw_imap()
    answer = sixth.cmd("LOGIN user0@example.org pass")
    equal(answer.status, "NO", "the sixth session")
    assert "LIMIT" in answer.text, answer.text
    instance.imap("user1@example.org").ok("NOOP")
    sessions.pop().ok("LOGOUT")
    wait_for(lambda: instance.raw_imap().cmd("LOGIN user0@example.org pass").status == "OK",
             "a session is free again")

"""Malformed commands are answered BAD, and the session goes on."""
from lib import *

with Instance() as instance:
    imap = instance.imap(select="INBOX")
    for line in ("NOSUCH", "FETCH", "FETCH 0 FLAGS", "FETCH 1:x FLAGS", "FETCH 1 (", "FETCH 1 BODY[",
                 "STORE 1 FLAGS", "SEARCH", "SELECT", "LIST", 'LOGIN "a', "UID", "UID NOSUCH 1",
                 "APPEND INBOX", "STATUS INBOX ()", "FETCH 4294967296 FLAGS", "FETCH 1 BODY[1.0]",
                 "SEARCH BEFORE 32-Jan-2026", "SEARCH OR SEEN", "SEARCH (((((", "CREATE",
                 "COPY 1", "FETCH 1 (FLAGS", "STORE 1 +FLAGS (\\Nosuch)"):
        answer = imap.cmd(line)
        assert answer.status in ("BAD", "NO"), (line, answer.status, answer.text)
        if imap.n % 4 == 0:
            imap.ok("NOOP")
    imap.ok("NOOP")
    with instance.imap() as deep:
        answer = deep.cmd("SELECT INBOX")
        answer = deep.cmd("SEARCH " + "(" * 3000 + "ALL" + ")" * 3000)
        assert answer.status in ("OK", "BAD", "NO"), answer.text
        deep.ok("NOOP")

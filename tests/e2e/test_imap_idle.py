"""IDLE (RFC 2177) tells of new mail, flags and expunges of others at once."""
from lib import *

with Instance() as instance:
    instance.deliver(message(1))
    idle = instance.imap(select="INBOX")
    tag = idle.send("IDLE")
    assert idle.line().startswith(b"+")
    instance.deliver(message(2))

    def until(pattern):
        lines = []
        while not lines or not re.match(pattern, lines[-1]):
            lines.append(idle.line())

    until(rb"\* 2 EXISTS")
    other = instance.imap(select="INBOX")
    other.ok("STORE 1 +FLAGS (\\Flagged)")
    until(rb"\* 1 FETCH .*\\Flagged")
    other.ok("STORE 1 +FLAGS (\\Deleted)")
    other.ok("EXPUNGE")
    until(rb"\* 1 EXPUNGE")
    idle.write(b"DONE\r\n")
    equal(idle.finish(tag).status, "OK", "end of IDLE")
    equal(len(idle.fetch("1:*", "(FLAGS)")), 1, "messages after IDLE")

"""MOVE (RFC 6851) with COPYUID, by number and by UID, and across sessions."""
from lib import *

with Instance() as instance:
    imap = instance.imap()
    imap.ok("CREATE There")
    for n in range(5):
        imap.append("INBOX", message(n), "\\Flagged" if n == 1 else "")
    imap.ok("SELECT INBOX")
    other = instance.imap(select="INBOX")
    assert "MOVE" in imap.ok("CAPABILITY").untagged[0].decode().split()
    moved = imap.ok("MOVE 2:3 There")
    assert moved.find(r"\* OK \[COPYUID \d+ 2:3 1:2\]"), moved.untagged
    assert [int(m.group(1)) for m in moved.all(r"\* (\d+) EXPUNGE")] in ([2, 2], [3, 2]), moved.untagged
    equal(imap.ok("UID SEARCH ALL").search(), [1, 4, 5], "what is left")
    moved = imap.ok("UID MOVE 5 There")
    assert moved.find(r"\* OK \[COPYUID \d+ 5 3\]"), moved.untagged
    assert "TRYCREATE" in imap.no("MOVE 1 Nowhere").text
    equal(len(other.ok("NOOP").all(r"\* \d+ EXPUNGE")), 3, "EXPUNGE seen by another session")
    imap.ok("SELECT There")
    got = imap.fetch("1:*", "(FLAGS BODY.PEEK[])")
    equal([got[n]["BODY[]"] for n in (1, 2, 3)], [message(1), message(2), message(4)], "moved messages")
    assert b"\\Flagged" in got[1]["FLAGS"]
    equal(imap.exists("INBOX"), 2, "INBOX after")

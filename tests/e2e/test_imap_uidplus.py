"""UIDPLUS (RFC 4315): APPENDUID, COPYUID, UID EXPUNGE."""
from lib import *

with Instance() as instance:
    imap = instance.imap()
    imap.ok("CREATE There")
    validity = {m: re.search(rb"UIDVALIDITY (\d+)", imap.ok('STATUS %s (UIDVALIDITY)' % m).untagged[0])
                .group(1).decode() for m in ("INBOX", "There")}
    for n in range(1, 5):
        assert "[APPENDUID %s %d]" % (validity["INBOX"], n) in imap.append("INBOX", message(n)).text
    assert "TRYCREATE" in imap.no("APPEND Nowhere {}", message(1)).text
    imap.ok("SELECT INBOX")
    assert "[COPYUID %s 1,3:4 1:3]" % validity["There"] in imap.ok("COPY 1,3:4 There").text
    imap.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
    equal(len(imap.ok("UID EXPUNGE 2:4").all(r"\* \d+ EXPUNGE")), 2, "UID EXPUNGE")
    equal(imap.ok("UID SEARCH ALL").search(), [1, 4], "only the named ones went")
    assert imap.append("INBOX", message(5)).text.startswith("[APPENDUID %s 5]" % validity["INBOX"])

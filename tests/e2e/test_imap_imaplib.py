"""Every command of RFC 3501 through Python's imaplib."""
from lib import *

with Instance() as instance:
    for n in range(3):
        instance.deliver(message(n, "Hello number %d.\r\n" % n))
    imap = imaplib.IMAP4("127.0.0.1", instance.imap_port)

    def ok(result):
        equal(result[0], "OK", result)
        return result[1]

    assert "IMAP4REV1" in imap.capabilities
    ok(imap.noop())
    try:
        imap.login("user0@example.org", "wrong")
        raise AssertionError("a wrong password logged in")
    except imaplib.IMAP4.error:
        pass
    ok(imap.authenticate("PLAIN", lambda _: b"\0user0@example.org\0pass"))
    equal(ok(imap.select("INBOX")), [b"3"], "EXISTS")
    for code in ("UIDVALIDITY", "UIDNEXT", "PERMANENTFLAGS", "FLAGS"):
        assert imap.response(code)[1][0] is not None, code
    ok(imap.check())
    ok(imap.create("Work"))
    ok(imap.create("Work/2026"))
    ok(imap.rename("Work/2026", "Work/2027"))
    assert any(b"Work/2027" in line for line in ok(imap.list()))
    ok(imap.subscribe("Work/2027"))
    assert any(b"Work/2027" in line for line in ok(imap.lsub()))
    ok(imap.unsubscribe("Work/2027"))
    equal(ok(imap.lsub('""', "Work/2027")), [None], "LSUB after UNSUBSCRIBE")
    found = ok(imap.status("INBOX", "(MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)"))[0]
    assert b"MESSAGES 3" in found and b"UNSEEN 3" in found, found
    ok(imap.append("Work", "(\\Flagged)", imaplib.Time2Internaldate(1700000000), message(9)))
    equal(ok(imap.copy("1:2", "Work")) is not None, True)
    ok(imap.store("1", "+FLAGS", "(\\Seen \\Answered)"))
    equal(ok(imap.search(None, "SEEN")), [b"1"], "SEARCH SEEN")
    equal(ok(imap.uid("SEARCH", "SUBJECT", '"message 2"')), [b"3"], "UID SEARCH SUBJECT")
    data = ok(imap.fetch("2", "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE UID)"))
    assert b'"message 1"' in (data[0] if isinstance(data[0], bytes) else data[0][0]), data
    body = ok(imap.fetch("2", "(RFC822)"))[0][1]
    assert body.endswith(b"Hello number 1.\r\n"), body
    assert b"\\Seen" in ok(imap.fetch("2", "(FLAGS)"))[0], "RFC822 sets Seen"
    for item in ("RFC822.HEADER", "RFC822.TEXT", "BODY[HEADER]", "BODY[TEXT]", "BODY.PEEK[1]",
                 "BODY[HEADER.FIELDS (SUBJECT)]", "BODY[HEADER.FIELDS.NOT (SUBJECT)]", "ALL", "FULL", "FAST"):
        ok(imap.fetch("1", item if item.isalpha() else "(%s)" % item))
    ok(imap.uid("STORE", "3", "FLAGS.SILENT", "(\\Deleted)"))
    equal(ok(imap.expunge()), [b"3"], "EXPUNGE")
    ok(imap.store("1", "+FLAGS", "\\Deleted"))
    ok(imap.close())
    equal(ok(imap.select("INBOX", readonly=True)), [b"1"], "EXISTS after CLOSE")
    equal(imap.store("1", "+FLAGS", "\\Seen")[0], "NO", "STORE in EXAMINE")
    ok(imap.unselect())
    ok(imap.delete("Work/2027"))
    ok(imap.delete("Work"))
    equal(imap.select("Work")[0], "NO", "SELECT of a deleted mailbox")
    assert imap.namespace()[0] == "OK"
    equal(imap.logout()[0], "BYE", "LOGOUT")

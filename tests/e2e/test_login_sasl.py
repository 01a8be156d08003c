"""LOGIN and AUTHENTICATE in all their forms: SASL-IR, challenges, cancel, literals, quoting, ID."""
from lib import *

with Instance() as instance:
    def b64(text):
        return base64.b64encode(text.encode()).decode()

    good = b64("\0user0@example.org\0pass")
    instance.raw_imap().ok("AUTHENTICATE PLAIN " + good)

    def exchange(mechanism, *answers):
        imap = instance.raw_imap()
        tag = imap.send("AUTHENTICATE " + mechanism)
        for answer in answers:
            line = imap.line()
            assert line.startswith(b"+"), line
            imap.write(answer.encode() + b"\r\n")
        return imap.finish(tag)

    equal(exchange("PLAIN", good).status, "OK", "PLAIN in two steps")
    equal(exchange("LOGIN", b64("user0@example.org"), b64("pass")).status, "OK", "LOGIN mechanism")
    equal(exchange("PLAIN", "*").status, "BAD", "cancelled")
    equal(exchange("PLAIN", "!!!").status in ("BAD", "NO"), True, "not base64")
    equal(exchange("PLAIN", b64("\0user0@example.org\0wrong")).status, "NO", "wrong password")
    equal(exchange("PLAIN", b64("user1@example.org\0user0@example.org\0pass")).status, "NO", "authzid of another")
    imap = instance.raw_imap()
    assert imap.cmd("AUTHENTICATE NOSUCH").status in ("NO", "BAD")
    assert imap.ok('ID ("name" "test" "version" NIL)').find(r'\* ID \(')
    imap.ok("ID NIL")
    assert imap.cmd("SELECT INBOX").status in ("BAD", "NO")
    imap.no("LOGIN user0@example.org wrong")
    imap.no("LOGIN nobody@example.org pass")
    imap.ok('LOGIN "user0@example.org" "pass"')
    imap = instance.raw_imap()
    imap.ok("LOGIN {} {}", b"user0@example.org", b"pass")
    imap = instance.raw_imap()
    imap.write(b"x LOGIN user0@example.org pass\r\ny SELECT INBOX\r\nz NOOP\r\n")
    equal([imap.finish(t).status for t in (b"x", b"y", b"z")], ["OK"] * 3, "commands behind LOGIN")
    imap.ok("LOGOUT")

"""FETCH of parts, partial ranges and headers cut from a nested message."""
from lib import *

inner = (b"Subject: inner\r\nFrom: i@example.net\r\nMIME-Version: 1.0\r\n"
         b"Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\n\r\ninner text\r\n--in\r\n"
         b"Content-Type: application/octet-stream\r\n\r\n\x80\x81\r\n--in--\r\n")
outer = (b"Subject: outer\r\nFrom: o@example.net\r\nTo: \"A, B\" <ab@example.org>, c@example.org\r\n"
         b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
         b"Content-Type: multipart/mixed; boundary=\"out\"\r\n\r\npreamble\r\n--out\r\n"
         b"Content-Type: text/plain; charset=us-ascii\r\n\r\nfirst part\r\nline two\r\n--out\r\n"
         b"Content-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--out--\r\nepilogue\r\n")

with Instance() as instance:
    imap = instance.imap()
    imap.append("INBOX", outer)
    imap.ok("SELECT INBOX")

    def part(section, wanted, name=None):
        got = imap.fetch("1", "BODY.PEEK[%s]" % section)[1]
        equal(got["BODY[%s]" % (name or section.split("<")[0])] if "<" not in section else
              list(got.values())[0], wanted, section)

    part("", outer)
    part("HEADER", outer[:outer.index(b"\r\n\r\n") + 4])
    part("TEXT", outer[outer.index(b"\r\n\r\n") + 4:])
    part("1", b"first part\r\nline two")
    part("1.MIME", b"Content-Type: text/plain; charset=us-ascii\r\n\r\n")
    part("2", inner)
    part("2.HEADER", inner[:inner.index(b"\r\n\r\n") + 4])
    part("2.TEXT", inner[inner.index(b"\r\n\r\n") + 4:])
    part("2.1", b"inner text")
    part("2.2", b"\x80\x81")
    part("HEADER.FIELDS (SUBJECT)", b"Subject: outer\r\n\r\n")
    got = imap.fetch("1", "BODY.PEEK[]<3:0>" if False else "BODY.PEEK[TEXT]<4.6>")[1]
    equal(list(got.items())[0], ("BODY[TEXT]<4>", outer[outer.index(b"\r\n\r\n") + 8:][:6]), "partial")
    got = imap.fetch("1", "BODY.PEEK[]<%d.100>" % (len(outer) + 5))[1]
    equal(list(got.values())[0], b"", "a range behind the end")
    structure = imap.fetch("1", "BODYSTRUCTURE")[1]["BODYSTRUCTURE"]
    equal([structure[0][0], structure[0][1], structure[2].lower()], [b"text", b"plain", b"mixed"], "types")
    equal(structure[0][6], b"%d" % len(b"first part\r\nline two"), "octets of part 1")
    equal(structure[1][1], b"rfc822", "part 2")
    equal(structure[1][7][1], b"inner", "subject in part 2's envelope")
    envelope = imap.fetch("1", "ENVELOPE")[1]["ENVELOPE"]
    equal(envelope[1], b"outer", "subject")
    equal(envelope[5], [[b"A, B", None, b"ab", b"example.org"], [None, None, b"c", b"example.org"]], "to")
    equal(imap.fetch("1", "RFC822.SIZE")[1]["RFC822.SIZE"], b"%d" % len(outer), "size")
    equal(imap.fetch("1", "FLAGS")[1]["FLAGS"], [], "PEEK does not set Seen") if \
        b"\\Recent" not in imap.fetch("1", "FLAGS")[1]["FLAGS"] else None
    imap.fetch("1", "BODY[1]")
    assert b"\\Seen" in imap.fetch("1", "FLAGS")[1]["FLAGS"]

"""APPEND of the corpus comes back octet for octet, with flags and date; bad ones are refused."""
# timeout: 240
from lib import *
import make_corpus

with Instance() as instance:
    imap = instance.imap()
    made = [m for m in make_corpus.corpus(seed=7, count=120) if "nul" not in m[0]]
    for name, data in made:
        imap.append("INBOX", data, "\\Seen $Mark", "11-Feb-2024 23:59:58 -0330")
    imap.ok("SELECT INBOX")
    for n, (name, data) in enumerate(made):
        got = imap.fetch(str(n + 1), "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")[n + 1]
        if got["BODY[]"] != data:
            raise AssertionError("%s differs: %d octets, wanted %d" % (name, len(got["BODY[]"]), len(data)))
        equal(got["RFC822.SIZE"], b"%d" % len(data), name)
        equal(got["INTERNALDATE"], b"11-Feb-2024 23:59:58 -0330", name)
        assert {b"\\Seen", b"$Mark"} <= set(got["FLAGS"]), got["FLAGS"]
    before = imap.exists()
    # LITERAL+ (RFC 7888) needs no invitation.
    tag = imap.tag()
    imap.write(tag + b" APPEND INBOX {%d+}\r\n" % len(message(1)) + message(1) + b"\r\n")
    equal(imap.finish(tag).status, "OK", "APPEND with a non-synchronising literal")
    equal(imap.exists(), before + 1, "messages")

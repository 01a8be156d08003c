"""Every message of the corpus goes in by DATA and comes out over IMAP octet for octet."""
# timeout: 240
from lib import *
import make_corpus

with Instance() as instance:
    made = make_corpus.corpus()
    with instance.lmtp() as client:
        for name, data in made:
            (code, text), = client.send("sender@example.net", ["user0@example.org"], data)
            equal(code, 250, "%s: %s" % (name, text))
    imap = instance.imap(select="INBOX")
    equal(len(imap.ok("SEARCH ALL").search()), len(made), "messages")
    for n, (name, data) in enumerate(made, 1):
        got = imap.fetch(str(n), "(RFC822.SIZE BODY.PEEK[])")[n]
        equal(got["RFC822.SIZE"], b"%d" % len(got["BODY[]"]), "size of " + name)
        wanted = data if data.endswith(b"\r\n") else data + b"\r\n"
        if without_added_fields(got["BODY[]"]) != wanted:
            raise AssertionError("%s differs: %d octets, wanted %d" % (name, len(got["BODY[]"]), len(data)))
    for n in range(1, len(made) + 1):
        imap.ok("FETCH %d (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER] BODY.PEEK[1])" % n)
    imap.ok('SEARCH TEXT "nothing like this"')

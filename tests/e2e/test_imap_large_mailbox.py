"""Twenty thousand messages: SELECT, FETCH, STORE, EXPUNGE and SEARCH over all of them."""
# slow
from lib import *

with Instance() as instance:
    imap = instance.imap()
    imap.ok("CREATE big")
    for n in range(625):
        imap.append("big", message(n))
    imap.ok("SELECT big")
    size = 625
    while size < 20000:
        imap.ok("COPY 1:%d big" % size)
        size *= 2
        assert imap.ok("NOOP").find(r"\* %d EXISTS" % size) or imap.exists("big") == size
    imap.ok("SELECT big")
    equal(len(imap.fetch("1:*", "(UID FLAGS)")), 20000, "FETCH")
    imap.ok("STORE 1:* +FLAGS.SILENT (\\Seen)")
    equal(len(imap.ok("SEARCH SEEN").search()), 20000, "SEEN")
    imap.ok("STORE 1:20000 +FLAGS.SILENT (\\Deleted)")
    imap.ok("STORE 5 -FLAGS.SILENT (\\Deleted)")
    equal(len(imap.ok("EXPUNGE").all(r"\* \d+ EXPUNGE")), 19999, "EXPUNGE")
    equal(imap.fetch("1:*", "(UID BODY.PEEK[])")[1]["BODY[]"], message(4), "the one left")

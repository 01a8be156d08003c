"""CONDSTORE (RFC 7162): HIGHESTMODSEQ, CHANGEDSINCE, UNCHANGEDSINCE, SEARCH MODSEQ."""
from lib import *

with Instance() as instance:
    imap = instance.imap()
    for n in range(4):
        imap.append("INBOX", message(n))
    first = int(imap.ok("SELECT INBOX (CONDSTORE)").find(r".*HIGHESTMODSEQ (\d+)").group(1))

    def modseqs():
        return {n: int(f["MODSEQ"][0]) for n, f in imap.fetch("1:*", "(MODSEQ)").items()}

    before = modseqs()
    assert max(before.values()) <= first
    changed = imap.ok("STORE 2 +FLAGS (\\Seen)").fetches()
    assert int(changed[2]["MODSEQ"][0]) > first, changed
    after = modseqs()
    assert after[2] > before[2] and all(after[n] == before[n] for n in (1, 3, 4))
    equal(sorted(imap.ok("FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % first).fetches()), [2], "CHANGEDSINCE")
    refused = imap.ok("STORE 1:4 (UNCHANGEDSINCE %d) +FLAGS (\\Flagged)" % first)
    assert "[MODIFIED 2]" in refused.text, refused.text
    equal(imap.ok("SEARCH FLAGGED").search(), [1, 3, 4], "flags set by UNCHANGEDSINCE")
    found = imap.ok("SEARCH MODSEQ %d" % after[2])
    assert found.find(r"\* SEARCH .*\(MODSEQ \d+\)"), found.untagged
    status = imap.ok("STATUS INBOX (HIGHESTMODSEQ)")
    assert int(status.find(r".*HIGHESTMODSEQ (\d+)").group(1)) >= max(modseqs().values())
    other = instance.imap()
    other.ok("ENABLE CONDSTORE")
    other.ok("SELECT INBOX")
    imap.ok("STORE 1 +FLAGS (\\Answered)")
    assert "MODSEQ" in other.ok("NOOP").fetches()[1]

"""Two sessions of one mailbox: numbers change only where RFC 3501 7.4.1 allows it."""
from lib import *

with Instance() as instance:
    one = instance.imap()
    for n in range(6):
        one.append("INBOX", message(n))
    one.ok("SELECT INBOX")
    two = instance.imap(select="INBOX")
    one.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)")
    one.ok("EXPUNGE")
    answer = two.ok("FETCH 1:6 (UID)")
    equal(answer.all(r"\* \d+ EXPUNGE"), [], "EXPUNGE during FETCH")
    equal([int(f["UID"]) for n, f in sorted(answer.fetches().items())], [1, 2, 3, 4, 5, 6], "old numbers")
    answer = two.cmd("FETCH 2 (BODY.PEEK[])")
    equal(answer.all(r"\* \d+ EXPUNGE"), [], "EXPUNGE during FETCH of an expunged message")
    answer = two.ok("SEARCH ALL")
    equal(answer.all(r"\* \d+ EXPUNGE"), [], "EXPUNGE during SEARCH")
    answer = two.ok("NOOP")
    equal(sorted(int(m.group(1)) for m in answer.all(r"\* (\d+) EXPUNGE")) in ([2, 3], [2, 4]), True,
          "EXPUNGE in NOOP: %r" % answer.untagged)
    equal([int(f["UID"]) for n, f in sorted(two.fetch("1:*", "(UID)").items())], [1, 3, 5, 6], "new numbers")
    two.ok("STORE 1 +FLAGS (\\Flagged $Label)")
    seen = one.ok("NOOP").fetches()
    assert b"\\Flagged" in seen[1]["FLAGS"] and b"$Label" in seen[1]["FLAGS"], seen
    one.append("INBOX", message(9))
    assert two.ok("NOOP").find(r"\* 5 EXISTS")
    # Commands sent without waiting are all answered, with numbers that agree.
    answers = two.pipeline("UID STORE 1 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 1", "NOOP",
                           "UID FETCH 3 (FLAGS)", "UID SEARCH ALL")
    equal([a.status for a in answers], ["OK"] * 5, "pipelined commands")
    equal(answers[4].search(), [3, 5, 6, 7], "what is left")

"""mbsync both ways: new mail, flags, expunges and new mailboxes from either side."""
from lib import *
import mbsync

if not shutil.which("mbsync"):
    skip("mbsync is not installed")
with Instance() as instance:
    imap = instance.imap()
    for n in range(30):
        imap.append("INBOX", message(n), "\\Flagged" if n % 7 == 0 else "")
    imap.ok("CREATE Far/Below")
    imap.append("Far/Below", message(100))
    folder = os.path.join(instance.folder, "m")
    mbsync.sync(instance, folder)
    local = mbsync.messages(folder)
    equal(len(local), 30, "messages in the Maildir")
    equal(sum("F" in name.rpartition(",")[2] for name in local), 5, "flagged")
    equal(len(mbsync.messages(folder, "Far/Below")), 1)
    # Here: one is seen, one deleted, one new, and a new mailbox; there: one deleted, one flagged.
    names = sorted(n for n in local if b"Subject: message 1\n" in local[n])
    os.rename(os.path.join(folder, "INBOX", names[0]),
              os.path.join(folder, "INBOX", "cur", os.path.basename(names[0]).rpartition(":")[0] + ":2,S"))
    victim = [n for n in local if b"Subject: message 2\n" in local[n]][0]
    os.unlink(os.path.join(folder, "INBOX", victim))
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(folder, "Near", sub))
    with open(os.path.join(folder, "Near", "new", "1700000000.1.host"), "wb") as f:
        f.write(message(200).replace(b"\r\n", b"\n"))
    imap.ok("SELECT INBOX")
    imap.ok("STORE 4 +FLAGS.SILENT (\\Deleted)")
    imap.ok("EXPUNGE")
    imap.ok("UID STORE 6 +FLAGS.SILENT (\\Answered)")
    mbsync.sync(instance, folder)
    imap.ok("NOOP")
    flags = {int(f["UID"]): f["FLAGS"] for f in imap.fetch("1:*", "(UID FLAGS)").values()}
    equal(sorted(flags), [1, 2] + [5 + n for n in range(26)], "UIDs after both deletions")
    assert b"\\Seen" in flags[2], flags[2]
    equal(imap.exists("Near"), 1, "the mailbox made here")
    local = mbsync.messages(folder)
    equal(len(local), 28)
    assert any(b"Subject: message 5\n" in d and "R" in n.rpartition(",")[2] for n, d in local.items())
    imap.ok("SELECT Near")
    got = imap.bodies()[1]
    equal(re.sub(rb"X-TUID: .*\r\n", b"", got), message(200), "the message made here")

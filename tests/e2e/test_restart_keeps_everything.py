"""An orderly stop and start keeps messages, flags, UIDs, mailboxes and subscriptions."""
from lib import *

with Instance() as instance:
    imap = instance.imap()
    for n in range(5):
        imap.append("INBOX", message(n), "\\Flagged $Keep" if n == 2 else "")
    imap.ok("CREATE Folder/Sub")
    imap.ok("SUBSCRIBE Folder/Sub")
    imap.ok("SELECT INBOX")
    imap.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    imap.ok("EXPUNGE")
    items = "(UID FLAGS INTERNALDATE MODSEQ BODY.PEEK[])"
    imap.ok("ENABLE CONDSTORE")
    before = imap.fetch("1:*", items)
    status = imap.ok("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)").untagged
    imap.ok("LOGOUT")
    instance.stop()
    instance.start()
    imap = instance.imap()
    equal(imap.ok("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)").untagged, status)
    imap.ok("SELECT INBOX")
    after = imap.fetch("1:*", items)
    for f in list(before.values()) + list(after.values()):
        f["FLAGS"] = sorted(set(f["FLAGS"]) - {b"\\Recent"})
    equal(after, before, "messages")
    assert imap.ok('LSUB "" Folder/Sub').untagged

"""A session survives the end of indexer: its mailbox stays selected and goes on with the new one."""
from lib import *

with Instance() as instance:
    for n in range(3):
        instance.deliver(message(n))
    imap = instance.imap(select="INBOX")
    assert instance.kill("indexer")

    def store():
        return imap.cmd("STORE 2 +FLAGS (\\Flagged)").status == "OK"

    wait_for(store, "STORE after a restart of indexer")
    instance.deliver(message(9))
    wait_for(lambda: imap.ok("NOOP").find(r"\* 4 EXISTS") or len(imap.ok("SEARCH ALL").search()) == 4,
             "new mail is seen")
    equal(len(imap.bodies()), 4, "bodies")

"""SPECIAL-USE and CREATE-SPECIAL-USE (RFC 6154); a new user's mailboxes."""
from lib import *

with Instance() as instance:
    imap = instance.imap()
    wanted = {"Drafts": r"\\Drafts", "Sent": r"\\Sent", "Junk": r"\\Junk", "Trash": r"\\Trash",
              "Archive": r"\\Archive"}
    everything = imap.ok('LIST "" *')
    assert everything.find(r'\* LIST .* "/" "?INBOX"?')
    for name, use in wanted.items():
        assert everything.find(r'\* LIST \([^)]*%s[^)]*\) "/" "?%s"?' % (use, name)), (name, everything.untagged)
    only = imap.ok('LIST (SPECIAL-USE) "" *')
    equal(len(only.untagged), 5, "LIST (SPECIAL-USE)")
    assert imap.ok('LSUB "" Sent').untagged, "new mailboxes are subscribed"
    imap.ok('CREATE "My Sent" (USE (\\Sent))')
    assert imap.ok('LIST "" "My Sent"').find(r"\* LIST \([^)]*\\Sent")
    assert "USEATTR" in imap.no('CREATE Odd (USE (\\Nonsense))').text

"""Mailbox names: modified UTF-7, case of INBOX, renames with children, DELETE with children."""
from lib import *

with Instance() as instance:
    imap = instance.imap()
    name = "Entw&APw-rfe/&U,BTFw-"
    imap.ok('CREATE "%s"' % name)
    assert imap.ok('LIST "" "Entw*"').find(r'\* LIST .* "?%s"?\r\n' % re.escape(name))
    imap.append(name, message(1))
    imap.ok('RENAME "Entw&APw-rfe" Plain')
    equal(imap.exists("Plain/&U,BTFw-"), 1, "a child moved with its parent")
    imap.no('STATUS "%s" (MESSAGES)' % name)
    for bad in ('"bad&name"', '"&AGEA-"', '""', '"a//b"'):
        assert imap.cmd("CREATE " + bad).status in ("NO", "BAD"), bad
    imap.no("CREATE iNbOx")
    imap.no("DELETE INBOX")
    imap.ok("SELECT iNbOx")
    imap.append("INBOX", message(2))
    imap.ok("CREATE Target")
    imap.no("RENAME Plain Target")
    imap.ok("RENAME INBOX Old")
    equal((imap.exists("INBOX"), imap.exists("Old")), (0, 1), "RENAME INBOX moves its messages")
    imap.ok("DELETE Plain/&U,BTFw-")
    first = imap.ok('STATUS Target (UIDVALIDITY)').find(r".*UIDVALIDITY (\d+)").group(1)
    imap.ok("DELETE Target")
    imap.ok("CREATE Target")
    second = imap.ok('STATUS Target (UIDVALIDITY)').find(r".*UIDVALIDITY (\d+)").group(1)
    assert int(second) > int(first), "UIDVALIDITY after DELETE and CREATE"
    imap.ok("SUBSCRIBE Nonexistent")
    imap.ok("SUBSCRIBE Target")
    imap.ok("DELETE Target")
    assert imap.ok('LSUB "" Target').untagged, "a subscription outlives its mailbox"

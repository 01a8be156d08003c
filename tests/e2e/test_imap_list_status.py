"""LIST-STATUS (RFC 5819), STATUS=SIZE (RFC 8438), CHILDREN (RFC 3348), LIST patterns."""
from lib import *

with Instance() as instance:
    imap = instance.imap()
    for name in ("a", "a/b", "a/b/c", "ab", "empty"):
        imap.ok("CREATE %s" % name)
    data = message(1)
    imap.append("a/b", data)
    imap.append("a/b", data, "\\Seen")

    def names(pattern):
        return sorted(m.group(1).decode() for m in imap.ok('LIST "" "%s"' % pattern).all(
            r'\* LIST \([^)]*\) "/" "?([^"\r]*)"?\r\n'))

    equal(names("a*"), ["a", "a/b", "a/b/c", "ab"], "a*")
    equal(names("a%"), ["a", "ab"], "a%")
    equal(names("a/%"), ["a/b"], "a/%")
    equal(names("inbox"), ["INBOX"], "inbox")
    assert imap.ok('LIST "" ""').find(r'\* LIST \(.*\\Noselect.*\) "/" ""')
    assert imap.ok('LIST "" a').find(r"\* LIST \(.*\\HasChildren.*\)")
    assert imap.ok('LIST "" ab').find(r"\* LIST \(.*\\HasNoChildren.*\)")
    answer = imap.ok('LIST "" % RETURN (STATUS (MESSAGES UNSEEN SIZE))')
    assert answer.find(r'\* STATUS "?empty"? \(.*MESSAGES 0')
    answer = imap.ok('LIST "" "a/*" RETURN (STATUS (MESSAGES UNSEEN SIZE))')
    status = answer.find(r'\* STATUS "?a/b"? \((.*)\)').group(1).decode()
    for words in ("MESSAGES 2", "UNSEEN 1", "SIZE %d" % (2 * len(data))):
        assert words in status, status

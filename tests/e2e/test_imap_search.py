"""SEARCH: keys, sets, dates, sizes, OR/NOT, headers and bodies with charsets."""
from lib import *

with Instance() as instance:
    imap = instance.imap()
    texts = [("Apples", "the first body", "", "01-Jan-2026 10:00:00 +0000"),
             ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "plain", "\\Seen", "15-Feb-2026 10:00:00 +0000"),
             ("Pears", "=C3=A4pfel und Birnen", "\\Flagged $Work", "20-Mar-2026 10:00:00 +0000")]
    for n, (subject, body, flags, date) in enumerate(texts):
        head = ("From: Jane Doe <jane%d@example.net>\r\nTo: user0@example.org\r\nSubject: %s\r\n"
                "Date: Mon, %d Nov 2026 10:00:00 +0000\r\nX-Number: %d\r\nMIME-Version: 1.0\r\n"
                "Content-Type: text/plain; charset=utf-8\r\n"
                "Content-Transfer-Encoding: quoted-printable\r\n\r\n%s\r\n" % (n, subject, n + 1, n, body))
        imap.append("INBOX", head.encode() + b"x" * (1000 * n), flags, date)
    imap.ok("SELECT INBOX")

    def search(keys, wanted, *literals):
        equal(imap.ok("SEARCH " + keys, *literals).search(), wanted, keys)

    search("ALL", [1, 2, 3])
    search("SEEN", [2])
    search("UNSEEN", [1, 3])
    search("FLAGGED KEYWORD $Work", [3])
    search("UNKEYWORD $Work", [1, 2])
    search("SUBJECT apple", [1])
    search("SUBJECT APPLE", [1])
    search("CHARSET UTF-8 SUBJECT {}", [2], "grüße".encode())
    search("CHARSET UTF-8 SUBJECT {}", [2], "GRÜSSE".encode().replace(b"SS", "ß".encode()))
    search("CHARSET ISO-8859-1 BODY {}", [3], "äpfel".encode("iso-8859-1"))
    search('BODY "first body"', [1])
    search('TEXT "jane1@"', [2])
    search("FROM jane2", [3])
    search("TO user0", [1, 2, 3])
    search('HEADER X-Number "1"', [2])
    search('HEADER X-Number ""', [1, 2, 3])
    search("BEFORE 15-Feb-2026", [1])
    search("ON 15-Feb-2026", [2])
    search("SINCE 15-Feb-2026", [2, 3])
    search("SENTSINCE 2-Nov-2026 SENTBEFORE 3-Nov-2026", [2])
    search("SENTON 3-Nov-2026", [3])
    search("LARGER 2000", [3])
    search("SMALLER 1000", [1])
    search("OR SEEN FLAGGED", [2, 3])
    search("NOT (SEEN)", [1, 3])
    search("NOT 1:2", [3])
    search("2:* UNSEEN", [3])
    search("UID 1,3", [1, 3])
    search("(OR (SUBJECT apples) (SUBJECT pears)) UNFLAGGED", [1])
    search("ANSWERED", [])
    search("DELETED", [])
    assert "BADCHARSET" in imap.no("SEARCH CHARSET X-NONE SUBJECT a").text
    imap.no("SEARCH NOSUCHKEY", status="BAD")

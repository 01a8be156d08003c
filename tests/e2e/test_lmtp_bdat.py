"""CHUNKING (RFC 3030): BDAT in pieces, LAST empty, binary-looking content, errors in between."""
from lib import *

with Instance() as instance:
    client = instance.lmtp()
    assert "CHUNKING" in client.capabilities, client.capabilities
    sent = []

    def bdat(pieces, recipients=("user0@example.org",)):
        equal([c for c, _ in client.envelope("s@example.net", recipients)], [250] * len(recipients))
        for i, piece in enumerate(pieces):
            last = i == len(pieces) - 1
            client.write(b"BDAT %d%s\r\n" % (len(piece), b" LAST" if last else b"") + piece)
            if not last:
                equal(client.reply()[0], 250, "BDAT")
        replies = [client.reply() for _ in recipients]
        equal([c for c, _ in replies], [250] * len(recipients), replies)
        sent.append(b"".join(pieces))

    bdat([message(1, "whole\r\n")])
    bdat([message(2)[:100], message(2)[100:]])
    bdat([message(3), b""])
    bdat([message(4, ".\r\n..\r\n.dots\r\n")])
    bdat([bytes([c]) for c in message(5, "one by one\r\n")])
    bdat([message(6, "y" * 300000 + "\r\n"), b"z" * 70000, b"\r\n"])
    equal(client.envelope("s@example.net", ["user0@example.org"])[0][0], 250)
    client.write(b"BDAT 10\r\n0123456789")
    equal(client.reply()[0], 250)
    assert client.cmd("DATA")[0] >= 500, "DATA after BDAT"
    equal(client.cmd("RSET")[0], 250, "RSET in the middle")
    client.write(b"BDAT 5 LAST\r\nabcde")
    assert client.reply()[0] >= 500, "BDAT without MAIL"
    equal(client.cmd("NOOP")[0], 250, "NOOP")
    assert client.cmd("BDAT x")[0] >= 500  # and it may close: what follows cannot be told from commands
    client.close()
    imap = instance.imap(select="INBOX")
    got = imap.bodies()
    equal([without_added_fields(got[u]) for u in sorted(got)], sent, "messages")

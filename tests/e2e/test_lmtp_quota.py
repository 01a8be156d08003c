"""A full mailbox: 552 5.2.2 (or 452) for that recipient alone; room again after an EXPUNGE."""
from lib import *

with Instance() as instance:
    big = message(1, ("x" * 70 + "\r\n") * 900)
    client = instance.lmtp()
    assert len(big) > 51200
    to = ["user0@example.org", "quota@example.org"]
    replies = client.send("s@example.net", to, big)
    equal(replies[0][0], 250, replies)
    assert replies[1][0] in (552, 452) and replies[1][1][1:5] == ".2.2", replies
    half = message(2, ("x" * 70 + "\r\n") * 400)
    equal(client.send("s@example.net", ["quota@example.org"], half)[0][0], 250, "the first half")
    reply = client.send("s@example.net", ["quota@example.org"], message(3, ("y" * 70 + "\r\n") * 400))[0]
    assert reply[0] in (552, 452), reply
    code, text = client.envelope("s@example.net", ["quota@example.org"], " SIZE=60000")[0]
    assert code in (552, 452), "SIZE beyond the quota at RCPT: %d %s" % (code, text)
    client.cmd("RSET")
    imap = instance.imap("quota@example.org", select="INBOX")
    equal(imap.exists(), 1)
    assert "OVERQUOTA" in imap.no("APPEND INBOX {}", big).text
    imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    imap.ok("EXPUNGE")
    equal(client.send("s@example.net", ["quota@example.org"], message(4))[0][0], 250, "after EXPUNGE")
    equal(instance.imap().exists(), 1, "the other recipient")

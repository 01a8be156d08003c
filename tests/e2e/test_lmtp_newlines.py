"""Only CRLF.CRLF ends DATA: no smuggling by bare LF or CR; what was sent is what is stored."""
from lib import *

with Instance() as instance:
    client = instance.lmtp()
    smuggled = b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<user1@example.org>\r\nDATA\r\nsmuggled\r\n"
    kept = []
    for end in (b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b"\n\n.\n\n",
                b"\r\r\n.\r\r\n", b"\r\n\0.\r\n"):
        equal(client.envelope("s@example.net", ["user0@example.org"])[0][0], 250)
        equal(client.cmd("DATA")[0], 354)
        data = message(1) + b"text" + end + smuggled
        client.write(data + b".\r\n")
        equal(client.reply()[0], 250, "%r" % end)
        kept.append((end, data))
    equal(client.cmd("NOOP")[0], 250, "nothing was left over")
    equal(instance.imap("user1@example.org").exists(), 0, "smuggled mail")
    got = instance.imap(select="INBOX").bodies()
    equal(len(got), len(kept), "messages")
    for uid, (end, data) in zip(sorted(got), kept):
        # An unescaped dot at the start of a line is taken away even when more follows it.
        wanted = re.sub(rb"(\A|\r\n)\.", rb"\1", data)
        equal(without_added_fields(got[uid]), wanted, "%r" % end)
    with instance.lmtp() as client:
        equal(client.envelope("s@example.net", ["user0@example.org"])[0][0], 250)
        client.write(b"DATA\r\n")
        equal(client.reply()[0], 354)
        for piece in (message(2), b"..", b"\r", b"\n", b"...", b"\r\n", b".", b"\r", b"\n"):
            client.write(piece)
        equal(client.reply()[0], 250, "pieces")
    got = instance.imap(select="INBOX").bodies()
    equal(without_added_fields(got[max(got)]), message(2) + b".\r\n..\r\n", "dots")

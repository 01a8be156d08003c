"""An LMTP session whose every octet arrives alone, and one that arrives all at once."""
from lib import *

with Instance() as instance:
    data = message(1, ".\r\n..dots\r\nend\r\n")
    everything = (b"LHLO client.example.net\r\nMAIL FROM:<s@example.net>\r\nRCPT TO:<user0@example.org>\r\n"
                  b"RCPT TO:<nobody@example.org>\r\nDATA\r\n" + stuffed(data) +
                  b"MAIL FROM:<s@example.net>\r\nRCPT TO:<user0@example.org>\r\nBDAT %d LAST\r\n" % len(data)
                  + data + b"QUIT\r\n")
    wanted = [250, 250, 250, 550, 354, 250, 250, 250, 250, 221]
    slow = instance.lmtp(hello=False)
    for i in range(len(everything)):
        slow.write(everything[i:i + 1])
    equal([slow.reply()[0] for _ in wanted], wanted, "one octet at a time")
    quick = instance.lmtp(hello=False)
    quick.write(everything.replace(b"id Q1", b"id Q2"))
    equal([quick.reply()[0] for _ in wanted], wanted, "all at once")
    got = instance.imap(select="INBOX").bodies()
    equal(len(got) in (2, 4), True, "messages: %d" % len(got))
    equal(without_added_fields(got[1]), data, "DATA")

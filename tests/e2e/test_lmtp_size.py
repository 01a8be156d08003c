"""SIZE (RFC 1870): a message over the limit is refused at MAIL, and after DATA when not announced."""
from lib import *

with Instance(settings=["lmtp.message_size_limit=100K"]) as instance:
    client = instance.lmtp()
    assert "SIZE 102400" in client.capabilities, client.capabilities
    equal(client.cmd("MAIL FROM:<s@example.net> SIZE=102401")[0], 552)
    big = message(1, ("x" * 70 + "\r\n") * 2000)
    reply = client.send("s@example.net", ["user0@example.org"], big)[0]
    equal((reply[0], reply[1][:5]), (552, "5.3.4"), reply)
    equal(client.envelope("s@example.net", ["user0@example.org"])[0][0], 250)
    client.write(b"BDAT %d LAST\r\n" % len(big) + big)
    equal(client.reply()[0], 552, "BDAT")
    client.cmd("RSET")
    equal(client.send("s@example.net", ["user0@example.org"], message(2))[0][0], 250, "the next one")
    equal(instance.imap().exists(), 1)

"""SMTPUTF8 (RFC 6531): an address in UTF-8 is found; without the parameter it is refused."""
from lib import *

with Instance() as instance:
    instance.ctl("alias", "add", "grüße@example.org", "user0@example.org")
    client = instance.lmtp()
    replies = client.send("absender@bücher.example", ["grüße@example.org"], message(1),
                          " SMTPUTF8 BODY=8BITMIME")
    equal(replies[0][0], 250, replies)
    equal(client.cmd("MAIL FROM:<s@example.net>")[0], 250)
    assert client.cmd("RCPT TO:<grüße@example.org>")[0] >= 500, "UTF-8 without SMTPUTF8"
    client.cmd("RSET")
    client.write(b"MAIL FROM:<\xff\xfe@example.net> SMTPUTF8\r\n")
    assert client.reply()[0] >= 500, "not UTF-8"
    equal(instance.imap().exists(), 1)

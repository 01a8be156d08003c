"""Python's smtplib.LMTP: greeting, extensions, several recipients, several mails a connection."""
from lib import *

with Instance() as instance:
    client = instance.smtplib()
    equal(client.ehlo_or_helo_if_needed(), None)
    for extension in ("pipelining", "size", "8bitmime", "smtputf8", "enhancedstatuscodes", "chunking"):
        assert client.has_extn(extension), extension
    # smtplib reads one reply after the message, and one recipient has one: the other is refused.
    refused = client.sendmail("s@example.net", ["nobody@example.org", "user0@example.org"], message(1))
    equal(sorted(refused), ["nobody@example.org"], "refused")
    equal(refused["nobody@example.org"][0], 550)
    assert refused["nobody@example.org"][1].startswith(b"5.1.1"), refused
    for n in range(2, 5):
        equal(client.sendmail("s@example.net", ["user0@example.org"], message(n)), {})
    equal(client.sendmail("", ["user1@example.org"], message(5)), {}, "the empty sender")
    for verb in ("VRFY user0", "EXPN list", "HELP", "NOOP"):
        client.docmd(verb)
    assert client.docmd("EHLO x")[0] >= 500, "EHLO must not be accepted (RFC 2033 4.1)"
    assert client.docmd("NOSUCH")[0] >= 500
    client.quit()
    with instance.lmtp() as raw:
        replies = raw.send("s@example.net", ["user0@example.org", "user1@example.org"], message(6))
        equal([code for code, _ in replies], [250, 250], "two recipients")
    equal((instance.imap().exists(), instance.imap("user1@example.org").exists()), (5, 2), "messages")
    got = instance.imap("user1@example.org", select="INBOX").bodies()
    assert got[1].startswith(b"Return-Path: <>\r\n"), got[1][:200]
    one = instance.imap(select="INBOX").bodies()
    assert b"Return-Path: <s@example.net>\r\n" in one[2]
    assert b"Delivered-To: user0@example.org\r\n" in one[2], "a single recipient"
    assert b"Delivered-To:" not in one[5], "several recipients must not be told of each other"

"""Recipients: unknown, disabled, alias (of many), catch-all, subaddress, case, bad addresses."""
from lib import *

with Instance() as instance:
    client = instance.lmtp()

    def rcpt(address):
        client.cmd("MAIL FROM:<s@example.net>")
        reply = client.cmd("RCPT TO:<%s>" % address)
        client.cmd("RSET")
        return reply

    equal(rcpt("user0@example.org")[0], 250)
    equal(rcpt("USER0@EXAMPLE.ORG")[0], 250, "case")
    code, text = rcpt("nobody@example.org")
    equal((code, text[:5]), (550, "5.1.1"), "unknown user")
    code, text = rcpt("user0@elsewhere.test")
    equal(code, 550, "a domain that is not ours")
    assert rcpt("no-at-sign")[0] in (501, 550, 553)
    assert client.cmd("RCPT TO:<user0@example.org>")[0] == 503, "RCPT before MAIL"
    instance.ctl("alias", "add", "team@example.org", "user0@example.org")
    instance.ctl("alias", "add", "team@example.org", "user1@example.org")
    equal([code for code, _ in client.send("s@example.net", ["team@example.org"], message(1))], [250],
          "alias")
    wait_for(lambda: instance.imap("user1@example.org").exists() >= 1, "the alias's second target")
    assert instance.imap("user0@example.org").exists() >= 1
    imap = instance.imap("user2@example.org")
    imap.ok("CREATE lists")
    instance.deliver(message(3), "user2+lists@example.org")
    instance.deliver(message(4), "user2+nosuchmailbox@example.org")
    equal((imap.exists("lists"), imap.exists("INBOX")), (1, 1), "subaddresses")
    instance.ctl("alias", "add", "@example.org", "user2@example.org")
    instance.deliver(message(5), "anything@example.org")
    equal(imap.exists("INBOX"), 2, "catch-all")
    instance.ctl("user", "disable", "user1@example.org")
    code, text = rcpt("user1@example.org")
    assert code in (450, 550), (code, text)
    instance.ctl("user", "enable", "user1@example.org")
    equal(rcpt("user1@example.org")[0], 250, "enabled again")

"""lightmailctl: domains, users, aliases, passwords, status, who, kick, mailbox, message, --json, exit codes."""
from lib import *

with Instance() as instance:
    ctl = instance.ctl
    assert "example.org" in ctl("domain", "list")
    ctl("domain", "add", "second.example")
    assert "second.example" in [d if isinstance(d, str) else d.get("name", d.get("domain"))
                                for d in json.loads(ctl("domain", "list", "--json"))]
    equal(ctl("domain", "add", "second.example", check=False)[0] != 0, True, "a domain twice")
    ctl("user", "add", "new@second.example", input=b"first secret\n")
    assert "new@second.example" in ctl("user", "list")
    json.loads(ctl("user", "list", "--json"))
    json.loads(ctl("user", "show", "new@second.example", "--json"))
    imap = instance.raw_imap()
    imap.ok('LOGIN new@second.example "first secret"')
    assert "new@second.example" in ctl("who")
    json.loads(ctl("who", "--json"))
    ctl("user", "password", "new@second.example", input=b"second secret\n")
    equal(instance.raw_imap().cmd('LOGIN new@second.example "first secret"').status, "NO", "old password")
    imap = instance.raw_imap()
    imap.ok('LOGIN new@second.example "second secret"')
    ctl("kick", "new@second.example")

    def gone():
        try:
            return imap.cmd("NOOP").status != "OK"
        except OSError:
            return True

    wait_for(gone, "the kicked session ends")
    ctl("user", "disable", "new@second.example")
    equal(instance.raw_imap().cmd('LOGIN new@second.example "second secret"').status, "NO", "disabled")
    ctl("user", "enable", "new@second.example")
    instance.raw_imap().ok('LOGIN new@second.example "second secret"')
    ctl("user", "quota", "new@second.example", "1M")
    ctl("user", "rename", "new@second.example", "renamed@second.example")
    instance.raw_imap().ok('LOGIN renamed@second.example "second secret"')
    ctl("alias", "add", "a@second.example", "renamed@second.example")
    ctl("alias", "add", "a@second.example", "user0@example.org")
    assert "a@second.example" in ctl("alias", "list")
    assert "user0@example.org" in ctl("alias", "show", "a@second.example")
    ctl("alias", "delete", "a@second.example")
    instance.deliver(message(5, "for ctl\r\n"), "renamed@second.example")
    assert "INBOX" in ctl("mailbox", "list", "renamed@second.example")
    assert "1" in ctl("mailbox", "status", "renamed@second.example", "INBOX")
    ctl("mailbox", "recount", "renamed@second.example")
    assert "for ctl" in ctl("message", "cat", "renamed@second.example", "INBOX", "1")
    ctl("user", "delete", "renamed@second.example")
    with instance.lmtp() as client:
        equal(client.envelope("s@example.net", ["renamed@second.example"])[0][0], 550, "deleted user")
    ctl("domain", "delete", "second.example")
    assert "second.example" not in ctl("domain", "list")
    status = instance.status()
    assert status, "status --json"
    assert "imap" in ctl("status")
    assert "imap_listen" in ctl("config", "show") and "imap_listen" in ctl("config", "defaults")
    for words in (("nonsense",), ("user", "show", "nobody@example.org"), ("user",)):
        assert ctl(*words, check=False)[0] != 0, words
    for words in (("--help",), ("user", "--help"), ("mailbox", "list", "--help")):
        assert "sage" in ctl(*words), words

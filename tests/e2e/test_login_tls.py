"""STARTTLS and implicit TLS; without TLS no password unless configured; old TLS is refused."""
from lib import *

with Instance(settings=["login.disable_plaintext_auth=yes"]) as instance:
    imap = instance.raw_imap()
    words = imap.ok("CAPABILITY").untagged[0].decode().split()
    assert "STARTTLS" in words and "LOGINDISABLED" in words and "AUTH=PLAIN" not in words, words
    answer = imap.no("LOGIN user0@example.org pass")
    assert "PRIVACYREQUIRED" in answer.text, answer.text
    assert imap.cmd("AUTHENTICATE PLAIN " + base64.b64encode(b"\0user0@example.org\0pass").decode()).status != "OK"
    imap.starttls(instance.tls_context())
    words = imap.ok("CAPABILITY").untagged[0].decode().split()
    assert "LOGINDISABLED" not in words and "AUTH=PLAIN" in words and "STARTTLS" not in words, words
    imap.ok("AUTHENTICATE PLAIN " + base64.b64encode(b"\0user0@example.org\0pass").decode())
    imap.append("INBOX", message(1, "x" * 200000 + "\r\n"))
    secure = Imap("127.0.0.1", instance.imaps_port, instance.tls_context())
    secure.ok("LOGIN user0@example.org pass")
    secure.ok("SELECT INBOX")
    equal(secure.bodies()[1], message(1, "x" * 200000 + "\r\n"), "through TLS")
    assert secure.socket.version() in ("TLSv1.2", "TLSv1.3")
    old = instance.tls_context()
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    try:
        Imap("127.0.0.1", instance.imaps_port, old)
        raise AssertionError("TLS 1.1 was accepted")
    except (ssl.SSLError, OSError):
        pass
    secure.ok("LOGOUT")

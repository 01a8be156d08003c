"""Commands that arrive behind STARTTLS in plaintext are thrown away, not run inside TLS."""
from lib import *

with Instance() as instance:
    imap = instance.raw_imap()
    imap.write(b"a1 STARTTLS\r\na2 LOGIN user0@example.org pass\r\na3 SELECT INBOX\r\n")
    answer = imap.line()
    assert answer.startswith(b"a1 OK"), answer
    secure = instance.tls_context().wrap_socket(imap.socket, server_hostname="localhost")
    secure.sendall(b"b1 NOOP\r\n")
    got = secure.recv(4096)
    assert got.startswith(b"b1 OK"), got
    secure.sendall(b"b2 SELECT INBOX\r\n")
    got = secure.recv(4096)
    assert got.startswith(b"b2 BAD") or got.startswith(b"b2 NO"), ("logged in by injected plaintext", got)

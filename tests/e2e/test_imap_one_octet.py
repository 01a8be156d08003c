"""An IMAP session whose every octet arrives alone, before and after the login."""
from lib import *

with Instance() as instance:
    imap = instance.raw_imap()

    def slowly(data):
        for i in range(len(data)):
            imap.write(data[i:i + 1])

    def cmd(data):
        tag = imap.tag()
        slowly(tag + b" " + data + b"\r\n")
        response = imap.finish(tag)
        equal(response.status, "OK", data)
        return response

    cmd(b"CAPABILITY")
    tag = imap.tag()
    slowly(tag + b" LOGIN {17}\r\n")
    assert imap.line().startswith(b"+")
    slowly(b"user0@example.org {4}\r\n")
    assert imap.line().startswith(b"+")
    slowly(b"pass\r\n")
    equal(imap.finish(tag).status, "OK", "LOGIN with literals")
    data = message(1, "body\r\n")
    tag = imap.tag()
    slowly(tag + b' APPEND "INBOX" (\\Seen) {%d+}\r\n' % len(data) + data + b"\r\n")
    equal(imap.finish(tag).status, "OK", "APPEND")
    cmd(b"SELECT INBOX")
    got = cmd(b"UID FETCH 1:* (FLAGS BODY.PEEK[])").fetches()
    equal(got[1]["BODY[]"], data, "the message")
    tag = imap.tag()
    slowly(tag + b" IDLE\r\n")
    while not imap.line().startswith(b"+"):
        pass
    slowly(b"DONE\r\n")
    equal(imap.finish(tag).status, "OK", "IDLE")
    cmd(b"LOGOUT")

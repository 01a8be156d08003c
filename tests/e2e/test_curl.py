"""curl's imap:// and imaps://: list, fetch a message and a section, search, append."""
from lib import *

if not shutil.which("curl"):
    skip("curl is not installed")
with Instance() as instance:
    data = message(1, "for curl\r\n")
    instance.deliver(data)

    def curl(*words, tls=False):
        url = "imap%s://%s:%d" % ("s" if tls else "", "localhost" if tls else "127.0.0.1",
                                  instance.imaps_port if tls else instance.imap_port)
        done = subprocess.run(["curl", "-sS", "--cacert", os.path.join(instance.dir, "ca.pem"),
                               "-u", "user0@example.org:pass"] + [w.replace("URL", url) for w in words],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        equal(done.returncode, 0, done.stdout.decode(errors="replace"))
        return done.stdout

    assert b"INBOX" in curl("URL/")
    for tls in (False, True):
        equal(without_added_fields(curl("URL/INBOX;UID=1", tls=tls)), data, "the message")
        assert curl("URL/INBOX;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)", tls=tls) == b"Subject: message 1\r\n\r\n"
    assert b"* SEARCH 1" in curl("-X", "UID SEARCH ALL", "URL/INBOX")
    path = os.path.join(instance.folder, "mail")
    with open(path, "wb") as f:
        f.write(message(2))
    curl("-T", path, "URL/Sent")
    equal(instance.imap().exists("Sent"), 1)
    big = message(3, ("x" * 70 + "\r\n") * 60000)
    with open(path, "wb") as f:
        f.write(big)
    curl("-T", path, "URL/Sent", tls=True)
    equal(curl("URL/Sent;UID=2", tls=True), big, "4 MB over TLS both ways")
    assert b"BAD" not in curl("--ssl-reqd", "URL/")

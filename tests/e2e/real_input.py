"""The corpus, as an mbox, goes in through Postfix and LMTP and comes out through mbsync.

What may differ from the mbox is decided exactly: LightMail's own fields (Return-Path, Delivered-To and one
Received) and the Received field of Postfix stand in front and are taken off; Postfix ends a header
with an empty line where a line in it is no field; mbsync writes LF for CRLF in a Maildir, and a field
X-TUID. Everything else must be the same, octet for octet.
"""
import mailbox

from lib import *
import make_corpus
import mbsync
from postfix import Postfix


def through_postfix(data):
    """What Postfix hands over for these octets, without its Received field."""
    at = 0
    while at < len(data) and not data.startswith(b"\r\n", at):
        end = data.index(b"\r\n", at) + 2
        if not re.match(rb"[ \t]|[!-9;-~]+[ \t]*:", data[at:end]):
            return data[:at] + b"\r\n" + data[at:]
        at = end
    return data


def without_postfix_received(data):
    found = re.match(rb"Received: from client\.example\.net .*?\r\n(?:[ \t].*?\r\n)*", data)
    if not found:
        raise AssertionError("no Received of Postfix: %r" % data[:300])
    return data[found.end():]


def write_mbox(path, made):
    """An mbox whose lines end in LF, as on a real disk."""
    box = mailbox.mbox(path)
    box.lock()
    for _, data in made:
        box.add(data.replace(b"\r\n", b"\n"))
    box.close()


def read_mbox(path):
    """The octets that were put in, in order; CRLF again."""
    box = mailbox.mbox(path)
    return [box.get_bytes(key).replace(b"\n", b"\r\n") for key in sorted(box.keys())]


def check(as_user=None):
    for tool in ("postfix", "mbsync"):
        if not shutil.which(tool):
            skip(tool + " is not installed")
    # Bare CR and LF and NUL are not the business of this test but of test_lmtp_corpus: no MTA keeps them.
    # A message without an empty line behind its header is one that mbsync skips.
    made = [m for m in make_corpus.corpus(seed=11, count=340) if b"\r\n\r\n" in m[1] and
            not m[0].endswith(("bare-lf", "bare-cr", "nul", "no-final-newline"))]
    assert len(made) >= 300, len(made)
    with Instance(as_user=as_user) as instance:
        path = os.path.join(instance.folder, "mbox")
        write_mbox(path, made)
        wanted = sorted(through_postfix(data) for data in read_mbox(path))
        with Postfix(os.path.join(instance.folder, "p"), instance.base + 25,
                     "lmtp:unix:" + instance.lmtp_socket) as postfix:
            for data in read_mbox(path):
                postfix.send("sender@example.net", "user0@example.org", data)
            postfix.wait_until_empty()
        wait_for(lambda: instance.imap().exists() >= len(wanted), "all messages are there")
        folder = os.path.join(instance.folder, "m")
        mbsync.sync(instance, folder)
        got = []
        for name, data in mbsync.messages(folder).items():
            assert b"\r\n" not in data, name
            data = data.replace(b"\n", b"\r\n")
            got.append(without_postfix_received(without_added_fields(without_tuid(data))))
        equal(len(got), len(wanted), "messages")
        for a, b in zip(sorted(got), wanted):
            if a != b:
                at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
                raise AssertionError("differs at %d: %r, wanted %r" % (at, a[at - 40:at + 80], b[at - 40:at + 80]))
        print("%d messages, %d octets: the same" % (len(got), sum(map(len, got))))


def without_tuid(data):
    """mbsync marks what it has just copied with a field of its own."""
    head, empty, body = data.partition(b"\r\n\r\n")
    return re.sub(rb"(?m)^X-TUID: .*\r\n", b"", head + b"\r\n") + empty[2:] + body if empty else data

"""A retry of a message that an MTA sent is delivered once; what is no retry is delivered each time."""
from lib import *

with Instance() as instance:
    client = instance.lmtp()

    def send(data, sender="s@example.net", to="user0@example.org"):
        equal(client.send(sender, [to], data)[0][0], 250)

    send(message(1))
    send(message(1))
    equal(instance.imap().exists(), 1, "the same octets, sender and recipient")
    send(message(1), sender="other@example.net")
    equal(instance.imap().exists(), 2, "another sender")
    send(message(1), to="user1@example.org")
    equal(instance.imap("user1@example.org").exists(), 1, "another recipient")
    plain = b"Subject: no Received field\r\n\r\nbody\r\n"
    send(plain)
    send(plain)
    equal(instance.imap().exists(), 4, "identical mail that no MTA has stamped")
    # The retry comes on another connection while the first waits for its answer.
    one, two = instance.lmtp(), instance.lmtp()
    for c in (one, two):
        equal(c.envelope("s@example.net", ["user2@example.org"])[0][0], 250)
        equal(c.cmd("DATA")[0], 354)
    for c in (one, two):
        c.write(stuffed(message(7)))
    equal([c.reply()[0] for c in (one, two)], [250, 250])
    equal(instance.imap("user2@example.org").exists(), 1, "retries at the same time")

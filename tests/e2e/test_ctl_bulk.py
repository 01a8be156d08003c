"""A thousand users are made from a file, and log in."""
from lib import *

with Instance(users=1000) as instance:
    listed = instance.ctl("user", "list")
    for n in (0, 499, 999):
        assert "user%d@example.org" % n in listed
    instance.imap("user999@example.org").ok("NOOP")
    instance.deliver(message(1), "user500@example.org")
    equal(instance.imap("user500@example.org").exists(), 1)

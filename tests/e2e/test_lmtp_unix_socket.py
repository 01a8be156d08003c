"""The Unix socket delivers like TCP and anybody may use it (mode 0666)."""
from lib import *

with Instance() as instance:
    equal(stat.S_IMODE(os.stat(instance.lmtp_socket).st_mode), 0o666, "mode")
    with Lmtp(None, None, path=instance.lmtp_socket) as client:
        equal(client.send("s@example.net", ["user0@example.org"], message(1))[0][0], 250)
    equal(instance.imap().exists(), 1)

"""mbsync (isync) between an instance and Maildir folders."""
import os
import subprocess

CONFIGURATION = """IMAPAccount a
Host 127.0.0.1
Port {port}
User {user}
Pass pass
SSLType None
AuthMechs LOGIN

IMAPStore r
Account a

MaildirStore l
Path {dir}/
Inbox {dir}/INBOX
SubFolders Verbatim

Channel c
Far :r:
Near :l:
Patterns *
Create Both
Expunge Both
SyncState *
"""


def sync(instance, folder, user="user0@example.org"):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "mbsyncrc")
    with open(path, "w") as f:
        f.write(CONFIGURATION.format(port=instance.imap_port, user=user, dir=folder))
    done = subprocess.run(["mbsync", "-c", path, "-a"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=200, env=dict(os.environ, HOME=folder))
    if done.returncode != 0:
        raise AssertionError("mbsync: " + done.stdout.decode(errors="replace"))


def messages(folder, mailbox="INBOX"):
    """Contents of a Maildir's messages: {file name: octets}."""
    found = {}
    for sub in ("cur", "new"):
        for name in os.listdir(os.path.join(folder, mailbox, sub)):
            with open(os.path.join(folder, mailbox, sub, name), "rb") as f:
                found[sub + "/" + name] = f.read()
    return found

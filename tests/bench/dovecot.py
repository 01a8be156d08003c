"""A private Dovecot 2.3 (Debian's) with LMTP and IMAP, as the benchmarks' peer."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time

CONFIGURATION = """
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = {format}:{dir}/mail/%u
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 1
first_valid_gid = 1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
mail_max_userip_connections = 0
recipient_delimiter = +
{fsync}
namespace inbox {{
  inbox = yes
}}
passdb {{
  driver = static
  args = password=pass
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={dir}/mail/%u allow_all_users=yes
}}
service imap-login {{
  {chroot}
  process_limit = 2000
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service imap {{
  process_limit = 4000
  {imap}
}}
service lmtp {{
  process_limit = 200
  {lmtp_user}
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
}}
service anvil {{
  {chroot}
  client_limit = 10000
}}
service auth {{
  client_limit = 10000
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


class Dovecot:
    """format is sdbox or maildir; settings is added to the configuration as it stands."""

    def __init__(self, folder, base, format="sdbox", fsync_always=False, shared=False):
        self.dir, self.imap_port, self.lmtp_port = folder, base + 143, base + 24
        self.format, self.fsync_always, self.shared = format, fsync_always, shared

    def start(self):
        os.makedirs(os.path.join(self.dir, "mail"))
        root = os.geteuid() == 0
        me = pwd.getpwuid(os.geteuid()).pw_name
        group = "nogroup" if root else str(os.getegid())
        user = "nobody" if root else me
        if root:
            shutil.chown(os.path.join(self.dir, "mail"), user, group)
        path = os.path.join(self.dir, "dovecot.conf")
        with open(path, "w") as f:
            f.write(CONFIGURATION.format(
                dir=self.dir, format=self.format, user=user, group=group,
                internal="dovecot" if root else me, internal_group="dovecot" if root else group,
                login="dovenull" if root else me, chroot="" if root else "chroot =",
                lmtp_user="" if root else "user = " + me,
                imap="client_limit = 1000\n  service_count = 0" if self.shared else "",
                fsync="mail_fsync = always" if self.fsync_always else "",
                imap_port=self.imap_port, lmtp_port=self.lmtp_port))
        subprocess.run(["dovecot", "-c", path], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=True)
        deadline = time.monotonic() + 20
        while not (self.answers(self.imap_port) and self.answers(self.lmtp_port)):
            if time.monotonic() > deadline:
                raise RuntimeError("Dovecot did not start; see %s/log" % self.dir)
            time.sleep(0.05)

    @staticmethod
    def answers(port):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                return s.recv(64)[:1] in (b"*", b"2")
        except OSError:
            return False

    def master_pid(self):
        with open(os.path.join(self.dir, "run", "master.pid")) as f:
            return int(f.read())

    def stop(self):
        pid = self.master_pid()
        os.kill(pid, signal.SIGTERM)
        while os.path.exists("/proc/%d" % pid):
            time.sleep(0.02)

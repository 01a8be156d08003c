"""A private Postfix that takes SMTP on 127.0.0.1 and hands everything to an LMTP server."""
import os
import shutil
import smtplib
import subprocess

from lib import wait_for

MAIN = """
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {dir}/mail.log
maillog_file_prefixes = /tmp, /var, {dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.org
mydestination =
local_transport = error:no local mail
alias_maps =
alias_database =
virtual_mailbox_domains = example.org
virtual_mailbox_maps = static:ok
virtual_transport = {lmtp}
default_transport = error:no outbound
smtpd_relay_restrictions = reject_unauth_destination
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
message_size_limit = 100000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
# The message passes as it is: no added or rewritten fields (but Received), no folding of long lines,
# no removal of Return-Path and the like.
local_header_rewrite_clients =
always_add_missing_headers = no
message_drop_headers =
lmtp_line_length_limit = 0
header_size_limit = 10000000
disable_mime_input_processing = yes
disable_mime_output_conversion = yes
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
lmtp      unix - - n - - lmtp
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """In a with statement. lmtp is a destination as in lmtp:unix:/path or lmtp:inet:127.0.0.1:24."""

    def __init__(self, folder, port, lmtp):
        self.dir, self.port, self.lmtp = folder, port, lmtp
        self.etc = os.path.join(folder, "etc")

    def __enter__(self):
        for name in ("etc", "spool", "data"):
            os.makedirs(os.path.join(self.dir, name))
        shutil.chown(os.path.join(self.dir, "data"), "postfix")
        with open(os.path.join(self.etc, "main.cf"), "w") as f:
            f.write(MAIN.format(dir=self.dir, lmtp=self.lmtp))
        with open(os.path.join(self.etc, "master.cf"), "w") as f:
            f.write(MASTER.format(port=self.port))
        self.postfix("start")
        return self

    def postfix(self, command):
        # Its daemons must not inherit our pipes, or whoever reads them waits for ever.
        subprocess.run(["postfix", "-c", self.etc, command], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __exit__(self, kind, *_):
        if kind:
            with open(os.path.join(self.dir, "mail.log"), errors="replace") as f:
                print("---- Postfix ----\n" + f.read()[-4000:])
        self.postfix("stop")

    def client(self):
        def connect():
            try:
                return smtplib.SMTP("127.0.0.1", self.port, timeout=60)
            except OSError:
                return None
        return wait_for(connect, "Postfix answers")

    def send(self, sender, recipient, data):
        """Exactly these octets (smtplib.sendmail would change line ends)."""
        from lib import stuffed
        client = self.client()
        client.ehlo("client.example.net")
        client.mail(sender, ["BODY=8BITMIME"])
        client.rcpt(recipient)
        code, text = client.docmd("DATA")
        if code != 354:
            raise AssertionError(text)
        client.send(stuffed(data))
        code, text = client.getreply()
        if code != 250:
            raise AssertionError(text)
        client.quit()

    def wait_until_empty(self, seconds=120):
        def empty():
            done = subprocess.run(["postqueue", "-c", self.etc, "-p"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
            return b"queue is empty" in done.stdout
        wait_for(empty, "Postfix's queue is empty", seconds, 0.2)

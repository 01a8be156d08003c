"""What every end-to-end test uses: a private instance, LMTP and IMAP clients, and waiting.

A test is one file test_<behaviour>.py. It runs from top to bottom in a process of its own; it fails
when it raises, and skip() leaves it out with a reason. Lines at its top tell the runner more:
    # timeout: 300      seconds it may take (120 otherwise)
    # slow              stays out of the sanitizer run
    # needs: root       it is skipped for an ordinary user
"""
import base64
import contextlib
import fcntl
import hashlib
import imaplib
import json
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("LM_BUILD", TOP))
sys.path.insert(0, os.path.join(TOP, "tests", "corpus"))
SANITIZED = os.environ.get("LM_SANITIZED") == "1"
PATIENCE = 30 if not SANITIZED else 90  # seconds an event may take on a loaded machine


def skip(reason):
    print("SKIP: " + reason)
    sys.stdout.flush()
    os._exit(77)


def wait_for(condition, what, seconds=PATIENCE, interval=0.02):
    """Waits until condition() is true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("did not happen in %d s: %s" % (seconds, what))
        time.sleep(interval)


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError("%s: got %.600r, wanted %.600r" % (what, got, wanted))


# ---- ports ----

class PortBase:
    """Reserves 1000 ports for this process, by a lock file that all test runs on the machine share."""

    def __init__(self):
        folder = os.path.join(tempfile.gettempdir(), "lightmail-test-ports")
        old = os.umask(0)
        try:
            os.makedirs(folder, mode=0o1777, exist_ok=True)
            for base in range(10000, 31000, 1000):
                descriptor = os.open(os.path.join(folder, str(base)), os.O_RDWR | os.O_CREAT, 0o666)
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if self.is_free(base):
                        self.descriptor, self.base = descriptor, base
                        return
                os.close(descriptor)
        finally:
            os.umask(old)
        raise AssertionError("no free range of ports")

    @staticmethod
    def is_free(base):
        for offset in (24, 25, 80, 110, 143, 993, 995):
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("127.0.0.1", base + offset))
                except OSError:
                    return False
        return True

    def free(self):
        os.close(self.descriptor)


# ---- an instance ----

class Instance:
    """A private LightMail. Use it in a with statement; what it leaves running is a failure."""

    def __init__(self, settings=(), users=3, isolation="session", as_user=None):
        self.settings, self.users, self.isolation, self.as_user = settings, users, isolation, as_user
        self.folder = tempfile.mkdtemp(prefix="lmt-", dir=os.environ.get("LM_TEST_TMP"))
        os.chmod(self.folder, 0o755)
        self.dir = os.path.join(self.folder, "i")
        self.build, self.script = BUILD, os.path.join(TOP, "dev", "instance")
        self.reserved = PortBase()
        self.base = self.reserved.base
        self.imap_port, self.imaps_port = self.base + 143, self.base + 993
        self.lmtp_port, self.http_port = self.base + 24, self.base + 80
        self.lmtp_socket = os.path.join(self.dir, "lmtp.sock")
        self.config = os.path.join(self.dir, "etc", "lightmail.conf")
        if as_user:
            self.prepare_for_user()

    def prepare_for_user(self):
        """Another user may not be able to read this tree: give them a copy of what runs."""
        copy = os.path.join(self.folder, "tree")
        for path in ["dev/instance", "master/lightmail", "ctl/lightmailctl"] + \
                ["services/%s/%s" % (s, s) for s in os.listdir(os.path.join(BUILD, "services"))]:
            source = os.path.join(TOP if path == "dev/instance" else BUILD, path)
            if os.path.exists(source):
                os.makedirs(os.path.join(copy, os.path.dirname(path)), exist_ok=True)
                shutil.copy(source, os.path.join(copy, path))
        self.build, self.script = copy, os.path.join(copy, "dev", "instance")
        os.mkdir(self.dir)
        shutil.chown(self.dir, self.as_user)

    def command(self, *words):
        if not self.as_user:
            return list(words)
        return ["setpriv", "--reuid=" + self.as_user, "--regid=nogroup", "--clear-groups", *words]

    def run(self, *words, **keywords):
        return subprocess.run(self.command(*words), stdin=subprocess.DEVNULL if
                              "input" not in keywords else None, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=dict(os.environ, LM_BUILD=self.build),
                              timeout=200, cwd="/", **keywords)

    def start(self):
        words = [self.script, "start", self.dir, "--port-base", str(self.base),
                 "--users", str(self.users), "--isolation", self.isolation]
        for setting in self.settings:
            words += ["--set", setting]
        done = self.run(*words)
        if done.returncode != 0:
            raise AssertionError("dev/instance start: " + done.stdout.decode(errors="replace"))
        equal(done.stdout.decode().split()[-1], "ready", "the last word of dev/instance start")

    def stop(self):
        """Stops it in order; raises when anything had to be killed."""
        done = self.run(self.script, "stop", self.dir)
        if done.returncode != 0:
            raise AssertionError(done.stdout.decode(errors="replace"))

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close(True)
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.close(kind is not None)

    def close(self, failed):
        try:
            if failed:
                with contextlib.suppress(Exception):
                    self.run(self.script, "stop", self.dir)
                self.print_log()
            else:
                self.stop()
                self.check_log()
        finally:
            self.reserved.free()
            shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        try:
            with open(os.path.join(self.dir, "log"), errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def print_log(self):
        print("---- the end of the server's log ----\n" + self.log()[-12000:])

    def check_log(self):
        """No test may leave a sanitizer's report or a crash behind."""
        for line in self.log().splitlines():
            if "AddressSanitizer" in line or "runtime error:" in line or "LeakSanitizer" in line:
                self.print_log()
                raise AssertionError("sanitizer: " + line)

    # -- control --

    def ctl(self, *words, input=None, check=True):
        """Output (stdout and stderr) of lightmailctl, or with check=False (status, output)."""
        done = self.run(os.path.join(self.build, "ctl", "lightmailctl"), "-c", self.config,
                        *words, **({"input": input} if input is not None else {}))
        output = done.stdout.decode(errors="replace")
        if not check:
            return done.returncode, output
        if done.returncode != 0:
            raise AssertionError("lightmailctl %s: %d: %s" % (words, done.returncode, output))
        return output

    def status(self):
        return json.loads(self.ctl("status", "--json"))

    def master_pid(self):
        with open(os.path.join(self.dir, "master.pid")) as f:
            return int(f.read())

    def pids(self, service):
        """Processes of a service, the parent of sessions first, found below master."""
        return [p for p in descendants(self.master_pid())
                if os.path.basename(executable(p)) == service]

    def kill(self, service, number=signal.SIGKILL):
        pids = self.pids(service)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return pids

    # -- clients --

    def lmtp(self, **keywords):
        return Lmtp("127.0.0.1", self.lmtp_port, **keywords)

    def smtplib(self):
        return smtplib.LMTP("127.0.0.1", self.lmtp_port)

    def imap(self, user="user0@example.org", password="pass", select=None):
        client = Imap("127.0.0.1", self.imap_port)
        client.ok("LOGIN %s %s" % (user, password))
        if select:
            client.ok('SELECT "%s"' % select)
        return client

    def raw_imap(self):
        return Imap("127.0.0.1", self.imap_port)

    def imaplib(self, user="user0@example.org", password="pass"):
        client = imaplib.IMAP4("127.0.0.1", self.imap_port)
        client.login(user, password)
        return client

    def tls_context(self):
        return ssl.create_default_context(cafile=os.path.join(self.dir, "ca.pem"))

    def deliver(self, message, to="user0@example.org", sender="sender@example.net"):
        with self.lmtp() as client:
            for code, text in client.send(sender, [to], message):
                equal(code, 250, text)

    def http(self, path):
        """(status, body) of a GET."""
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=PATIENCE)
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()


def executable(pid):
    try:
        return os.readlink("/proc/%d/exe" % pid)
    except OSError:
        return ""


def descendants(pid):
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                with open("/proc/%s/stat" % name) as f:
                    parent = int(f.read().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found, queue = [], [pid]
    while queue:
        below = sorted(children.get(queue.pop(0), []))
        found += below
        queue += below
    return found


# ---- messages ----

def message(n=0, body="Hello.\r\n", headers=""):
    """A small message that begins with a Received field, as an MTA's does."""
    return ("Received: from client.example.net by mx.example.org with ESMTP id Q%d;\r\n"
            "\tMon, 2 Nov 2026 10:00:00 +0000\r\n"
            "From: Sender <sender@example.net>\r\nTo: user0@example.org\r\n"
            "Subject: message %d\r\nMessage-ID: <%d@example.net>\r\n"
            "Date: Mon, 2 Nov 2026 10:00:00 +0000\r\n%s\r\n%s" % (n, n, n, headers, body)).encode()


ADDED = (b"return-path", b"delivered-to", b"received")


def without_added_fields(stored, single=True):
    """Removes the fields that LMTP puts in front (Return-Path, Delivered-To for one recipient, one
    Received), each exactly once and only at the top; fails when they are not there."""
    names = []
    while len(names) < (3 if single else 2):
        found = re.match(rb"([A-Za-z-]+):(?:[^\r]|\r(?!\n))*\r\n(?:[ \t](?:[^\r]|\r(?!\n))*\r\n)*", stored)
        if found is None or found.group(1).lower() not in ADDED:
            raise AssertionError("no added fields at the top: %r" % stored[:300])
        names.append(found.group(1).lower())
        stored = stored[found.end():]
    equal(len(set(names)), len(names), "added fields %r" % names)
    return stored


# ---- LMTP ----

class Lmtp:
    """A plain LMTP client that sends exactly the octets it is given."""

    def __init__(self, host, port, path=None, hello=True, timeout=PATIENCE * 2):
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(path)
        else:
            self.socket = socket.create_connection((host, port), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()
        self.capabilities = []
        if hello:
            code, text = self.cmd("LHLO client.example.net")
            equal(code, 250, text)
            self.capabilities = text.split("\n")[1:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.sendall(b"QUIT\r\n")
        self.file.close()
        self.socket.close()

    def reply(self):
        lines = []
        while True:
            line = self.file.readline()
            if not line.endswith(b"\r\n"):
                raise ConnectionError("connection closed: %r" % line)
            line = line.decode("utf-8", "replace").rstrip("\r\n")
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(lines)

    def write(self, data):
        self.socket.sendall(data)

    def cmd(self, line):
        self.write(line.encode() + b"\r\n")
        return self.reply()

    def envelope(self, sender, recipients, parameters=""):
        """MAIL and RCPTs; the replies to the RCPTs."""
        code, text = self.cmd("MAIL FROM:<%s>%s" % (sender, parameters))
        equal(code, 250, text)
        return [self.cmd("RCPT TO:<%s>" % r) for r in recipients]

    def send(self, sender, recipients, data, parameters=""):
        """DATA; one (code, text) for each recipient, refused ones included."""
        replies = self.envelope(sender, recipients, parameters)
        accepted = [i for i, (code, _) in enumerate(replies) if code == 250]
        if accepted:
            code, text = self.cmd("DATA")
            equal(code, 354, text)
            self.write(stuffed(data))
            for i in accepted:
                replies[i] = self.reply()
        else:
            self.cmd("RSET")
        return replies


def stuffed(data):
    """With dots stuffed after CRLF only, and the end of DATA."""
    data = re.sub(rb"(\A|\r\n)\.", rb"\1..", data)
    return data + (b".\r\n" if data.endswith(b"\r\n") or not data else b"\r\n.\r\n")


# ---- IMAP ----

class No(Exception):
    """A command was answered NO or BAD; args: (status, text)."""


class Response:
    """The answer to one command: status, text, untagged lines (octets with literals in place)."""

    def __init__(self, status, text, untagged):
        self.status, self.text, self.untagged = status, text, untagged

    def find(self, pattern):
        """The first untagged line that matches, as a match object, or None."""
        for line in self.untagged:
            found = re.match(pattern.encode(), line, re.I | re.S)
            if found:
                return found
        return None

    def all(self, pattern):
        return [m for m in (re.match(pattern.encode(), line, re.I | re.S) for line in self.untagged) if m]

    def fetches(self):
        """{sequence number: {item: value}} of all FETCH responses."""
        result = {}
        for line in self.untagged:
            found = re.match(rb"\* (\d+) FETCH ", line, re.I)
            if found:
                values, _ = parse(line, found.end())
                pairs = dict(zip((v.upper().decode() for v in values[::2]), values[1::2]))
                result.setdefault(int(found.group(1)), {}).update(pairs)
        return result

    def search(self):
        found = self.find(r"\* SEARCH(.*?)\r\n")
        return [] if found is None else [int(x) for x in found.group(1).split() if x.isdigit()]


def parse(data, at):
    """One IMAP value at data[at]: (value, end). Lists are lists, NIL is None, all else bytes."""
    while data[at:at + 1] == b" ":
        at += 1
    first = data[at:at + 1]
    if first == b"(":
        values, at = [], at + 1
        while True:
            while data[at:at + 1] == b" ":
                at += 1
            if data[at:at + 1] == b")":
                return values, at + 1
            if at >= len(data):
                raise AssertionError("list without end: %r" % data[:200])
            value, at = parse(data, at)
            values.append(value)
    if first == b'"':
        found = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"').match(data, at)
        if found is None:
            raise AssertionError("bad quoted string: %r" % data[at:at + 100])
        return re.sub(rb"\\(.)", rb"\1", found.group(1)), found.end()
    found = re.compile(rb"~?\{(\d+)\}\r\n").match(data, at)
    if found:
        end = found.end() + int(found.group(1))
        return data[found.end():end], end
    found = re.compile(rb"(?:\[[^\]]*\]|[^()\s\"\[])+").match(data, at)
    if found is None:
        raise AssertionError("bad value: %r" % data[at:at + 100])
    return (None if found.group() == b"NIL" else found.group()), found.end()


class Imap:
    """An IMAP client that shows every octet."""

    def __init__(self, host, port, context=None, timeout=PATIENCE * 2):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.file = self.socket.makefile("rb")
        self.n = 0
        self.greeting = self.line()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.file.close()
            self.socket.close()

    def starttls(self, context):
        self.ok("STARTTLS")
        self.file.close()
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.file = self.socket.makefile("rb")

    def line(self):
        """One response with its literals in place."""
        data = b""
        while True:
            line = self.file.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError("connection closed after %r" % (data + line)[-200:])
            data += line
            literal = re.search(rb"\{(\d+)\}\r\n\Z", line)
            if not literal:
                return data
            data += self.read_exactly(int(literal.group(1)))

    def read_exactly(self, n):
        data = self.file.read(n)
        if len(data) != n:
            raise ConnectionError("connection closed inside a literal")
        return data

    def write(self, data):
        self.socket.sendall(data)

    def tag(self):
        self.n += 1
        return b"a%d" % self.n

    def send(self, text, *literals):
        """Sends a command; each {} in it becomes a synchronising literal. Returns the tag."""
        tag = self.tag()
        pieces = (text if isinstance(text, bytes) else text.encode()).split(b"{}")
        self.early = []
        data = tag + b" " + pieces[0]
        for literal, piece in zip(literals, pieces[1:]):
            self.write(data + b"{%d}\r\n" % len(literal))
            while True:
                line = self.line()
                if line.startswith(b"+"):
                    break
                self.early.append(line)
                if line.startswith(tag + b" "):
                    return tag
            data = literal + piece
        self.write(data + b"\r\n")
        return tag

    def finish(self, tag):
        untagged = []
        pending, self.early = getattr(self, "early", []), []
        while True:
            line = pending.pop(0) if pending else self.line()
            if line.startswith(tag + b" "):
                status, _, text = line[len(tag) + 1:].decode("utf-8", "replace").strip().partition(" ")
                return Response(status.upper(), text, untagged)
            untagged.append(line)

    def cmd(self, text, *literals):
        return self.finish(self.send(text, *literals))

    def pipeline(self, *commands):
        """Sends all commands at once; their responses, whatever order they come in (untagged lines
        stand in the one that was finished next)."""
        tags = [self.tag() for _ in commands]
        self.write(b"".join(t + b" " + c.encode() + b"\r\n" for t, c in zip(tags, commands)))
        found, untagged = {}, []
        while len(found) < len(tags):
            line = self.line()
            tag, _, rest = line.partition(b" ")
            if tag in tags:
                status, _, text = rest.decode("utf-8", "replace").strip().partition(" ")
                found[tag] = Response(status.upper(), text, untagged)
                untagged = []
            else:
                untagged.append(line)
        return [found[t] for t in tags]

    def ok(self, text, *literals):
        response = self.cmd(text, *literals)
        if response.status != "OK":
            raise AssertionError("%r: %s %s" % (text, response.status, response.text))
        return response

    def no(self, text, *literals, status="NO"):
        response = self.cmd(text, *literals)
        equal(response.status, status, "%r: %s" % (text, response.text))
        return response

    def append(self, mailbox, data, flags=None, date=None):
        words = 'APPEND "%s"' % mailbox
        if flags is not None:
            words += " (%s)" % flags
        if date:
            words += ' "%s"' % date
        return self.ok(words + " {}", data)

    def fetch(self, numbers, items, uid=False):
        return self.ok("%sFETCH %s %s" % ("UID " if uid else "", numbers, items)).fetches()

    def bodies(self):
        """All messages of the selected mailbox: {uid: octets}."""
        return {int(f["UID"]): f["BODY[]"] for f in self.fetch("1:*", "(UID BODY.PEEK[])").values()} \
            if self.count() else {}

    def count(self):
        return int(self.ok("NOOP").status == "OK" and self.status_of_selected())

    def status_of_selected(self):
        return len(self.ok("UID SEARCH ALL").search())

    def exists(self, mailbox="INBOX"):
        return int(self.ok('STATUS "%s" (MESSAGES)' % mailbox).find(r".*MESSAGES (\d+)").group(1))

#!/usr/bin/env python3
"""The benchmarks: LightMail and Debian's Dovecot 2.3 in turns on the same file system.

    dev/bench [--rounds N] [--quick] [NAME...]

NAME is the beginning of a benchmark's name: lmtp-1, lmtp-10, lmtp-50, lmtp-one-user, idle, select,
fetch-flags. As root the servers work on a freshly made, loop-mounted ext4 with a journal. CPU is
that of all processes of a server (user + system, ended ones included), memory is PSS.

Dovecot runs with its defaults, which sync delivered mail but neither flags nor expunges; the peer
"sdbox, fsync" has mail_fsync=always, which is what LightMail does.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("LM_BUILD", TOP))
sys.path[:0] = [HERE, os.path.join(TOP, "tests", "e2e")]
import dovecot  # noqa: E402
import lib  # noqa: E402

LOAD = os.path.join(BUILD, "tests", "bench", "lmload")
USERS = 50
OCTETS = 4096
BIG = 100000


class LightMail:
    name = "LightMail"

    def __init__(self, folder, base):
        self.dir, self.base = folder, base
        self.imap_port, self.lmtp_port = base + 143, base + 24

    def start(self):
        subprocess.run([os.path.join(TOP, "dev", "instance"), "start", self.dir, "--port-base",
                        str(self.base), "--users", str(USERS)], check=True, stdout=subprocess.DEVNULL)

    def master_pid(self):
        with open(os.path.join(self.dir, "master.pid")) as f:
            return int(f.read())

    def stop(self):
        subprocess.run([os.path.join(TOP, "dev", "instance"), "stop", self.dir], check=True)


# ---- measuring ----

def cpu_seconds(server):
    """User and system time of a server's processes with that of their ended children."""
    ticks = 0
    pid = server.master_pid()
    for p in [pid] + lib.descendants(pid):
        try:
            with open("/proc/%d/stat" % p) as f:
                ticks += sum(int(x) for x in f.read().rpartition(")")[2].split()[11:15])
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


def pss_octets(server):
    total = 0
    pid = server.master_pid()
    for p in [pid] + lib.descendants(pid):
        try:
            with open("/proc/%d/smaps_rollup" % p) as f:
                total += sum(int(line.split()[1]) * 1024 for line in f if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def settled_cpu(server):
    """The CPU time once the server has nothing more to do for what was measured."""
    last = cpu_seconds(server)
    while True:
        time.sleep(0.2)
        now = cpu_seconds(server)
        if now - last < 0.02:
            return now
        last = now


def load(*words):
    done = subprocess.run([LOAD] + [str(w) for w in words], stdout=subprocess.PIPE, check=True)
    return [[float(x) for x in line.split()] for line in done.stdout.decode().splitlines()]


# ---- benchmarks: each returns {metric: value} of one round ----

def lmtp(server, connections, users, count):
    before = settled_cpu(server)
    (done, _, seconds), = load("lmtp", "127.0.0.1", server.lmtp_port, connections, users, count, OCTETS)
    return {"msgs/s": done / seconds, "CPU ms/msg": (settled_cpu(server) - before) * 1000 / done}


def idle(server, sessions):
    before = pss_octets(server)
    process = subprocess.Popen([LOAD, "idle", "127.0.0.1", str(server.imap_port), str(sessions),
                                str(USERS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("the idle sessions were refused")
        settled_cpu(server)
        return {"KB/session": (pss_octets(server) - before) / sessions / 1024}
    finally:
        process.stdin.close()
        process.wait()
        settled_cpu(server)


def fill(server):
    """100,000 messages in user0's INBOX: 1000 delivered, the others copied, alike on all servers."""
    if getattr(server, "filled", False):
        return
    client = lib.Imap("127.0.0.1", server.imap_port, timeout=600)
    client.ok("LOGIN user0@example.org pass")
    client.ok("CREATE big")
    for i in range(1000):
        client.append("big", lib.message(i, "x" * 500 + "\r\n"))
    client.ok("SELECT big")
    for size in (1000, 2000, 4000, 8000, 16000, 32000):
        client.ok("COPY 1:%d big" % size)
        client.ok("NOOP")
    client.ok("COPY 1:%d big" % (BIG - 64000))
    client.ok("NOOP")
    lib.equal(client.exists("big"), BIG, "messages in the big mailbox")
    client.close()
    server.filled = True


def select(server):
    fill(server)
    words = ("imap", "127.0.0.1", server.imap_port, "user0@example.org", "pass", "SELECT big")
    load(*words)
    before, times = settled_cpu(server), []
    for _ in range(20):
        times.append(load(*words)[0][0])
    return {"ms": statistics.median(times) * 1000,
            "CPU ms with login": (settled_cpu(server) - before) * 1000 / len(times)}


def fetch_flags(server):
    fill(server)
    command = "UID FETCH 1:* (FLAGS)"
    words = ("imap", "127.0.0.1", server.imap_port, "user0@example.org", "pass", "SELECT big")
    load(*words, command)
    before = settled_cpu(server)
    times = [t for t, _ in load(*words, *[command] * 10)[1:]]
    return {"ms": statistics.median(times) * 1000,
            "CPU ms": (settled_cpu(server) - before) * 1000 / len(times)}


def benchmarks(quick):
    few = 10 if quick else 1
    return {
        "lmtp-1": lambda s: lmtp(s, 1, 1, 1000 // few),
        "lmtp-10": lambda s: lmtp(s, 10, 10, 5000 // few),
        "lmtp-50": lambda s: lmtp(s, 50, 50, 5000 // few),
        "lmtp-one-user": lambda s: lmtp(s, 10, 1, 3000 // few),
        "idle": lambda s: idle(s, 200 // few),
        "select": select,
        "fetch-flags": fetch_flags,
    }


# ---- where ----

class Place:
    """A fresh file system, or just a folder when that cannot be had."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="lmb-", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        self.work = os.path.join(self.folder, "fs")
        os.mkdir(self.work)
        self.mounted = os.geteuid() == 0 and self.mount()
        return self

    def mount(self):
        image = os.path.join(self.folder, "image")
        with open(image, "wb") as f:
            f.truncate(24 << 30)
        for words in (["mkfs.ext4", "-q", "-F", "-O", "has_journal", image],
                      ["mount", "-o", "loop", image, self.work]):
            if subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
                os.unlink(image)
                return False
        return True

    def describe(self):
        if self.mounted:
            return "a fresh loop-mounted ext4 with a journal"
        with open("/proc/mounts") as f:
            mounts = [line.split()[:3] for line in f]
        inside = [m for m in mounts if (self.work + "/").startswith(m[1].rstrip("/") + "/")]
        return "%s (%s), shared with everything else" % (self.work, max(inside, key=lambda m: len(m[1]))[2])

    def __exit__(self, *_):
        if self.mounted:
            subprocess.run(["umount", self.work], check=True)
        shutil.rmtree(self.folder)


def make_servers(folder, peers):
    kinds = {"sdbox": ("sdbox", False), "maildir": ("maildir", False), "sdbox-fsync": ("sdbox", True)}
    servers = [(LightMail, ())] if "lightmail" in peers else []
    servers += [(dovecot.Dovecot, kinds[p]) for p in peers if p in kinds]
    made = []
    for number, (kind, arguments) in enumerate(servers):
        server = kind(os.path.join(folder, str(number)), lib.PortBase().base, *arguments)
        if arguments:
            server.name = "Dovecot " + arguments[0] + (", fsync" if arguments[1] else "")
            os.mkdir(server.dir)
        made.append(server)
    return made


# ---- the table ----

def table(results, servers):
    """Lines of Markdown: the medians and, for each peer, LightMail's figure divided by its own."""
    names = [s.name for s in servers]
    yield "| benchmark | " + " | ".join(names) + " | " + " | ".join("ratio to " + n for n in names[1:]) + " |"
    yield "|" + "---|" * (2 * len(names))
    for name, of_server in results.items():
        for metric in of_server[names[0]][0]:
            medians = [statistics.median(r[metric] for r in of_server[n]) for n in names]
            ratios = ["%.2f" % (medians[0] / m) if m else "-" for m in medians[1:]]
            yield "| %s, %s | %s | %s |" % (name, metric, " | ".join("%.3g" % m if m < 1000 else "%d" % m
                                                                    for m in medians), " | ".join(ratios))


def main():
    parser = argparse.ArgumentParser(prog="dev/bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, to try the scripts")
    parser.add_argument("--peers", default="lightmail,sdbox,maildir")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    chosen = {n: f for n, f in benchmarks(options.quick).items()
              if not options.names or any(n.startswith(x) for x in options.names)}
    results = {n: {} for n in chosen}
    with Place() as place:
        print("on %s, medians of %d rounds in turns" % (place.describe(), options.rounds))
        servers = make_servers(place.work, options.peers.split(","))
        running = []
        try:
            for server in servers:
                server.start()
                running.append(server)
            for name, measure in chosen.items():
                for number in range(options.rounds):
                    for server in servers:
                        got = measure(server)
                        results[name].setdefault(server.name, []).append(got)
                        print("%s, round %d, %s: %s" % (name, number + 1, server.name, ", ".join(
                            "%s %.3f" % pair for pair in got.items())), file=sys.stderr)
        finally:
            for server in running:
                server.stop()
    print("\n".join(table(results, servers)))


if __name__ == "__main__":
    main()

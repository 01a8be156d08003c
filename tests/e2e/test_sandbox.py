"""Each running service has dropped its rights: user, groups, capabilities, chroot, no_new_privs, seccomp."""
from lib import *

SERVICES = ["login", "auth", "imap", "lmtp", "indexer", "s3-uploader", "api"]
# Those with data of their own see the file system, of which Landlock leaves them their folders.
CHROOTED = ["login", "imap", "lmtp", "api"]

with Instance() as instance:
    session = instance.imap(select="INBOX")
    instance.deliver(message(1))
    root = os.geteuid() == 0
    users = {}
    for service in SERVICES:
        pids = instance.pids(service)
        assert pids, "no process of " + service
        for pid in pids:
            with open("/proc/%d/status" % pid) as f:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
            equal(status["NoNewPrivs"], "1", service + " NoNewPrivs")
            if not SANITIZED:
                equal(status["Seccomp"], "2", service + " Seccomp")
            for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                if root:
                    equal(int(status[kind], 16), 0, service + " " + kind)
            uids = set(status["Uid"].split())
            equal(len(uids), 1, service + " Uid")
            if root:
                assert uids != {"0"}, service + " runs as root"
                users[service] = uids.pop()
                equal(status["Groups"].split() in ([], [status["Gid"].split()[0]]), True, service + " Groups")
                if service in CHROOTED and not SANITIZED:
                    assert os.readlink("/proc/%d/root" % pid) != "/", service + " is not in a chroot"
            with open("/proc/%d/limits" % pid) as f:
                core = [line for line in f if line.startswith("Max core file size")][0].split()
            equal(core[4], "0", service + " core files")
    if root:
        equal(len(set(users.values())), len(SERVICES), "each service has a user of its own: %r" % users)

"""Deliveries and APPENDs in the background, and the books of what was acknowledged."""
import threading

from lib import *


class Load:
    """Threads deliver distinct messages, repeating each until it is acknowledged, as an MTA does."""

    def __init__(self, instance, threads=4, messages=50, users=3):
        self.instance, self.users = instance, users
        self.acknowledged, self.lock, self.problems = set(), threading.Lock(), []
        self.stopped = False
        self.threads = [threading.Thread(target=self.work, args=(k, messages)) for k in range(threads)]
        for t in self.threads:
            t.start()

    def work(self, k, messages):
        for n in range(messages):
            serial = k * 10000 + n
            deadline = time.monotonic() + PATIENCE * 2
            while not self.stopped and not self.deliver(serial):
                if time.monotonic() > deadline:
                    self.problems.append("message %d was not taken in time" % serial)
                    return
                time.sleep(0.05)  # an MTA's (short) time between two attempts

    def deliver(self, serial):
        user = "user%d@example.org" % (serial % self.users)
        try:
            with self.instance.lmtp(timeout=30) as client:
                code, text = client.send("load@example.net", [user], message(serial, "z" * 2000 + "\r\n"))[0]
        except (OSError, AssertionError):
            return False
        if code // 100 == 5:
            self.problems.append("message %d: %d %s" % (serial, code, text))
        if code == 250:
            with self.lock:
                self.acknowledged.add(serial)
        return code == 250

    def count(self):
        with self.lock:
            return len(self.acknowledged)

    def running(self):
        return any(t.is_alive() for t in self.threads)

    def finish(self):
        for t in self.threads:
            t.join()
        equal(self.problems, [], "problems of deliveries")

    def check(self):
        """Every acknowledged message is there exactly once and can be read whole."""
        found = []
        for u in range(self.users):
            imap = self.instance.imap("user%d@example.org" % u, select="INBOX")
            for data in imap.bodies().values():
                serial = int(re.search(rb"Subject: message (\d+)", data).group(1))
                assert data.endswith(b"z" * 2000 + b"\r\n"), "message %d is not whole" % serial
                found.append(serial)
        lost = sorted(self.acknowledged - set(found))
        equal(lost, [], "acknowledged messages that are lost")
        twice = sorted(s for s in set(found) if found.count(s) > 1)
        equal(twice, [], "messages that are there more than once")


def kill_under_load(service, times=4):
    """kill -9 of all processes of a service, again and again, while mail arrives."""
    with Instance() as instance:
        load = Load(instance)
        killed = 0
        for n in range(times):
            wait_for(lambda: load.count() > n * 20 or not load.running(), "deliveries go on")
            killed += len(instance.kill(service))
        assert killed > 0, "no process of %s was found" % service
        load.finish()
        equal(load.count(), 200, "acknowledged")
        load.check()
        instance.deliver(message(99999, "after\r\n"))

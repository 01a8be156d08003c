"""SIGHUP: a broken file changes nothing and is named in the log; a good one takes effect."""
from lib import *

with Instance() as instance:
    session = instance.imap(select="INBOX")
    path = os.path.join(instance.dir, "etc", "conf.d", "login.conf")
    with open(path) as f:
        good = f.read()

    def rewrite(text):
        with open(path, "w") as f:
            f.write(text)

    for broken in (good + "tls_cret = /x\n", good + "login_timeout = never\n", good + "[nonsense]\na = b\n",
                   good + "tls_cert = /nonexistent/file.pem\n"):
        seen = len(instance.log())
        rewrite(broken)
        status, output = instance.ctl("reload", check=False)
        os.kill(instance.master_pid(), signal.SIGHUP)
        wait_for(lambda: "login.conf" in instance.log()[seen:] or "/nonexistent" in instance.log()[seen:],
                 "the log names the problem: %s" % broken[len(good):])
        assert status != 0, "lightmailctl reload of a broken file succeeded: " + output
        session.ok("NOOP")
        instance.imap("user1@example.org").ok("NOOP")
    assert "tls_cert" in instance.log(), "the nearest valid name is told"
    rewrite(good + "greeting = Changed by a reload.\n")
    instance.ctl("reload")
    wait_for(lambda: b"Changed by a reload." in instance.raw_imap().greeting, "the new greeting")
    session.ok("NOOP")
    instance.deliver(message(1))
    assert session.ok("NOOP").find(r"\* 1 EXISTS"), "the old session lives on"

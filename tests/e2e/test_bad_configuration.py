"""Master refuses to start with a list of all that is wrong, by file and line."""
from lib import *

with Instance() as instance:
    path = os.path.join(instance.dir, "etc", "conf.d", "lmtp.conf")
    instance.stop()
    with open(path) as f:
        good = f.read()
    with open(path, "w") as f:
        f.write(good + "listn = 127.0.0.1:1\nmessage_size_limit = huge\n")
    done = instance.run(os.path.join(instance.build, "master", "lightmail"), "-F", "-c", instance.config)
    output = done.stdout.decode()
    assert done.returncode != 0
    line = good.count("\n") + 1
    for words in ("lmtp.conf:%d" % line, "lmtp.conf:%d" % (line + 1), "listn", "listen", "message_size_limit"):
        assert words in output, (words, output)
    status, output = instance.ctl("config", "check", check=False)
    assert status != 0 and "lmtp.conf:%d" % line in output, output
    with open(path, "w") as f:
        f.write(good)
    instance.ctl("config", "check")
    instance.start()

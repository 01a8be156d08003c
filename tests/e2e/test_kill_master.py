"""kill -9 of master and all its children under load; after a start everything acknowledged is there."""
# timeout: 200
from loading import *

with Instance() as instance:
    load = Load(instance, threads=4, messages=1000)
    wait_for(lambda: load.count() > 60, "deliveries")
    pids = [instance.master_pid()] + descendants(instance.master_pid())
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    load.stopped = True
    load.finish()
    instance.stop()
    instance.start()
    load.check()
    instance.deliver(message(99999, "after\r\n"))

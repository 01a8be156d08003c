"""lightmailctl stop ends everything in order."""
from lib import *

with Instance() as instance:
    pids = [instance.master_pid()] + descendants(instance.master_pid())
    instance.ctl("stop")
    wait_for(lambda: not any(executable(p) for p in pids), "all processes end", seconds=60)
    instance.stop()
    instance.start()

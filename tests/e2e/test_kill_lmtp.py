"""kill -9 of lmtp under load: nothing acknowledged is lost, nothing is there twice."""
# timeout: 200
from loading import *

kill_under_load("lmtp")

"""At least 300 varied messages through Postfix and LMTP, out through mbsync: byte for byte, as root."""
# needs: root
# timeout: 300
from real_input import *

check()

"""The same with LightMail running as an ordinary user."""
# needs: root
# slow
# timeout: 300
from real_input import *

check(as_user="nobody")

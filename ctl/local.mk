# ctl: its part of the one Makefile

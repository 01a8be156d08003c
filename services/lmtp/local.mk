# services/lmtp: its part of the one Makefile

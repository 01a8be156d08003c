# services/auth: its part of the one Makefile

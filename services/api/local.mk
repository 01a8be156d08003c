# services/api: its part of the one Makefile

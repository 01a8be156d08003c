# master: its part of the one Makefile

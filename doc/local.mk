# doc: its part of the one Makefile

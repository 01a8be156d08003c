# dev: its part of the one Makefile

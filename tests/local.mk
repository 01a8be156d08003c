# tests: its part of the one Makefile

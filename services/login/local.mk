# services/login: its part of the one Makefile

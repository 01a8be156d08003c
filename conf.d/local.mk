# conf.d: its part of the one Makefile

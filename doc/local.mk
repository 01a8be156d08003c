# doc: its part of the one Makefile
dist_man_MANS = doc/lightmailctl.1

# services/imap: its part of the one Makefile

# services/indexer: its part of the one Makefile

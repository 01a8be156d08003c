# doc: its part of the one Makefile
dist_man_MANS = doc/lightmailctl.1 doc/lightmail.8
EXTRA_DIST += doc/MAP.md doc/guide.md doc/protocols.md doc/storage.md doc/performance.md doc/check-tables dev/docs
TESTS += doc/check-tables

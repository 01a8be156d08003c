# lib-storage: MIME, packs, mailbox and object formats, SQL
noinst_LIBRARIES += lib-storage/liblmstorage.a
lib_storage_liblmstorage_a_SOURCES = lib-storage/flags.h

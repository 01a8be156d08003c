# s3-uploader: bodies, both ways
lm_libexec_PROGRAMS += services/s3-uploader/s3-uploader
s3_uploader_files = \
	services/s3-uploader/s3-uploader.c services/s3-uploader/s3-uploader.h \
	services/s3-uploader/s3-uploader-put.c services/s3-uploader/s3-uploader-get.c \
	services/s3-uploader/s3-uploader-maintain.c \
	services/s3-uploader/s3-uploader-settings.c services/s3-uploader/s3-uploader-settings.h
services_s3_uploader_s3_uploader_SOURCES = services/s3-uploader/main.c $(s3_uploader_files)
services_s3_uploader_s3_uploader_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS)
check_PROGRAMS += tests/unit/s3-uploader-test
tests_unit_s3_uploader_test_SOURCES = tests/unit/s3-uploader-test.c $(s3_uploader_files)
tests_unit_s3_uploader_test_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(CMOCKA_LIBS)

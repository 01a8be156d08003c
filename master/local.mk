# master: the supervisor
sbin_PROGRAMS += master/lightmail
MASTER_SETTINGS = \
	services/api/api-settings.c \
	services/auth/auth-settings.c \
	services/imap/imap-settings.c \
	services/indexer/indexer-settings.c \
	services/lmtp/lmtp-settings.c \
	services/login/login-settings.c \
	services/s3-uploader/s3-uploader-settings.c
master_lightmail_SOURCES = \
	master/master.h \
	master/admin.c \
	master/bind.c \
	master/main.c \
	master/notify.c \
	master/plan.c \
	master/process.c \
	master/reload.c \
	master/spawn.c \
	$(MASTER_SETTINGS)
master_lightmail_LDADD = $(COMMON_LIBS)

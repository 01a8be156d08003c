# lightmailctl
bin_PROGRAMS += ctl/lightmailctl
ctl_lightmailctl_SOURCES = \
	ctl/ctl.h \
	ctl/ctl-ask.c \
	ctl/ctl-config.c \
	ctl/ctl-init.c \
	ctl/ctl-mail.c \
	ctl/ctl-ops.c \
	ctl/ctl-print.c \
	ctl/ctl-user.c \
	ctl/main.c \
	$(MASTER_SETTINGS)
ctl_lightmailctl_LDADD = $(STORAGE_LIBS) $(COMMON_LIBS) $(JANSSON_LIBS)

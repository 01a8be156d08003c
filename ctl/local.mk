# ctl: lightmailctl
bin_PROGRAMS += ctl/lightmailctl
ctl_lightmailctl_SOURCES = \
	ctl/call.c \
	ctl/cmd-init.c \
	ctl/cmd-mailbox.c \
	ctl/cmd-server.c \
	ctl/cmd-user.c \
	ctl/ctl.h \
	ctl/main.c \
	ctl/output.c \
	ctl/self-signed.c ctl/self-signed.h \
	$(MASTER_SETTINGS)
ctl_lightmailctl_LDADD = $(AUTH_LIBS) $(JANSSON_LIBS) $(COMMON_LIBS)

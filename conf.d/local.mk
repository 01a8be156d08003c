# conf.d: sample files, printed from the rows of the settings. lightmail.conf names the folders that
# configure was given, so it is made by the build; the others are kept in the tree, and checked.
CONF_SERVICES = conf.d/api.conf conf.d/auth.conf conf.d/imap.conf conf.d/indexer.conf \
	conf.d/lmtp.conf conf.d/login.conf conf.d/s3-uploader.conf
EXTRA_DIST += $(CONF_SERVICES) conf.d/check-samples
noinst_DATA = conf.d/lightmail.conf
CLEANFILES += conf.d/lightmail.conf
TESTS += conf.d/check-samples

conf.d/lightmail.conf: master/lightmail
	$(AM_V_GEN)dir=`mktemp -d` && master/lightmail --print-samples $$dir && \
	mkdir -p conf.d && cp $$dir/lightmail.conf $@ && rm -rf $$dir

# Writes the samples of the services into the source tree again.
samples: master/lightmail
	dir=`mktemp -d` && master/lightmail --print-samples $$dir && \
	cp $$dir/conf.d/*.conf $(srcdir)/conf.d/ && rm -rf $$dir
.PHONY: samples

# An operator's file is never overwritten.
install-data-local: conf.d/lightmail.conf
	$(MKDIR_P) $(DESTDIR)$(sysconfdir)/lightmail/conf.d
	test -e $(DESTDIR)$(sysconfdir)/lightmail/lightmail.conf || \
		$(INSTALL_DATA) conf.d/lightmail.conf $(DESTDIR)$(sysconfdir)/lightmail/lightmail.conf
	for f in $(CONF_SERVICES); do \
		test -e $(DESTDIR)$(sysconfdir)/lightmail/$$f || \
		$(INSTALL_DATA) $(srcdir)/$$f $(DESTDIR)$(sysconfdir)/lightmail/$$f || exit 1; \
	done

uninstall-local:
	for f in $(CONF_SERVICES); do \
		! cmp -s $(srcdir)/$$f $(DESTDIR)$(sysconfdir)/lightmail/$$f || \
		rm -f $(DESTDIR)$(sysconfdir)/lightmail/$$f; \
	done
	! cmp -s conf.d/lightmail.conf $(DESTDIR)$(sysconfdir)/lightmail/lightmail.conf || \
		rm -f $(DESTDIR)$(sysconfdir)/lightmail/lightmail.conf

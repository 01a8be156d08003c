/* init: what a new installation needs before its first start. Each step can be repeated. */
#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib-common/mem.h"
#include "lib-storage/locator.h"
#include "services/auth/auth-settings.h"
#include "services/indexer/indexer-settings.h"
#include "services/login/login-settings.h"
#include "services/s3-uploader/s3-uploader-settings.h"

#define CERTIFICATE_DAYS 3650

static int make_folders(const char *path)
{
	char *copy = mem_strdup(path);
	int r = 0;

	for (char *p = copy + 1; r == 0; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST) {
			fprintf(stderr, "lightmailctl: %s: %s\n", copy, strerror(errno));
			r = -1;
		}
		*p = c;
		if (c == '\0')
			break;
	}
	mem_free(copy);
	return r;
}

/* A folder for one service alone. */
static int make_service_folder(struct ctl *ctl, const char *path, const char *user)
{
	const struct passwd *pw;

	if (make_folders(path) < 0)
		return -1;
	if (chmod(path, 0700) < 0) {
		fprintf(stderr, "lightmailctl: %s: %s\n", path, strerror(errno));
		return -1;
	}
	if (geteuid() == 0 && ctl->global->separate_users) {
		pw = getpwnam(user);
		if (pw == NULL) {
			fprintf(stderr, "lightmailctl: no system user %s\n", user);
			return -1;
		}
		if (chown(path, pw->pw_uid, pw->pw_gid) < 0) {
			fprintf(stderr, "lightmailctl: %s: %s\n", path, strerror(errno));
			return -1;
		}
	}
	printf("folder %s\n", path);
	return 0;
}

static int make_parent(struct ctl *ctl, const char *file, const char *user)
{
	char *folder = mem_strdup(file);
	int r;

	*strrchr(folder, '/') = '\0';
	r = make_service_folder(ctl, folder, user);
	mem_free(folder);
	return r;
}

static int make_kek(const char *path)
{
	char *folder;
	struct err e;

	if (access(path, F_OK) == 0)
		return 0;
	folder = mem_strdup(path);
	*strrchr(folder, '/') = '\0';
	if (make_folders(folder) < 0 || chmod(folder, 0700) < 0) {
		mem_free(folder);
		return -1;
	}
	mem_free(folder);
	if (kek_file_create(path, &e) < 0) {
		fprintf(stderr, "lightmailctl: %s\n", e.log);
		return -1;
	}
	printf("key-encryption key %s\n"
	       "  Keep a copy of this file apart from the mail: without it no body can be read.\n",
		path);
	return 0;
}

static X509 *make_certificate(EVP_PKEY *key, const char *hostname)
{
	X509 *cert = X509_new();
	X509_NAME *name;
	X509_EXTENSION *ext;
	char *alt = mem_printf("DNS:%s,DNS:localhost,IP:127.0.0.1", hostname);

	if (cert == NULL)
		return NULL;
	(void)X509_set_version(cert, 2);
	(void)ASN1_INTEGER_set_int64(X509_get_serialNumber(cert), clock_wall_s());
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	(void)X509_time_adj_ex(X509_getm_notAfter(cert), CERTIFICATE_DAYS, 0, NULL);
	name = X509_get_subject_name(cert);
	(void)X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_UTF8, (const unsigned char *)hostname, -1, -1, 0);
	(void)X509_set_issuer_name(cert, name);
	(void)X509_set_pubkey(cert, key);
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt);
	if (ext != NULL)
		(void)X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	mem_free(alt);
	if (X509_sign(cert, key, EVP_sha256()) == 0) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

static FILE *open_new(const char *path, mode_t mode)
{
	char *folder = mem_strdup(path);
	int fd = -1;

	*strrchr(folder, '/') = '\0';
	if (make_folders(folder) == 0)
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		fprintf(stderr, "lightmailctl: %s: %s\n", path, strerror(errno));
	mem_free(folder);
	return fd < 0 ? NULL : fdopen(fd, "w");
}

static int make_tls(const struct login_settings *s, const char *hostname)
{
	EVP_PKEY *key;
	X509 *cert;
	FILE *f;
	int ok = 0;

	if (s->tls_cert[0] == '\0' || access(s->tls_cert, F_OK) == 0)
		return 0;
	key = EVP_EC_gen("P-256");
	cert = key == NULL ? NULL : make_certificate(key, hostname);
	if (cert != NULL && (f = open_new(s->tls_key, 0600)) != NULL) {
		ok = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
		ok = fclose(f) == 0 && ok;
	}
	if (ok && (f = open_new(s->tls_cert, 0644)) != NULL) {
		ok = PEM_write_X509(f, cert);
		ok = fclose(f) == 0 && ok;
	} else {
		ok = 0;
	}
	X509_free(cert);
	EVP_PKEY_free(key);
	if (!ok) {
		fprintf(stderr, "lightmailctl: no certificate could be made\n");
		return -1;
	}
	printf("self-signed certificate %s\n  Replace it and its key by a real one for clients.\n",
		s->tls_cert);
	return 0;
}

/* Every service may make unlinked files here, and see nothing. */
static int make_temp(const char *path)
{
	if (make_folders(path) < 0)
		return -1;
	if (chmod(path, 01733) < 0) {
		fprintf(stderr, "lightmailctl: %s: %s\n", path, strerror(errno));
		return -1;
	}
	return 0;
}

int ctl_init(struct ctl *ctl, const struct ctl_op *op, int argc, char **argv)
{
	const struct auth_settings *auth;
	const struct indexer_settings *indexer;
	const struct s3_uploader_settings *objects;
	const struct login_settings *login;
	struct err e;

	(void)op;
	(void)argv;
	if (argc != 0)
		return CTL_USAGE;
	auth = settings_bind(&auth_settings_def, ctl->config, &e);
	indexer = settings_bind(&indexer_settings_def, ctl->config, &e);
	objects = settings_bind(&s3_uploader_settings_def, ctl->config, &e);
	login = settings_bind(&login_settings_def, ctl->config, &e);
	if (auth == NULL || indexer == NULL || objects == NULL || login == NULL) {
		fprintf(stderr, "%s\n", e.log);
		return CTL_FAILED;
	}
	if (make_folders(ctl->global->state_dir) < 0 || make_temp(ctl->global->temp_dir) < 0 ||
		make_parent(ctl, auth->database, auth->service.user) < 0 ||
		make_parent(ctl, indexer->database, indexer->service.user) < 0 ||
		make_parent(ctl, objects->path, objects->service.user) < 0 ||
		make_service_folder(ctl, objects->path, objects->service.user) < 0 ||
		make_kek(objects->kek_file) < 0 || make_tls(login, ctl->global->hostname) < 0)
		return CTL_FAILED;
	printf("Ready: start lightmail, then lightmailctl domain add and user add.\n");
	return CTL_OK;
}

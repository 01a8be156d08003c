#include "ctl/self-signed.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "lib-common/mem.h"

#define VALID_SECONDS (10L * 365 * 24 * 3600)

static bool cert_add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool cert_fill(X509 *cert, EVP_PKEY *key, const char *hostname)
{
	char *names = mem_printf("DNS:localhost,IP:127.0.0.1,IP:::1%s%s",
		strcmp(hostname, "localhost") == 0 ? "" : ",DNS:",
		strcmp(hostname, "localhost") == 0 ? "" : hostname);
	X509_NAME *name = X509_get_subject_name(cert);
	uint64_t serial;
	bool ok;

	ok = RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1 &&
	     X509_set_version(cert, X509_VERSION_3) == 1 &&
	     ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) == 1 &&
	     X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
	     X509_gmtime_adj(X509_getm_notAfter(cert), VALID_SECONDS) &&
	     X509_NAME_add_entry_by_txt(
		     name, "CN", MBSTRING_UTF8, (const unsigned char *)hostname, -1, -1, 0) == 1 &&
	     X509_set_issuer_name(cert, name) == 1 && X509_set_pubkey(cert, key) == 1 &&
	     cert_add_extension(cert, NID_subject_alt_name, names) &&
	     cert_add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
	     X509_sign(cert, key, EVP_sha256()) > 0;
	mem_free(names);
	return ok;
}

static FILE *create(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (fd >= 0 && !f)
		close(fd);
	return f;
}

static int write_files(
	const char *cert_path, const char *key_path, X509 *cert, EVP_PKEY *key, struct err *e)
{
	FILE *f = create(key_path, 0600);
	bool ok;

	if (!f)
		return err_set(e, ERR_PERM, "%s: %m", key_path);
	ok = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1;
	if (fclose(f) != 0 || !ok)
		return err_set(e, ERR_TEMP, "%s: %m", key_path);
	f = create(cert_path, 0644);
	if (!f)
		return err_set(e, ERR_PERM, "%s: %m", cert_path);
	ok = PEM_write_X509(f, cert) == 1;
	if (fclose(f) != 0 || !ok)
		return err_set(e, ERR_TEMP, "%s: %m", cert_path);
	return 0;
}

int self_signed_make(
	const char *cert_path, const char *key_path, const char *hostname, struct err *e)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	int ret;

	if (!key || !cert || !cert_fill(cert, key, hostname))
		ret = err_set(e, ERR_TEMP, "no certificate for %s could be made", hostname);
	else
		ret = write_files(cert_path, key_path, cert, key, e);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ret;
}

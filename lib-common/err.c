#include "lib-common/err.h"

#include <stdio.h>

static const struct {
	const char *name;
	const char *text;
} err_codes[] = {
	[ERR_NONE] = {"none", "OK"},
	[ERR_TEMP] = {"temp", "Temporary failure, try again later"},
	[ERR_PERM] = {"perm", "This cannot be done"},
	[ERR_NOTFOUND] = {"notfound", "No such object"},
	[ERR_EXISTS] = {"exists", "It exists already"},
	[ERR_QUOTA] = {"quota", "Quota exceeded"},
	[ERR_LIMIT] = {"limit", "A limit is reached"},
	[ERR_DENIED] = {"denied", "Permission denied"},
	[ERR_PROTO] = {"proto", "Malformed request"},
};

#define ERR_COUNT (sizeof(err_codes) / sizeof(err_codes[0]))

int err_set(struct err *e, enum err_code code, const char *format, ...)
{
	va_list ap;

	e->code = code;
	e->user[0] = '\0';
	va_start(ap, format);
	(void)vsnprintf(e->log, sizeof(e->log), format, ap);
	va_end(ap);
	return -1;
}

int err_user(struct err *e, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(e->user, sizeof(e->user), format, ap);
	va_end(ap);
	return -1;
}

const char *err_code_name(enum err_code code)
{
	return (size_t)code < ERR_COUNT ? err_codes[code].name : "temp";
}

enum err_code err_code_of(struct span name)
{
	for (size_t i = 0; i < ERR_COUNT; i++) {
		if (span_is(name, err_codes[i].name))
			return (enum err_code)i;
	}
	return ERR_TEMP;
}

bool err_is_temporary(enum err_code code)
{
	return code == ERR_TEMP || code == ERR_LIMIT;
}

const char *err_user_text(const struct err *e)
{
	if (e->user[0] != '\0')
		return e->user;
	return (size_t)e->code < ERR_COUNT ? err_codes[e->code].text : err_codes[ERR_TEMP].text;
}

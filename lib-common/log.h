/*
 * log: one event a line. Every line has an event name (a constant, kebab-case) and key=value
 *fields; untrusted values are escaped, so that no input can forge a line. Two forms: JSON (one
 *object a line) for machines, and a human form on a terminal. A line is one write(2) to the log
 *descriptor (stderr unless master handed down another); a full pipe drops the line and counts it
 * rather than block the loop.
 *
 *	log_info("login-ok", "user", LOG_STR(user), "address", LOG_STR(addr), "ms", LOG_INT(ms),
 *NULL);
 *
 * Never log secrets, subjects or message text. Addresses of people go through LOG_ADDR.
 */
#ifndef LM_LOG_H
#define LM_LOG_H

#include <stdint.h>
#include "lib-common/buf.h"
#include "lib-common/err.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_form { LOG_FORM_AUTO, LOG_FORM_JSON, LOG_FORM_HUMAN };
enum log_addresses { LOG_ADDRESSES_PLAIN, LOG_ADDRESSES_HASHED, LOG_ADDRESSES_OFF };

struct log_value {
	enum { LOG_VALUE_SPAN, LOG_VALUE_INT, LOG_VALUE_UINT, LOG_VALUE_ADDR } kind;
	struct span span;
	int64_t i;
	uint64_t u;
};

/* Each makes a pointer to a log_value that lives until the end of the enclosing block. */
#define LOG_STR(s) (&(struct log_value){.kind = LOG_VALUE_SPAN, .span = span_of(s)})
#define LOG_SPAN(s) (&(struct log_value){.kind = LOG_VALUE_SPAN, .span = (s)})
#define LOG_INT(n) (&(struct log_value){.kind = LOG_VALUE_INT, .i = (n)})
#define LOG_UINT(n) (&(struct log_value){.kind = LOG_VALUE_UINT, .u = (n)})
#define LOG_ADDR(s) (&(struct log_value){.kind = LOG_VALUE_ADDR, .span = span_of(s)})
#define LOG_ERR(e) (&(struct log_value){.kind = LOG_VALUE_SPAN, .span = span_of((e)->log)})

void log_setup(const char *service, enum log_form form, enum log_level level,
	enum log_addresses addresses, int fd);
/* The trace id (24 hex digits) put on every line of this thread until it is changed; NULL or "" for
 * none. */
void log_trace(const char *trace_id);
const char *log_trace_get(void); /* of this thread; "" for none */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));
#define log_debug(...) log_event(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_event(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_event(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_event(LOG_LEVEL_ERROR, __VA_ARGS__)
/* Logs at error level and ends the process with exit status 70; only for "cannot start". */
void log_fatal(const char *event, ...) __attribute__((sentinel, noreturn));
/* Lines lost to a full log and not yet reported; the next line that fits says so (dropped_lines=).
 */
uint64_t log_lines_dropped(void);

#define TRACE_ID_SIZE 25 /* 24 lower-case hex digits and a NUL */
void trace_id_make(char id_r[TRACE_ID_SIZE]);
bool trace_id_valid(struct span s);

#endif

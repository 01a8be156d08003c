/* What the files of the settings module share. */
#ifndef LM_SETTINGS_INTERNAL_H
#define LM_SETTINGS_INTERNAL_H

#include "lib-common/settings.h"

/* Converts text and stores it in the row's field of the struct; -1 with *e. */
int setting_store(const struct setting_row *row, const char *text, void *settings, struct err *e);
/* The same without a struct. */
int setting_check(const struct setting_row *row, const char *text, struct err *e);
bool setting_is_text(const struct setting_row *row); /* its field is a char * */
bool listener_valid(struct span word);
/* NULL when there is none of that name. */
const struct setting_row *settings_row(const struct settings_def *def, struct span name);
/* A struct full of defaults; text fields empty when except_text (they may need expansion). */
void *settings_defaults(const struct settings_def *def, bool except_text, struct err *e);

#endif

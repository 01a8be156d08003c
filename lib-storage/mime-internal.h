/* mime-internal: between mime.c (the pass over the octets) and mime-fields.c (what the fields say).
 */
#ifndef LM_MIME_INTERNAL_H
#define LM_MIME_INTERNAL_H

#include "lib-storage/mime.h"

/* Which fields of a header matter. */
enum mime_role {
	MIME_ROLE_ROOT,	   /* well-known fields */
	MIME_ROLE_MESSAGE, /* envelope and content fields */
	MIME_ROLE_PART,	   /* content fields */
};

bool mime_field_wanted(struct span name, enum mime_role role);

struct mime_budget {
	uint32_t addresses, params;
};

/* Fills the part from the collected fields; the texts go to the arena. Type and subtype are set in
 * any case. */
void mime_fields_parse(struct span fields, enum mime_role role, bool digest,
	struct mime_budget *budget, struct arena *arena, struct mime_part *part);
/* Parameters from the front of *s, which stands on ';' or at the end. */
void mime_params_parse(struct span s, struct mime_budget *budget, struct arena *arena,
	struct mime_params *params_r);

#endif

/* What indexer and its clients take from each other: UID sets, names, logs. The first octet
 * chooses. */
#include <stddef.h>
#include <stdlib.h>
#include "lib-storage/mailbox-name.h"
#include "lib-storage/mailbox-state.h"
#include "lib-storage/uidset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_uidset(struct span text)
{
	struct uidset set, again;
	struct buf out;

	uidset_init(&set);
	uidset_init(&again);
	buf_init(&out);
	if (uidset_parse(&set, text, 77, 1000) == 0) {
		/* what is written is read as the same */
		uidset_format(&set, &out);
		if (uidset_parse(&again, buf_span(&out), 0, 1000) < 0 || again.n != set.n ||
			uidset_count(&again) != uidset_count(&set))
			abort();
	}
	buf_clear(&out);
	uidset_clear(&again);
	uidset_clear(&set);
}

static void fuzz_name(struct span text)
{
	struct buf utf8, utf7, name;
	struct err e;

	buf_init(&utf8);
	buf_init(&utf7);
	buf_init(&name);
	if (mailbox_name_from_utf7(text, &utf8)) {
		/* one form at the wire for one name */
		mailbox_name_to_utf7(buf_span(&utf8), &utf7);
		if (!span_equal(buf_span(&utf7), text))
			abort();
	}
	if (mailbox_name_normalise(text, &name, &e) == 0 &&
		!mailbox_name_is_normal(buf_span(&name)))
		abort();
	buf_clear(&utf8);
	buf_clear(&utf7);
	buf_clear(&name);
}

static void fuzz_log(struct span log)
{
	struct mailbox_change c;

	while (mailbox_log_next(&log, &c) == 1)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest;

	if (size == 0)
		return 0;
	rest = span_from(data + 1, size - 1);
	switch (data[0] % 3) {
	case 0:
		fuzz_uidset(rest);
		break;
	case 1:
		fuzz_name(rest);
		break;
	default:
		fuzz_log(rest);
	}
	return 0;
}

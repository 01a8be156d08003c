#include "services/indexer/schema.h"

#include <stddef.h>

/* clang-format off */
static const char schema_1[] =
	"CREATE TABLE accounts (\n"
	" id {int} NOT NULL PRIMARY KEY, user_name {key} NOT NULL, generation {int} NOT NULL,\n"
	" change_seq {int} NOT NULL, used_bytes {int} NOT NULL, used_messages {int} NOT NULL,\n"
	" quota_bytes {int} NOT NULL, quota_messages {int} NOT NULL,\n"
	" next_uidvalidity {int} NOT NULL, created {int} NOT NULL, state {int} NOT NULL) {table};\n"
	"CREATE INDEX accounts_state ON accounts (state);\n"

	/* {autoid}: an id is never given again, whatever was deleted (CORNERS M15) */
	"CREATE TABLE mailboxes (\n"
	" id {autoid}, account {int} NOT NULL, name {key} NOT NULL,\n"
	" gone {int} NOT NULL, uidvalidity {int} NOT NULL, uidnext {int} NOT NULL,\n"
	" highestmodseq {int} NOT NULL, messages {int} NOT NULL, unseen {int} NOT NULL,\n"
	" deleted_count {int} NOT NULL, size {int} NOT NULL, special_use {text} NOT NULL,\n"
	" keywords {text} NOT NULL, recent_uid {int} NOT NULL, vanished_floor {int} NOT NULL,\n"
	" state {int} NOT NULL, changed_seq {int} NOT NULL, deleted_at {int} NOT NULL) {table};\n"
	"CREATE UNIQUE INDEX mailboxes_name ON mailboxes (account, gone, name);\n"
	"CREATE INDEX mailboxes_gone ON mailboxes (gone);\n"

	"CREATE TABLE subscriptions (\n"
	" account {int} NOT NULL, name {key} NOT NULL, PRIMARY KEY (account, name)) {clustered};\n"

	"CREATE TABLE messages (\n"
	" mailbox {int} NOT NULL, uid {int} NOT NULL, account {int} NOT NULL,\n"
	" modseq {int} NOT NULL, flags {int} NOT NULL, size {int} NOT NULL,\n"
	" internaldate {int} NOT NULL, tz {int} NOT NULL, savedate {int} NOT NULL,\n"
	" body {int} NOT NULL, PRIMARY KEY (mailbox, uid)) {clustered};\n"
	"CREATE INDEX messages_body ON messages (account, body);\n"

	"CREATE TABLE tombstones (\n"
	" mailbox {int} NOT NULL, uid {int} NOT NULL, account {int} NOT NULL,\n"
	" modseq {int} NOT NULL, flags {int} NOT NULL, size {int} NOT NULL,\n"
	" internaldate {int} NOT NULL, tz {int} NOT NULL, savedate {int} NOT NULL,\n"
	" body {int} NOT NULL, expunged_at {int} NOT NULL, has_body {int} NOT NULL,\n"
	" PRIMARY KEY (mailbox, uid)) {clustered};\n"
	"CREATE INDEX tombstones_modseq ON tombstones (mailbox, modseq);\n"
	"CREATE INDEX tombstones_body ON tombstones (account, body);\n"
	"CREATE INDEX tombstones_age ON tombstones (has_body, expunged_at);\n"

	"CREATE TABLE bodies (\n"
	" account {int} NOT NULL, body {int} NOT NULL, pack {key} NOT NULL,\n"
	" offset {int} NOT NULL, length {int} NOT NULL, secret {blob} NOT NULL, keyid {key} NOT NULL,\n"
	" size {int} NOT NULL, sha256 {key} NOT NULL, PRIMARY KEY (account, body)) {clustered};\n"
	"CREATE INDEX bodies_pack ON bodies (pack, offset);\n"

	"CREATE TABLE body_meta (\n"
	" account {int} NOT NULL, body {int} NOT NULL, meta {blob} NOT NULL,\n"
	" PRIMARY KEY (account, body)) {clustered};\n"

	"CREATE TABLE deliveries (\n"
	" account {int} NOT NULL, digest {key} NOT NULL, mailbox {int} NOT NULL,\n"
	" uid {int} NOT NULL, uidvalidity {int} NOT NULL, name {key} NOT NULL,\n"
	" at {int} NOT NULL, PRIMARY KEY (account, digest)) {clustered};\n"
	"CREATE INDEX deliveries_at ON deliveries (at);\n"

	"CREATE TABLE packs (\n"
	" pack {key} NOT NULL PRIMARY KEY, state {int} NOT NULL, at {int} NOT NULL) {clustered};\n"
	"CREATE TABLE commits (\n"
	" writer {int} NOT NULL PRIMARY KEY, batch {int} NOT NULL) {table};\n";
/* clang-format on */

const struct sql_migration indexer_migrations[] = {
	{1, 1, schema_1},
	{0, 0, NULL},
};

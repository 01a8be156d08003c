/* All SQL of the indexer's threads; included several times with STATEMENT defined. */

/* accounts */
STATEMENT(Q_ACCOUNT,
	"SELECT user_name, generation, change_seq, used_bytes, used_messages, quota_bytes, "
	"quota_messages, next_uidvalidity, state FROM accounts WHERE id = ?")
STATEMENT(Q_ACCOUNT_ADD,
	"INSERT INTO accounts (id, user_name, generation, change_seq, used_bytes, "
	"used_messages, quota_bytes, quota_messages, next_uidvalidity, created, state) "
	"VALUES (?, ?, ?, 1, 0, 0, ?, ?, ?, ?, 0)")
STATEMENT(Q_ACCOUNT_SET,
	"UPDATE accounts SET generation = ?, change_seq = ?, used_bytes = ?, "
	"used_messages = ?, quota_bytes = ?, quota_messages = ?, next_uidvalidity = ? "
	"WHERE id = ?")
/* what indexes are made of is written only when it changes */
STATEMENT(Q_ACCOUNT_NAME, "UPDATE accounts SET user_name = ?, state = ? WHERE id = ?")
STATEMENT(Q_ACCOUNTS_ERASING, "SELECT id FROM accounts WHERE state = 2 LIMIT ?")

/* mailboxes */
STATEMENT(Q_MAILBOXES,
	"SELECT id, name, uidvalidity, uidnext, highestmodseq, messages, unseen, "
	"deleted_count, size, special_use, keywords, recent_uid, vanished_floor, state, "
	"changed_seq FROM mailboxes WHERE account = ? AND gone = 0 ORDER BY name")
STATEMENT(Q_MAILBOX,
	"SELECT id, name, uidvalidity, uidnext, highestmodseq, messages, unseen, "
	"deleted_count, size, special_use, keywords, recent_uid, vanished_floor, state, "
	"changed_seq FROM mailboxes WHERE account = ? AND id = ? AND gone = 0")
STATEMENT(Q_MAILBOX_NAMED,
	"SELECT id, name, uidvalidity, uidnext, highestmodseq, messages, unseen, "
	"deleted_count, size, special_use, keywords, recent_uid, vanished_floor, state, "
	"changed_seq FROM mailboxes WHERE account = ? AND gone = 0 AND name = ?")
STATEMENT(Q_MAILBOX_ADD,
	"INSERT INTO mailboxes (account, name, gone, uidvalidity, uidnext, "
	"highestmodseq, messages, unseen, deleted_count, size, special_use, keywords, "
	"recent_uid, vanished_floor, state, changed_seq, deleted_at) "
	"VALUES (?, ?, 0, ?, 1, ?, 0, 0, 0, 0, ?, '', 1, 0, ?, ?, 0)")
STATEMENT(Q_MAILBOX_SET,
	"UPDATE mailboxes SET uidvalidity = ?, uidnext = ?, highestmodseq = ?, messages = ?, "
	"unseen = ?, deleted_count = ?, size = ?, special_use = ?, keywords = ?, recent_uid = ?, "
	"vanished_floor = ?, state = ?, changed_seq = ? WHERE id = ?")
STATEMENT(Q_MAILBOX_NAME, "UPDATE mailboxes SET name = ? WHERE id = ?")
STATEMENT(Q_MAILBOX_DROP, "UPDATE mailboxes SET gone = id, state = 1, deleted_at = ?, "
			  "changed_seq = ?, highestmodseq = ? WHERE id = ?")
STATEMENT(Q_MAILBOX_ERASE, "DELETE FROM mailboxes WHERE id = ?")
STATEMENT(Q_MAILBOXES_GONE,
	"SELECT id, account, highestmodseq, deleted_at FROM mailboxes WHERE gone > ? "
	"ORDER BY gone LIMIT ?")
STATEMENT(Q_MAILBOXES_OF, "SELECT id FROM mailboxes WHERE account = ? LIMIT ?")
STATEMENT(Q_MAILBOX_COUNT,
	"SELECT count(*), coalesce(sum((flags & 8) = 0), 0), "
	"coalesce(sum((flags & 4) <> 0), 0), coalesce(sum(size), 0) FROM messages "
	"WHERE mailbox = ? AND uid < ?")

/* subscriptions */
STATEMENT(Q_SUBSCRIPTIONS, "SELECT name FROM subscriptions WHERE account = ? ORDER BY name")
STATEMENT(Q_SUBSCRIBE, "{insert-ignore} INTO subscriptions (account, name) VALUES (?, ?)")
STATEMENT(Q_UNSUBSCRIBE, "DELETE FROM subscriptions WHERE account = ? AND name = ?")
STATEMENT(Q_SUBSCRIPTIONS_COUNT, "SELECT count(*) FROM subscriptions WHERE account = ?")
STATEMENT(Q_SUBSCRIPTIONS_DROP, "DELETE FROM subscriptions WHERE account = ?")

/* messages */
STATEMENT(Q_MESSAGE_ADD, "INSERT INTO messages (mailbox, uid, account, modseq, flags, size, "
			 "internaldate, tz, savedate, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
STATEMENT(Q_MESSAGES,
	"SELECT uid, flags, modseq, size, internaldate, tz, savedate, body FROM messages "
	"WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid LIMIT ?")
STATEMENT(
	Q_MESSAGE_FLAGS, "UPDATE messages SET flags = ?, modseq = ? WHERE mailbox = ? AND uid = ?")
STATEMENT(Q_MESSAGE_DROP, "DELETE FROM messages WHERE mailbox = ? AND uid = ?")
STATEMENT(Q_MESSAGES_STAGED_DROP, "DELETE FROM messages WHERE mailbox = ? AND uid >= ?")
STATEMENT(Q_MESSAGE_OF_BODY, "SELECT 1 FROM messages WHERE account = ? AND body = ? LIMIT 1")

/* tombstones */
STATEMENT(Q_TOMBSTONE_ADD, "INSERT INTO tombstones (mailbox, uid, account, modseq, flags, size, "
			   "internaldate, tz, savedate, body, expunged_at, has_body) "
			   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
STATEMENT(Q_TOMBSTONES_GRACE, "SELECT mailbox, uid, account, body FROM tombstones "
			      "WHERE has_body = 1 AND expunged_at < ? ORDER BY expunged_at LIMIT ?")
STATEMENT(Q_TOMBSTONE_EMPTY, "UPDATE tombstones SET body = 0, has_body = 0 WHERE mailbox = ? "
			     "AND uid = ?")
STATEMENT(Q_TOMBSTONE_OF_BODY, "SELECT 1 FROM tombstones WHERE account = ? AND body = ? LIMIT 1")
STATEMENT(Q_TOMBSTONES_OLD,
	"SELECT mailbox, uid, account, modseq FROM tombstones WHERE has_body = 0 "
	"AND expunged_at < ? ORDER BY expunged_at LIMIT ?")
STATEMENT(Q_TOMBSTONE_DROP, "DELETE FROM tombstones WHERE mailbox = ? AND uid = ?")
STATEMENT(Q_TOMBSTONES_OF, "SELECT uid FROM tombstones WHERE mailbox = ? LIMIT ?")

/* bodies */
STATEMENT(Q_BODY_ADD,
	"INSERT INTO bodies (account, body, pack, offset, length, secret, keyid, size, sha256) "
	"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
STATEMENT(Q_BODY, "SELECT pack, offset, length, secret, keyid, size FROM bodies "
		  "WHERE account = ? AND body = ?")
STATEMENT(Q_BODY_DROP, "DELETE FROM bodies WHERE account = ? AND body = ?")
STATEMENT(Q_BODIES_OF, "SELECT body FROM bodies WHERE account = ? LIMIT ?")
STATEMENT(Q_META_ADD, "INSERT INTO body_meta (account, body, meta) VALUES (?, ?, ?)")
STATEMENT(Q_META, "SELECT meta FROM body_meta WHERE account = ? AND body = ?")
STATEMENT(Q_METAS, "SELECT body, meta FROM body_meta WHERE account = ? AND body BETWEEN ? AND ? "
		   "ORDER BY body")
STATEMENT(Q_META_DROP, "DELETE FROM body_meta WHERE account = ? AND body = ?")
STATEMENT(Q_PACK, "SELECT state FROM packs WHERE pack = ?")

/* deliveries (CORNERS M13) */
STATEMENT(Q_DELIVERY, "SELECT mailbox, uid, uidvalidity, name, at FROM deliveries "
		      "WHERE account = ? AND digest = ?")
STATEMENT(Q_DELIVERY_ADD,
	"REPLACE INTO deliveries (account, digest, mailbox, uid, uidvalidity, name, at) "
	"VALUES (?, ?, ?, ?, ?, ?, ?)")
STATEMENT(
	Q_DELIVERIES_OLD, "SELECT account, digest FROM deliveries WHERE at < ? ORDER BY at LIMIT ?")
STATEMENT(Q_DELIVERY_DROP, "DELETE FROM deliveries WHERE account = ? AND digest = ?")
STATEMENT(Q_DELIVERIES_OF, "SELECT account, digest FROM deliveries WHERE account = ? LIMIT ?")

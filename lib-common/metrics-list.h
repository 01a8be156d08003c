/* The list of all metrics; included several times with METRIC defined. Append only, grouped by
 * service. */
METRIC(METRIC_LOG_DROPPED, METRIC_COUNTER, "lightmail_log_lines_dropped_total", "",
	"Log lines dropped because the log was full")
METRIC(METRIC_CHANNEL_REQUESTS, METRIC_COUNTER, "lightmail_channel_requests_total", "",
	"Requests received on internal sockets")
METRIC(METRIC_CHANNEL_BAD_PEERS, METRIC_COUNTER, "lightmail_channel_bad_peers_total", "",
	"Peers disconnected for breaking the line protocol")
METRIC(METRIC_LMTP_DELIVERED, METRIC_COUNTER, "lightmail_lmtp_recipients_total",
	"result=\"delivered\"", "Recipients by result")
METRIC(METRIC_LMTP_REFUSED, METRIC_COUNTER, "lightmail_lmtp_recipients_total", "result=\"refused\"",
	"Recipients by result")
METRIC(METRIC_LMTP_DEFERRED, METRIC_COUNTER, "lightmail_lmtp_recipients_total",
	"result=\"deferred\"", "Recipients by result")
METRIC(METRIC_LOGIN_CONNECTIONS, METRIC_COUNTER, "lightmail_login_connections_total", "",
	"Client connections accepted")
METRIC(METRIC_LOGIN_TLS_HANDSHAKES, METRIC_COUNTER, "lightmail_login_tls_handshakes_total", "",
	"TLS handshakes completed")
METRIC(METRIC_LOGIN_REFUSED, METRIC_COUNTER, "lightmail_logins_total", "result=\"refused\"",
	"Logins by result")
METRIC(METRIC_LOGIN_TEMPFAILED, METRIC_COUNTER, "lightmail_logins_total", "result=\"tempfailed\"",
	"Logins by result")
METRIC(METRIC_LOGIN_DONE, METRIC_COUNTER, "lightmail_logins_total", "result=\"ok\"",
	"Logins by result")
METRIC(METRIC_PUT_DONE, METRIC_COUNTER, "lightmail_puts_total", "result=\"ok\"",
	"Bodies put by result")
METRIC(METRIC_PUT_FAILED, METRIC_COUNTER, "lightmail_puts_total", "result=\"failed\"",
	"Bodies put by result")
METRIC(METRIC_PUT_OCTETS, METRIC_COUNTER, "lightmail_put_bytes_total", "",
	"Octets of bodies stored")
METRIC(METRIC_PUT_TIME, METRIC_HISTOGRAM, "lightmail_put_seconds", "",
	"Time from a put to its durable end")
METRIC(METRIC_GET_BODIES, METRIC_COUNTER, "lightmail_get_bodies_total", "", "Bodies or ranges read")
METRIC(METRIC_GET_FAILED, METRIC_COUNTER, "lightmail_get_failures_total", "",
	"Bodies not found, damaged or not readable")
METRIC(METRIC_GET_OCTETS, METRIC_COUNTER, "lightmail_get_bytes_total", "", "Octets of bodies read")
METRIC(METRIC_GET_TIME, METRIC_HISTOGRAM, "lightmail_get_seconds", "", "Time of a batch of reads")
METRIC(METRIC_AUTH_OK, METRIC_COUNTER, "lightmail_auth_attempts_total", "result=\"ok\"",
	"Login attempts by result")
METRIC(METRIC_AUTH_CACHED, METRIC_COUNTER, "lightmail_auth_cache_hits_total", "",
	"Logins found in the cache of verified ones")
METRIC(METRIC_AUTH_FAILED, METRIC_COUNTER, "lightmail_auth_attempts_total", "result=\"failed\"",
	"Login attempts by result")
METRIC(METRIC_AUTH_BUSY, METRIC_COUNTER, "lightmail_auth_attempts_total", "result=\"busy\"",
	"Login attempts by result")
METRIC(METRIC_INDEXER_DELIVERED, METRIC_COUNTER, "lightmail_deliveries_total", "result=\"ok\"",
	"Deliveries to mailboxes by result")
METRIC(METRIC_INDEXER_REPEATED, METRIC_COUNTER, "lightmail_deliveries_total", "result=\"repeated\"",
	"Deliveries to mailboxes by result")
METRIC(METRIC_INDEXER_REFUSED, METRIC_COUNTER, "lightmail_deliveries_total", "result=\"refused\"",
	"Deliveries to mailboxes by result")
METRIC(METRIC_INDEXER_COMMITS, METRIC_COUNTER, "lightmail_indexer_commits_total", "result=\"ok\"",
	"Transactions of the mail store by result")
METRIC(METRIC_INDEXER_COMMITS_FAILED, METRIC_COUNTER, "lightmail_indexer_commits_total",
	"result=\"failed\"", "Transactions of the mail store by result")
METRIC(METRIC_INDEXER_COMMIT_TIME, METRIC_HISTOGRAM, "lightmail_indexer_commit_seconds", "",
	"Time of a transaction, from its first request to its end")
METRIC(METRIC_INDEXER_SESSIONS, METRIC_GAUGE, "lightmail_indexer_sessions", "",
	"Sessions attached to accounts")
METRIC(METRIC_INDEXER_STATE_LOADS, METRIC_COUNTER, "lightmail_indexer_state_loads_total", "",
	"Mailbox states read from the database")
METRIC(METRIC_INDEXER_STATE_OCTETS, METRIC_GAUGE, "lightmail_indexer_state_bytes", "",
	"Memory of mailbox states")

/* The list of all metrics; included several times with METRIC defined. Append only, grouped by service. */
METRIC(METRIC_LOG_DROPPED, METRIC_COUNTER, "lightmail_log_lines_dropped_total", "", "Log lines dropped because the log was full")
METRIC(METRIC_CHANNEL_REQUESTS, METRIC_COUNTER, "lightmail_channel_requests_total", "", "Requests received on internal sockets")
METRIC(METRIC_CHANNEL_BAD_PEERS, METRIC_COUNTER, "lightmail_channel_bad_peers_total", "", "Peers disconnected for breaking the line protocol")

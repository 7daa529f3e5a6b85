/* Logs: one JSON object a line, on stderr. */
#ifndef EPITAPH_COLLECTOR_LOG_H
#define EPITAPH_COLLECTOR_LOG_H

enum log_level { LOG_INFO, LOG_WARN, LOG_ERROR };

/* Name this process in its lines. ROLE is kept. */
void log_start(const char *role);

/* One line: WHAT is a fixed sentence to search for, the formatted text its
 * particulars. Text from outside is escaped. */
void log_event(enum log_level level, const char *what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif

/* What libc said before it gave up: assert, malloc corruption, fortify, stack
 * smashing and fatal errors of libc leave their text at __abort_msg (glibc,
 * version GLIBC_PRIVATE). It may point anywhere. */
#include <string.h>

#include "crash.h"

enum { MAX_MESSAGE = 1024 };

static bool is_libc(const char *path)
{
	const char *name = path ? strrchr(path, '/') : NULL;

	return name && (strncmp(name, "/libc.so.", 9) == 0 ||
			strncmp(name, "/libc-2.", 8) == 0);
}

static const char *message_in(struct crash *crash, struct report *report,
			      const struct module *module)
{
	struct exported symbol;
	char text[MAX_MESSAGE];
	uint64_t message;
	size_t len;

	if (!crash_symbol(crash, module, "__abort_msg", &symbol))
		return NULL;
	message = crash_read_u64(crash, symbol.address);
	if (!message)
		return NULL;
	/* struct abort_msg_s: its size, then the text. */
	len = crash_read(crash, message + 4, text, sizeof(text));
	len = strnlen(text, len);
	while (len && text[len - 1] == '\n')
		len--;
	return len ? report_string(report, text, len) : NULL;
}

const char *crash_message(struct crash *crash, struct report *report)
{
	for (size_t i = 0; i < report->nmodules; i++) {
		if (is_libc(report->modules[i].path))
			return message_in(crash, report, &report->modules[i]);
	}
	return NULL;
}

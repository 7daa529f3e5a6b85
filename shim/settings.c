/* Settings from the environment. Runs once, before any of the program's code,
 * with nothing of libc. */
#include "settings.h"

#include "../lib/spool/slots.h"
#include "resolve.h"
#include "signal/zone.h"

enum {
	DEADLINE_MS_DEFAULT = 2000, /* contract.md */
	DEADLINE_MS_MAX = 60000,
	THREADS_DEFAULT = 255,
};
#define SPOOL_MAX_DEFAULT ((uint64_t)256 << 20)
#define SETTINGS (&zone.record.settings)

/* The value if ENTRY is NAME=value, else NULL. */
static const char *value_of(const char *entry, const char *name)
{
	while (*name && *entry == *name)
		entry++, name++;
	return !*name && *entry == '=' ? entry + 1 : NULL;
}

static bool starts_with(const char *text, const char *prefix)
{
	while (*prefix && *text == *prefix)
		text++, prefix++;
	return !*prefix;
}

/* A decimal number with an optional K, M or G; FALLBACK if it is none. */
static uint64_t number_of(const char *text, uint64_t fallback)
{
	uint64_t number = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		if (number > UINT64_MAX / 2048)
			return fallback;
		number = number * 10 + (uint64_t)(*at - '0');
	}
	if (at == text)
		return fallback;
	if (*at == 'K' || *at == 'k')
		number <<= 10, at++;
	else if (*at == 'M' || *at == 'm')
		number <<= 20, at++;
	else if (*at == 'G' || *at == 'g')
		number <<= 30, at++;
	return *at ? fallback : number;
}

static bool is_on(const char *text)
{
	return text[0] == '1' && !text[1];
}

struct text_setting {
	const char *name;
	char *to;
	size_t size;
};

/* Copy ENTRY's value where it is one of the settings that are text. */
static void read_text(const char *entry)
{
	const struct text_setting texts[] = {
		{ "EPITAPH_URL", SETTINGS->url, sizeof(SETTINGS->url) },
		{ "EPITAPH_TOKEN", SETTINGS->token, sizeof(SETTINGS->token) },
		{ "EPITAPH_SPOOL", SETTINGS->spool, sizeof(SETTINGS->spool) },
		{ "EPITAPH_RELEASE", SETTINGS->release,
		  sizeof(SETTINGS->release) },
		{ "EPITAPH_TAGS", SETTINGS->tags, sizeof(SETTINGS->tags) },
		{ "EPITAPH_HELPER", SETTINGS->helper,
		  sizeof(SETTINGS->helper) },
		{ "XDG_STATE_HOME", SETTINGS->state_home,
		  sizeof(SETTINGS->state_home) },
		{ "HOME", SETTINGS->home, sizeof(SETTINGS->home) },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const char *value = value_of(entry, texts[i].name);

		if (value)
			put_text(texts[i].to, texts[i].to + texts[i].size,
				 value);
	}
}

static void read_number(const char *entry)
{
	const char *value;

	if ((value = value_of(entry, "EPITAPH_SPOOL_MAX")))
		SETTINGS->spool_max = number_of(value, SPOOL_MAX_DEFAULT);
	else if ((value = value_of(entry, "EPITAPH_STACK")))
		SETTINGS->stack_bytes =
			(int64_t)number_of(value, (uint64_t)-1);
	else if ((value = value_of(entry, "EPITAPH_THREADS")))
		SETTINGS->threads =
			(uint32_t)number_of(value, THREADS_DEFAULT);
	else if ((value = value_of(entry, "EPITAPH_DEADLINE_MS")))
		SETTINGS->deadline_ms =
			(uint32_t)number_of(value, DEADLINE_MS_DEFAULT);
	else if ((value = value_of(entry, "EPITAPH_BUDGET")))
		SETTINGS->budget = (uint32_t)number_of(value, SLOTS_DEFAULT);
	else if ((value = value_of(entry, "EPITAPH_SANITIZE")))
		SETTINGS->sanitize = is_on(value);
	else if ((value = value_of(entry, "EPITAPH_STDERR")))
		SETTINGS->to_stderr = is_on(value);
	else if ((value = value_of(entry, "EPITAPH_POLICY")))
		SETTINGS->capture_first = text_equal(value, "capture-first");
	else if ((value = value_of(entry, "SYSTEMD_EXEC_PID")))
		zone.unit_pid = (int32_t)number_of(value, 0);
}

/* Unless it was given, the helper is beside the shim. */
static void find_helper(void)
{
	char *at = SETTINGS->helper;
	const char *end = at + sizeof(SETTINGS->helper);
	const char *own = resolve_own_path();
	char *slash = NULL;
	long n;

	if (*at || !own)
		return;
	if (*own != '/') {
		n = sys2(getcwd, at, sizeof(SETTINGS->helper));
		if (n > 1)
			at = put_text(at + n - 1, end, "/");
	}
	put_text(at, end, own);
	for (at = SETTINGS->helper; *at; at++) {
		if (*at == '/')
			slash = at;
	}
	if (slash)
		put_text(slash + 1, end, "epitaph-helper");
}

bool settings_read(char **environment)
{
	bool disabled = false;

	SETTINGS->spool_max = SPOOL_MAX_DEFAULT;
	SETTINGS->stack_bytes = -1;
	SETTINGS->threads = THREADS_DEFAULT;
	SETTINGS->budget = SLOTS_DEFAULT;
	SETTINGS->deadline_ms = DEADLINE_MS_DEFAULT;
	for (char **entry = environment; entry && *entry; entry++) {
		const char *value = value_of(*entry, "EPITAPH_DISABLE");

		if (value)
			disabled = is_on(value);
		if (**entry != 'E' && **entry != 'X' && **entry != 'H' &&
		    **entry != 'S')
			continue;
		read_text(*entry);
		read_number(*entry);
	}
	if (SETTINGS->deadline_ms > DEADLINE_MS_MAX)
		SETTINGS->deadline_ms = DEADLINE_MS_MAX;
	if (!disabled)
		find_helper();
	return !disabled;
}

void settings_unfollow(char **environment)
{
	char **to = environment;
	bool follow = true;

	for (char **entry = environment; entry && *entry; entry++) {
		const char *value = value_of(*entry, "EPITAPH_FOLLOW");

		if (value)
			follow = !(value[0] == '0' && !value[1]);
	}
	if (follow || !environment)
		return;
	for (char **entry = environment; *entry; entry++) {
		if (!value_of(*entry, "LD_PRELOAD") &&
		    !starts_with(*entry, "EPITAPH_"))
			*to++ = *entry;
	}
	*to = NULL;
}

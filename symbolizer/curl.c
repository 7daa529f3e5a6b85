/* Loading libcurl. */
#include "curl.h"

#include <dlfcn.h>
#include <string.h>

static bool find(void *library, const char *name, void *to)
{
	void *symbol = dlsym(library, name);

	memcpy(to, &symbol, sizeof(symbol));
	return symbol != NULL;
}

const struct curl_functions *curl_load(struct error *err)
{
	static const char *const names[] = {
		"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.so",
	};
	static struct curl_functions curl;
	static void *library;

	for (size_t i = 0; !library && i < sizeof(names) / sizeof(names[0]);
	     i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		fail(err, ERR_UNSUPPORTED,
		     "libcurl.so.4 is not there (package libcurl4)");
		return NULL;
	}
	if (find(library, "curl_easy_init", &curl.init) &&
	    find(library, "curl_easy_setopt", &curl.setopt) &&
	    find(library, "curl_easy_perform", &curl.perform) &&
	    find(library, "curl_easy_getinfo", &curl.getinfo) &&
	    find(library, "curl_easy_reset", &curl.reset) &&
	    find(library, "curl_easy_cleanup", &curl.cleanup) &&
	    find(library, "curl_easy_strerror", &curl.strerror) &&
	    find(library, "curl_slist_append", &curl.slist_append) &&
	    find(library, "curl_slist_free_all", &curl.slist_free_all))
		return &curl;
	fail(err, ERR_UNSUPPORTED, "libcurl is not one we know");
	return NULL;
}

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool curl_is_loopback(const char *url)
{
	const char *host = strstr(url, "://");

	return host && (has_prefix(host, "://127.") ||
			has_prefix(host, "://localhost") ||
			has_prefix(host, "://[::1]"));
}

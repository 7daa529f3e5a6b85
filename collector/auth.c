/* Who may do what, in an ingest worker. The token file is read again when it
 * has changed; the store is not asked, so that it works while that is down. */
#include "ingest.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/report/clock.h"
#include "log.h"
#include "text.h"

enum { LOOK_AGAIN_MS = 500, MAX_TOKEN = 512 };

static void read_tokens(struct ingest *in)
{
	int64_t now = clock_monotonic_ms();
	struct stat st;
	struct error err;
	bool there;

	if (in->tokens_read_ms != 0 &&
	    now - in->tokens_read_ms < LOOK_AGAIN_MS)
		return;
	there = stat("tokens", &st) == 0;
	if (!there)
		memset(&st, 0, sizeof(st));
	if (in->tokens_read_ms == 0 || in->tokens_bad ||
	    memcmp(&in->tokens_mtime, &st.st_mtim, sizeof(st.st_mtim)) != 0) {
		in->tokens_bad = !tokens_load(&in->tokens, &err);
		if (in->tokens_bad)
			log_event(LOG_ERROR, "tokens unreadable", "%s",
				  err.text);
		in->tokens_mtime = st.st_mtim;
	}
	in->tokens_read_ms = now;
}

/* True where the client is on this machine. */
static bool is_local(struct request *request)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct listen_address address;

	if (info == NULL || info->client_addr == NULL)
		return false;
	if (info->client_addr->sa_family == AF_UNIX)
		return true;
	memset(&address, 0, sizeof(address));
	memcpy(&address.address, info->client_addr,
	       info->client_addr->sa_family == AF_INET6 ?
	       sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
	return config_is_loopback(&address);
}

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* The password of "user:password" in base64: browsers can send nothing else,
 * and the pages are for people. */
static bool basic_password(const char *text, char out[MAX_TOKEN])
{
	char plain[MAX_TOKEN];
	uint32_t bits = 0;
	int nbits = 0;
	size_t len = 0;
	const char *colon;

	for (; base64_digit(*text) >= 0 && len < sizeof(plain) - 1; text++) {
		bits = bits << 6 | (uint32_t)base64_digit(*text);
		nbits += 6;
		if (nbits < 8)
			continue;
		nbits -= 8;
		plain[len++] = (char)(bits >> nbits & 0xff);
	}
	plain[len] = '\0';
	colon = strchr(plain, ':');
	if (colon == NULL)
		return false;
	text_copy(out, MAX_TOKEN, colon + 1);
	return true;
}

/* The token that came with REQUEST; false where none did. */
static bool sent_token(struct request *request, char out[MAX_TOKEN])
{
	const char *value = MHD_lookup_connection_value(
		request->connection, MHD_HEADER_KIND, "Authorization");

	/* Breakpad's programs can send no header. */
	if (value == NULL && strcmp(request->path, "/symupload") == 0) {
		value = MHD_lookup_connection_value(
			request->connection, MHD_GET_ARGUMENT_KIND, "token");
		text_copy(out, MAX_TOKEN, value != NULL ? value : "");
		return out[0] != '\0';
	}
	if (value == NULL || strlen(value) >= MAX_TOKEN)
		return false;
	if (strncasecmp(value, "Bearer ", 7) == 0) {
		text_copy(out, MAX_TOKEN, value + 7 + strspn(value + 7, " "));
		return true;
	}
	return strncasecmp(value, "Basic ", 6) == 0 &&
	       basic_password(value + 6 + strspn(value + 6, " "), out);
}

static enum token_role needed(enum endpoint endpoint)
{
	switch (endpoint) {
	case ENDPOINT_HITS:
	case ENDPOINT_REPORT:
		return TOKEN_INGEST;
	case ENDPOINT_ADMIN:
		return TOKEN_ADMIN;
	case ENDPOINT_SYMBOLS:
		return TOKEN_SYMBOLS;
	default:
		return TOKEN_READ;
	}
}

static bool is_open(struct request *request)
{
	bool health = request->endpoint == ENDPOINT_LIVE ||
		      request->endpoint == ENDPOINT_READY ||
		      request->endpoint == ENDPOINT_METRICS;

	/* Without tokens nothing listens beyond loopback; should the last one
	 * be revoked while something does, then only we ourselves get in. */
	return (health || (request->in->tokens.len == 0 &&
			   !request->in->tokens_bad)) && is_local(request);
}

/* Compares all of it, however early it differs. */
static bool is_canary(const struct request *request, const char *token)
{
	const char *secret = request->in->role->settings.canary_secret;
	size_t len = strlen(secret);
	unsigned difference = 0;

	if (strlen(token) != len || len == 0)
		return false;
	for (size_t i = 0; i < len; i++)
		difference |= (unsigned)(token[i] ^ secret[i]);
	return difference == 0;
}

static bool refuse(struct request *request)
{
	static const char body[] = "{\"error\":\"unauthorized\",\"detail\":"
		"\"send a token: Authorization: Bearer TOKEN\"}\n";
	struct MHD_Response *response = MHD_create_response_from_buffer(
		sizeof(body) - 1, (void *)(uintptr_t)body,
		MHD_RESPMEM_PERSISTENT);

	MHD_add_response_header(response, "Content-Type", "application/json");
	MHD_add_response_header(response, "WWW-Authenticate",
				request->endpoint == ENDPOINT_GET ?
				"Basic realm=\"Epitaph: the password is a "
				"read token\"" : "Bearer");
	request_respond(request, 401, response);
	return false;
}

bool auth_check(struct request *request)
{
	struct ingest *in = request->in;
	const struct token *token;
	char text[MAX_TOKEN];
	bool sent = sent_token(request, text);

	read_tokens(in);
	text_copy(request->who, sizeof(request->who), "local");
	if (sent && is_canary(request, text)) {
		request->canary = true;
		return true;
	}
	if (is_open(request))
		return true;
	token = sent && !in->tokens_bad ?
		tokens_find(&in->tokens, text, strlen(text)) : NULL;
	if (token == NULL)
		return refuse(request);
	text_copy(request->who, sizeof(request->who), token->name);
	if (token_allows(token->role, needed(request->endpoint)))
		return true;
	request_error(request, 403, "forbidden",
		      "the token is good, but not for this");
	return false;
}

/* The token file and the command that edits it. Read by ingest workers and
 * the supervisor; written by `epitaphd token`, aside and renamed, so that a
 * reader sees the old one or the new one. */
#include "token.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "text.h"

#define TOKEN_FILE "tokens"

enum { TOKEN_BYTES = 32 };

static const struct {
	enum token_role role;
	const char *name;
} roles[] = {
	{ TOKEN_INGEST, "ingest" },
	{ TOKEN_READ, "read" },
	{ TOKEN_SYMBOLS, "symbols" },
	{ TOKEN_ADMIN, "admin" },
};

static bool role_from_text(const char *name, enum token_role *out)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (strcmp(roles[i].name, name) == 0) {
			*out = roles[i].role;
			return true;
		}
	}
	return false;
}

static const char *role_text(enum token_role role)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (roles[i].role == role)
			return roles[i].name;
	}
	return "?";
}

bool token_allows(enum token_role role, enum token_role needed)
{
	return role == TOKEN_ADMIN || role == needed;
}

static bool parse_line(const char *line, struct token *out)
{
	char role[16], hash[65];

	memset(out, 0, sizeof(*out));
	return sscanf(line, "%15s %64s %63s", role, hash, out->name) == 3 &&
	       role_from_text(role, &out->role) && strlen(hash) == 64 &&
	       text_unhex(hash, 32, out->hash);
}

bool tokens_load(struct tokens *out, struct error *err)
{
	FILE *file = fopen(TOKEN_FILE, "re");
	char line[256];
	bool ok = true;

	out->len = 0;
	if (file == NULL && errno == ENOENT)
		return true;
	if (file == NULL)
		return fail_errno(err, "open %s", TOKEN_FILE);
	while (ok && fgets(line, sizeof(line), file) != NULL) {
		if (out->len == TOKENS_MAX)
			ok = fail(err, ERR_TOO_LARGE, "%s: over %d tokens",
				  TOKEN_FILE, (int)TOKENS_MAX);
		else if (!parse_line(line, &out->entries[out->len]))
			ok = fail(err, ERR_BAD_DATA, "%s: line %zu is none of "
				  "ours", TOKEN_FILE, out->len + 1);
		else
			out->len++;
	}
	fclose(file);
	return ok;
}

static void hash_token(const char *text, size_t len, uint8_t hash_out[32])
{
	SHA2_CTX context;

	SHA256Init(&context);
	SHA256Update(&context, (const uint8_t *)text, len);
	SHA256Final(hash_out, &context);
}

/* Equal, in a time that says nothing of where they differ. */
static bool same_hash(const uint8_t a[32], const uint8_t b[32])
{
	unsigned difference = 0;

	for (size_t i = 0; i < 32; i++)
		difference |= (unsigned)(a[i] ^ b[i]);
	return difference == 0;
}

const struct token *tokens_find(const struct tokens *tokens, const char *text,
				size_t len)
{
	const struct token *found = NULL;
	uint8_t hash[32];

	hash_token(text, len, hash);
	for (size_t i = 0; i < tokens->len; i++) {
		if (same_hash(tokens->entries[i].hash, hash))
			found = &tokens->entries[i];
	}
	return found;
}

static bool write_lines(int fd, const struct tokens *tokens, struct error *err)
{
	char hash[65];

	for (size_t i = 0; i < tokens->len; i++) {
		const struct token *token = &tokens->entries[i];

		text_hex(token->hash, 32, hash);
		if (dprintf(fd, "%s %s %s\n", role_text(token->role), hash,
			    token->name) < 0)
			return fail_errno(err, "write tokens");
	}
	if (fsync(fd) < 0)
		return fail_errno(err, "sync tokens");
	return true;
}

static bool tokens_save(const struct tokens *tokens, struct error *err)
{
	int fd = open(TOKEN_FILE ".new", O_WRONLY | O_CREAT | O_TRUNC |
		      O_CLOEXEC, 0600);
	bool ok;

	if (fd < 0)
		return fail_errno(err, "write tokens");
	ok = write_lines(fd, tokens, err);
	close(fd);
	if (ok && rename(TOKEN_FILE ".new", TOKEN_FILE) < 0)
		ok = fail_errno(err, "rename tokens");
	return ok;
}

static struct token *find_name(struct tokens *tokens, const char *name)
{
	for (size_t i = 0; i < tokens->len; i++) {
		if (strcmp(tokens->entries[i].name, name) == 0)
			return &tokens->entries[i];
	}
	return NULL;
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < TOKEN_NAME &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
		      "WXYZ0123456789._-@") == len;
}

static bool add(struct tokens *tokens, const char *role, const char *name,
		struct error *err)
{
	struct token *token = &tokens->entries[tokens->len];
	uint8_t random[TOKEN_BYTES];
	char text[2 * TOKEN_BYTES + 1];
	enum token_role kind;

	if (role == NULL || !role_from_text(role, &kind))
		return fail(err, ERR_BAD_DATA,
			    "--role has to be ingest, read, symbols or admin");
	if (!is_name(name))
		return fail(err, ERR_BAD_DATA, "a name has 1 to %d letters, "
			    "digits and . _ - @", TOKEN_NAME - 1);
	if (find_name(tokens, name) != NULL)
		return fail(err, ERR_REFUSED, "%s is there already; revoke "
			    "it first", name);
	if (tokens->len == TOKENS_MAX)
		return fail(err, ERR_TOO_LARGE, "%d tokens at most",
			    (int)TOKENS_MAX);
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return fail_errno(err, "random bytes");
	text_hex(random, sizeof(random), text);
	hash_token(text, strlen(text), token->hash);
	token->role = kind;
	text_copy(token->name, sizeof(token->name), name);
	tokens->len++;
	if (!tokens_save(tokens, err))
		return false;
	puts(text);
	return true;
}

static bool take_away(struct tokens *tokens, const char *name,
		      struct error *err)
{
	struct token *token = find_name(tokens, name);

	if (token == NULL)
		return fail(err, ERR_NOT_FOUND, "there is no %s", name);
	*token = tokens->entries[tokens->len - 1];
	tokens->len--;
	return tokens_save(tokens, err);
}

static void list(const struct tokens *tokens)
{
	for (size_t i = 0; i < tokens->len; i++)
		printf("%-8s %s\n", role_text(tokens->entries[i].role),
		       tokens->entries[i].name);
}

static int usage(const char *why)
{
	fprintf(stderr, "epitaphd: token: %s\n"
		"usage: epitaphd token add [--data DIR] --role "
		"ingest|read|symbols|admin NAME\n"
		"       epitaphd token list [--data DIR]\n"
		"       epitaphd token revoke [--data DIR] NAME\n", why);
	return 2;
}

/* What the command line said. */
struct request {
	const char *data, *role, *verb, *name;
};

static bool parse_request(int argc, char **argv, struct request *out)
{
	static const struct option options[] = {
		{ "data", required_argument, NULL, 'd' },
		{ "role", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'd')
			out->data = optarg;
		else if (c == 'r')
			out->role = optarg;
		else
			return false;
	}
	out->verb = optind < argc ? argv[optind++] : NULL;
	out->name = optind < argc ? argv[optind++] : NULL;
	return out->verb != NULL && optind == argc;
}

/* Held until the command ends: two at once would lose one's work. */
static bool take_lock(struct error *err)
{
	int fd = open(TOKEN_FILE ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail_errno(err, "write to the data directory");
	if (flock(fd, LOCK_EX) < 0)
		return fail_errno(err, "lock the tokens");
	return true;
}

static bool run_request(const struct request *request, struct error *err)
{
	static struct tokens tokens;

	mkdir(request->data, 0700);
	if (chdir(request->data) < 0)
		return fail_errno(err, "enter data directory %s",
				  request->data);
	if (!take_lock(err) || !tokens_load(&tokens, err))
		return false;
	if (strcmp(request->verb, "add") == 0)
		return add(&tokens, request->role, request->name, err);
	if (strcmp(request->verb, "revoke") == 0)
		return take_away(&tokens, request->name, err);
	list(&tokens);
	return true;
}

int token_main(int argc, char **argv)
{
	struct request request = { .data = "/var/lib/epitaph" };
	struct error err;
	bool lists;

	if (!parse_request(argc, argv, &request))
		return usage("which one, and what?");
	lists = strcmp(request.verb, "list") == 0;
	if (!lists && strcmp(request.verb, "add") != 0 &&
	    strcmp(request.verb, "revoke") != 0)
		return usage("add, list or revoke");
	if (lists != (request.name == NULL))
		return usage(lists ? "list takes no name" : "what name?");
	if (run_request(&request, &err))
		return 0;
	fprintf(stderr, "epitaphd: token %s: %s\n", request.verb, err.text);
	return 1;
}

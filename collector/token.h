/* Tokens: who may do what. The file DATA/tokens has a line for each: role,
 * SHA-256 of the token, name. The token itself is shown once and never kept.
 * `epitaphd token` writes it; ingest workers read it again when it changes. */
#ifndef EPITAPH_COLLECTOR_TOKEN_H
#define EPITAPH_COLLECTOR_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/report/error.h"

enum token_role {
	TOKEN_INGEST = 1,
	TOKEN_READ = 2,
	TOKEN_SYMBOLS = 4,
	TOKEN_ADMIN = 8,
};

enum { TOKENS_MAX = 1024, TOKEN_NAME = 64 };

struct token {
	enum token_role role;
	uint8_t hash[32];
	char name[TOKEN_NAME];
};

struct tokens {
	struct token entries[TOKENS_MAX];
	size_t len;
};

/* Read the file in the working directory; no file is no tokens. */
bool tokens_load(struct tokens *out, struct error *err);

/* The token that TEXT (LEN bytes) is, or NULL. Takes as long for a wrong one
 * as for a right one. */
const struct token *tokens_find(const struct tokens *tokens, const char *text,
				size_t len);

/* True where ROLE is enough for NEEDED: admin is enough for everything. */
bool token_allows(enum token_role role, enum token_role needed);

/* `epitaphd token ...`: argv[0] is "token". The result is the exit status. */
int token_main(int argc, char **argv);

#endif

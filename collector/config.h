/* What the operator decides: command line and configuration file, as one flat
 * struct that the supervisor hands to every role. */
#ifndef EPITAPH_COLLECTOR_CONFIG_H
#define EPITAPH_COLLECTOR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "../lib/report/error.h"

#define EPITAPHD_VERSION "0.1.0"

enum {
	CONFIG_LISTEN = 8,      /* addresses; one and a socket is usual */
	CONFIG_WORKERS = 16,
	CONFIG_PATH = 1024,
	CONFIG_PORT = 7350,
	CONFIG_SERVERS = 8,
	CONFIG_URL = 512,
	CONFIG_CANARY_SECRET = 33, /* 32 hex digits */
};

struct listen_address {
	struct sockaddr_storage address;
	socklen_t len;
};

/* No pointers: it crosses processes as it is. */
struct settings {
	char data[CONFIG_PATH];
	char store[CONFIG_PATH];   /* "sqlite" or a URL */
	char epitaph[CONFIG_PATH]; /* the program that symbolizes */
	char symbols[CONFIG_PATH]; /* its store; "": in DATA */
	char unix_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct listen_address listen[CONFIG_LISTEN];
	uint32_t nlisten;
	bool listen_given;
	char debuginfod[CONFIG_SERVERS][CONFIG_URL];
	uint32_t ndebuginfod;
	uint32_t debuginfod_s;   /* that one report may wait for them */
	uint32_t workers;
	uint32_t bodies;         /* wanted for each exact fingerprint */
	uint32_t retention_days;
	uint64_t max_sent;
	uint64_t max_unpacked;
	uint64_t max_symbols;    /* a file of symbols, sent and unpacked */
	char canary_secret[CONFIG_CANARY_SECRET]; /* made at start */
};

enum config_result { CONFIG_RUN, CONFIG_CHECK, CONFIG_EXIT, CONFIG_USAGE };

/* Settings from the command line, and from the file that it names; defaults
 * for the rest. CONFIG_EXIT: --help or --version has been printed.
 * CONFIG_USAGE: ERR says what is wrong. */
enum config_result config_parse(int argc, char **argv, struct settings *out,
				struct error *err);

/* Give one setting (a long option's name, or a line of the file) its VALUE. */
bool config_set(struct settings *settings, const char *key, const char *value,
		struct error *err);

/* True where ADDRESS can be reached from this machine only. */
bool config_is_loopback(const struct listen_address *address);

/* "http://127.0.0.1:7350" into TO. */
void config_url(const struct listen_address *address, char *to, size_t cap);

#endif

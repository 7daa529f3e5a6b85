/* epitaphd: the collector. This is its command line; `-P ROLE` is how the
 * supervisor starts its roles. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "role.h"
#include "supervisor.h"
#include "token.h"

static int start_role(const char *name)
{
	enum role_kind kind;

	if (!role_from_name(name, &kind)) {
		fprintf(stderr, "epitaphd: no role is called %s\n", name);
		return 2;
	}
	return role_main(kind);
}

int main(int argc, char **argv)
{
	static struct settings settings;
	struct error err;

	if (argc == 3 && strcmp(argv[1], "-P") == 0)
		return start_role(argv[2]);
	if (argc >= 2 && strcmp(argv[1], "token") == 0)
		return token_main(argc - 1, argv + 1);
	switch (config_parse(argc, argv, &settings, &err)) {
	case CONFIG_USAGE:
		fprintf(stderr, "epitaphd: %s\nTry `epitaphd --help`.\n",
			err.text);
		return 2;
	case CONFIG_EXIT:
		return EXIT_SUCCESS;
	case CONFIG_CHECK:
		puts("configuration OK");
		return EXIT_SUCCESS;
	case CONFIG_RUN:
		break;
	}
	return supervisor_run(&settings);
}

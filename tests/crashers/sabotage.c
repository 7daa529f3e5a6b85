/* Breaks the shim and crashes: `sabotage PAGE abort|null` takes page PAGE
 * of the shim's writable memory away and then dies. Exits with 42 where the
 * shim has no such page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static volatile unsigned long low = 16;

/* Take away page N, counted over the writable mappings of the shim and the
 * zero pages behind them. */
static int take_page(unsigned long n)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], permissions[8], path[256];
	unsigned long start, end, last = 0;

	while (maps && fgets(line, sizeof(line), maps)) {
		path[0] = '\0';
		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &start, &end,
			   permissions, path) < 3)
			continue;
		if (!strstr(path, "libepitaph") &&
		    !(path[0] == '\0' && start == last))
			continue;
		last = end;
		if (permissions[1] != 'w')
			continue;
		if (n < (end - start) / 4096) {
			fclose(maps);
			return mprotect((void *)(start + n * 4096), 4096,
					PROT_NONE);
		}
		n -= (end - start) / 4096;
	}
	return 1;
}

int main(int argc, char **argv)
{
	if (argc != 3 || take_page(strtoul(argv[1], NULL, 10)) != 0)
		return 42;
	if (strcmp(argv[2], "abort") == 0)
		abort();
	*(volatile int *)low = 1;
	return 0;
}

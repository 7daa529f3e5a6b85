/* The unwinder for AArch64, on this machine, over a crash that qemu-user had:
 * stack and maps from a file ID.raw, code and CFI from the files that the maps
 * name, registers from the words of tests/cross/show on stdin. A line a frame:
 * module, offset in it, trust. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/unwind/unwind.h"
#include "../../shim/signal/record.h"

enum { MAX_PIECES = 600, MAX_MAPS = 100, MAX_SHOWN = 64 };

static struct piece {
	struct raw_head head;
	uint8_t *bytes;
} pieces[MAX_PIECES];
static size_t npieces;

static struct unwind_module modules[MAX_MAPS];
static struct unwind_range code[MAX_MAPS];
static char paths[MAX_MAPS][256];
static size_t nmodules, ncode;

static bool read_pieces(const char *path)
{
	FILE *file = fopen(path, "r");
	struct piece piece;

	while (file && npieces < MAX_PIECES &&
	       fread(&piece.head, sizeof(piece.head), 1, file) == 1) {
		piece.bytes = calloc(1, piece.head.len + 1);
		if (fread(piece.bytes, 1, piece.head.len, file) !=
		    piece.head.len)
			return false;
		pieces[npieces++] = piece;
		if (piece.head.type == RAW_END)
			return true;
	}
	return false;
}

/* An unwind_read: of the stacks alone; the modules' bytes are in files. */
static size_t read_stack(void *context, uint64_t address, void *to, size_t len)
{
	(void)context;
	for (size_t i = 0; i < npieces; i++) {
		const struct piece *piece = &pieces[i];
		uint64_t skip = address - piece->head.address;

		if (piece->head.type != RAW_MEMORY ||
		    address < piece->head.address || skip >= piece->head.len)
			continue;
		if (len > piece->head.len - skip)
			len = piece->head.len - (size_t)skip;
		memcpy(to, piece->bytes + skip, len);
		return len;
	}
	return 0;
}

/* A line of the maps, which are sorted. */
static void take_map(const char *line)
{
	unsigned long start, end, offset;
	char permissions[8], path[256] = "";

	if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %255s", &start, &end,
		   permissions, &offset, path) < 4 ||
	    path[0] != '/' || nmodules == MAX_MAPS || ncode == MAX_MAPS)
		return;
	if (permissions[2] == 'x')
		code[ncode++] = (struct unwind_range){ start, end };
	if (nmodules > 0 && strcmp(paths[nmodules - 1], path) == 0) {
		modules[nmodules - 1].end = end;
		return;
	}
	memcpy(paths[nmodules], path, sizeof(path));
	modules[nmodules++] = (struct unwind_module){
		.base = start - offset, .end = end,
		.elf_fd = open(path, O_RDONLY | O_CLOEXEC), .debug_fd = -1,
	};
}

static void take_maps(void)
{
	for (size_t i = 0; i < npieces; i++)
		if (pieces[i].head.type == RAW_MAPS)
			for (char *line, *at = (char *)pieces[i].bytes;
			     (line = strsep(&at, "\n")) != NULL;)
				take_map(line);
}

static void take_registers(struct registers *registers)
{
	char name[32], value[32];

	while (scanf("%31s %31s", name, value) == 2) {
		uint64_t number = strtoull(value, NULL, 16);
		int reg = name[0] == 'x' ? (int)strtol(name + 1, NULL, 10) :
			  strcmp(name, "sp") == 0 ? R_SP :
			  strcmp(name, "pc") == 0 ? R_PC : -1;

		if (reg < 0)
			continue;
		registers->value[reg] = number;
		registers->valid |= REG_BIT(reg);
	}
}

int main(int argc, char **argv)
{
	struct registers registers = { .valid = 0 };
	struct frame frames[MAX_SHOWN];
	struct unwind_result result;
	struct unwind *unwind;

	if (argc != 2 || !read_pieces(argv[1]))
		return 2;
	take_maps();
	take_registers(&registers);
	unwind = unwind_new(modules, nmodules, code, ncode, read_stack, NULL);
	if (!unwind)
		return 1;
	unwind_thread(unwind, &registers, frames, MAX_SHOWN, &result);
	unwind_free(unwind);
	for (size_t i = 0; i < result.nframes; i++)
		printf("%s %lx %s\n", frames[i].module < 0 ? "?" :
				      paths[frames[i].module],
		       (unsigned long)frames[i].offset,
		       trust_name(frames[i].trust));
	printf("end %s\n", result.truncated ? result.truncated : "reached");
	return 0;
}

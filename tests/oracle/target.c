/* The program under the oracle: its memory, its modules, and our unwinder on
 * it. What cannot change is read once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../lib/proc/user.h"
#include "../../lib/unwind/walk.h"
#include "oracle.h"

enum { MAPS_MAX = 1 << 20 };

_Noreturn void give_up(const char *what)
{
	fprintf(stderr, "oracle: %s: %s\n", what, strerror(errno));
	exit(99);
}

static size_t read_memory(pid_t pid, uint64_t address, void *to, size_t len)
{
	struct iovec local = { to, len };
	struct iovec remote = { (void *)(uintptr_t)address, len };
	ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	return n > 0 ? (size_t)n : 0;
}

/* The copy of the map that holds ADDRESS, where it may be copied. */
static const uint8_t *copy_of(struct target *target, uint64_t address,
			      const struct map **map_out)
{
	const struct map *map = maps_find(&target->maps, address);
	size_t i, len;

	if (!map || map->write || !map->read)
		return NULL;
	i = (size_t)(map - target->maps.entries);
	len = (size_t)(map->end - map->start);
	if (!target->copies[i]) {
		target->copies[i] = calloc(1, len);
		if (!target->copies[i])
			give_up("memory");
		read_memory(target->pid, map->start, target->copies[i], len);
	}
	*map_out = map;
	return target->copies[i];
}

static uint64_t shadow_start(const struct target *target)
{
	return SHADOW_END - 8 * target->nshadow;
}

static size_t read_shadow(const struct target *target, uint64_t address,
			  void *to, size_t len)
{
	size_t at = (size_t)(address - shadow_start(target));

	if (len > SHADOW_END - address)
		len = (size_t)(SHADOW_END - address);
	memcpy(to, (const uint8_t *)target->shadow + at, len);
	return len;
}

size_t target_read(void *context, uint64_t address, void *to, size_t len)
{
	struct target *target = context;
	const struct map *map;
	const uint8_t *copy = copy_of(target, address, &map);

	if (address >= shadow_start(target) && address < SHADOW_END)
		return read_shadow(target, address, to, len);
	if (!copy)
		return read_memory(target->pid, address, to, len);
	if (len > map->end - address)
		len = (size_t)(map->end - address);
	memcpy(to, copy + (address - map->start), len);
	return len;
}

uint64_t target_word(struct target *target, uint64_t address)
{
	uint64_t value = 0;

	target_read(target, address, &value, sizeof(value));
	return value;
}

static char *read_maps(pid_t pid, size_t *len_out)
{
	char path[64], *text = malloc(MAPS_MAX);
	size_t len = 0;
	ssize_t n = 1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (!text || fd < 0)
		give_up(path);
	while (n > 0 && len < MAPS_MAX - 1) {
		n = read(fd, text + len, MAPS_MAX - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	text[len] = '\0';
	*len_out = len;
	return text;
}

static void make_unwind(struct target *target)
{
	struct report *report = &target->report;
	struct unwind_module *modules =
		calloc(report->nmodules + 1, sizeof(*modules));
	struct unwind_range *code =
		calloc(target->maps.len + 1, sizeof(*code));
	size_t ncode = 0;

	if (!modules || !code)
		give_up("memory");
	for (size_t i = 0; i < report->nmodules; i++) {
		const struct module *module = &report->modules[i];
		const struct map *map = maps_find(&target->maps, module->base);

		modules[i].base = module->base;
		modules[i].end = module->base + module->size;
		modules[i].elf_fd = map && map->inode ?
			files_find(&target->files, map->inode) : -1;
		modules[i].debug_fd = -1;
	}
	for (size_t i = 0; i < target->maps.len; i++)
		if (target->maps.entries[i].exec)
			code[ncode++] = (struct unwind_range){
				target->maps.entries[i].start,
				target->maps.entries[i].end
			};
	target->unwind = unwind_new(modules, report->nmodules, code, ncode,
				    target_read, target);
	free(modules);
	free(code);
}

void target_look(struct target *target)
{
	struct error err;
	size_t len;

	target_forget(target);
	target->text = read_maps(target->pid, &len);
	if (!maps_parse(target->text, len, &target->maps, &err) ||
	    !report_init(&target->report, &err))
		give_up("maps");
	target->copies = calloc(target->maps.len + 1, sizeof(uint8_t *));
	if (!target->copies)
		give_up("memory");
	target->has_maps = true;
	files_open(target->pid, &target->maps, &target->files);
	if (!maps_modules(&target->maps, target_read, target, &target->report,
			  &err))
		give_up("modules");
	make_unwind(target);
	if (!target->unwind)
		give_up("memory");
}

void target_forget(struct target *target)
{
	if (!target->has_maps)
		return;
	unwind_free(target->unwind);
	report_free(&target->report);
	files_close(&target->files);
	for (size_t i = 0; i < target->maps.len; i++)
		free(target->copies[i]);
	free(target->copies);
	maps_free(&target->maps);
	free(target->text);
	target->has_maps = false;
}

/* The unwinder is made for a process that is dead: pages that it has seen stay
 * as they were. This one goes on, and has no deadline. */
static void refresh(struct unwind *unwind)
{
	for (size_t i = 0; i < MEMORY_PAGES; i++)
		unwind->memory.pages[i].address = 1;
	unwind->left_ms = WALK_TOTAL_MS;
}

size_t target_unwind(struct target *target,
		     const struct user_regs_struct *regs, struct frame *frames,
		     size_t max)
{
	struct registers registers;
	struct unwind_result result;
	uint64_t words[USER_WORDS];

	_Static_assert(sizeof(words) == sizeof(*regs), "one kernel");
	memcpy(words, regs, sizeof(words));
	user_registers(words, &registers);
	if (target->has_shadow) {
		registers.value[R_SSP] = shadow_start(target);
		registers.valid |= REG_BIT(R_SSP);
	}
	refresh(target->unwind);
	unwind_thread(target->unwind, &registers, frames, max, &result);
	return result.nframes;
}

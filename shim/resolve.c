/* Symbol look-up over the dynamic linker's link_map, from the executable's
 * DT_DEBUG. Runs in the process under the shim, in ordinary context; trusts
 * what the linker has mapped. */
#include <elf.h>
#include <link.h>
#include <stddef.h>

#include "resolve.h"
#include "signal/zone.h"

/* What one object offers: tables that its dynamic section points to. */
struct object {
	const Elf64_Sym *symbols;
	const char *strings;
	const uint32_t *gnu_hash;
	const uint32_t *hash;
	const uint16_t *versions;
};

void resolve_init(uintptr_t phdr, uintptr_t count)
{
	const Elf64_Phdr *headers = (const Elf64_Phdr *)phdr;
	const Elf64_Dyn *dynamic = NULL;
	uintptr_t bias = 0;

	for (uintptr_t i = 0; headers && i < count; i++) {
		if (headers[i].p_type == PT_PHDR)
			bias = phdr - headers[i].p_vaddr;
		if (headers[i].p_type == PT_DYNAMIC)
			dynamic = (const void *)(bias + headers[i].p_vaddr);
	}
	for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
		if (dynamic->d_tag == DT_DEBUG)
			zone.linker = dynamic->d_un.d_ptr;
	}
}

/* glibc relocates these pointers in place, musl does not. */
static const void *pointer(const struct link_map *map, const Elf64_Dyn *entry)
{
	uintptr_t at = entry->d_un.d_ptr;

	return (const void *)(at < map->l_addr ? at + map->l_addr : at);
}

static struct object read_object(const struct link_map *map)
{
	struct object o = { 0 };

	for (const Elf64_Dyn *d = map->l_ld; d && d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_SYMTAB)
			o.symbols = pointer(map, d);
		else if (d->d_tag == DT_STRTAB)
			o.strings = pointer(map, d);
		else if (d->d_tag == DT_GNU_HASH)
			o.gnu_hash = pointer(map, d);
		else if (d->d_tag == DT_HASH)
			o.hash = pointer(map, d);
		else if (d->d_tag == DT_VERSYM)
			o.versions = pointer(map, d);
	}
	return o;
}

/* Whether symbol I of O is NAME, defined; *HIDDEN_OUT: not as its default
 * version. */
static bool is_symbol(const struct object *o, uint32_t i, const char *name,
		      bool *hidden_out)
{
	const Elf64_Sym *symbol = &o->symbols[i];

	if (symbol->st_shndx == SHN_UNDEF ||
	    ELF64_ST_TYPE(symbol->st_info) != STT_FUNC ||
	    !text_equal(o->strings + symbol->st_name, name))
		return false;
	*hidden_out = o->versions && (o->versions[i] & 0x8000);
	return true;
}

static uint32_t gnu_hash(const char *name)
{
	uint32_t hash = 5381;

	while (*name)
		hash = hash * 33 + (uint8_t)*name++;
	return hash;
}

/* Index of NAME in O by its DT_GNU_HASH, 0 if it has none. A hidden version
 * will do only where there is no other. */
static uint32_t find_gnu(const struct object *o, const char *name)
{
	const uint32_t *table = o->gnu_hash;
	uint32_t nbuckets = table[0], base = table[1], bloom = table[2];
	const uint32_t *buckets = table + 4 + 2 * (size_t)bloom;
	const uint32_t *chain = buckets + nbuckets;
	uint32_t wanted = gnu_hash(name), found = 0;
	bool hidden;

	if (!nbuckets)
		return 0;
	for (uint32_t i = buckets[wanted % nbuckets]; i >= base && i; i++) {
		if ((chain[i - base] | 1) == (wanted | 1) &&
		    is_symbol(o, i, name, &hidden)) {
			found = i;
			if (!hidden)
				break;
		}
		if (chain[i - base] & 1)
			break;
	}
	return found;
}

static uint32_t find_sysv(const struct object *o, const char *name)
{
	uint32_t nsymbols = o->hash[1], found = 0;
	bool hidden;

	for (uint32_t i = 1; i < nsymbols; i++) {
		if (!is_symbol(o, i, name, &hidden))
			continue;
		found = i;
		if (!hidden)
			break;
	}
	return found;
}

static const struct link_map *first_map(void)
{
	const struct r_debug *debug = (const void *)zone.linker;

	return debug ? debug->r_map : NULL;
}

size_t resolve_count(void)
{
	size_t n = 0;

	for (const struct link_map *map = first_map(); map; map = map->l_next)
		n++;
	return n;
}

static const struct link_map *own_map(void)
{
	const struct link_map *map = first_map();

	while (map && map->l_ld != _DYNAMIC)
		map = map->l_next;
	return map;
}

/* The symbol NAME that the object of MAP defines, or NULL. */
static const Elf64_Sym *find(const struct link_map *map, const char *name)
{
	struct object o = read_object(map);
	uint32_t i = 0;

	if (!o.symbols || !o.strings)
		return NULL;
	if (o.gnu_hash)
		i = find_gnu(&o, name);
	else if (o.hash)
		i = find_sysv(&o, name);
	return i ? &o.symbols[i] : NULL;
}

uintptr_t resolve_sized(const char *name, size_t *len_out)
{
	const struct link_map *map = own_map();

	for (map = map ? map->l_next : NULL; map; map = map->l_next) {
		const Elf64_Sym *symbol = find(map, name);

		if (!symbol)
			continue;
		*len_out = symbol->st_size;
		return map->l_addr + symbol->st_value;
	}
	return 0;
}

bool resolve_is_last(const char *name, uintptr_t address)
{
	const struct link_map *map = own_map();
	uintptr_t last = 0;

	for (map = map ? map->l_next : NULL; map; map = map->l_next) {
		const Elf64_Sym *symbol = find(map, name);

		if (symbol)
			last = map->l_addr + symbol->st_value;
	}
	return last == address;
}

uintptr_t resolve_next(const char *name)
{
	size_t len;

	return resolve_sized(name, &len);
}

const char *resolve_own_path(void)
{
	const struct link_map *map = own_map();

	return map ? map->l_name : NULL;
}

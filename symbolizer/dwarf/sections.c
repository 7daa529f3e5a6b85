/* The debug sections of one ELF file, unpacked. Runs in the process that can be
 * lost. What a section says of its own size is believed as far as memory that
 * nobody has touched costs nothing. */
#include "sections.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <dwarf.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

enum {
	PAGE = 4096,
	HUGE = 2 << 20,  /* pages of what is unpacked, if the kernel likes: a
	                  * tenth of all time is faults of small ones */
	PIECE = 1 << 20, /* unpacked at once, and then told of */
	ZLIB_HEAD = 2,   /* bytes; before the deflated ones */
	OLD_HEAD = 12,   /* of .zdebug_*: "ZLIB", and the size, big-endian */
};

/* As ELF's gABI has them; elf.h of Debian 12 knows only the first. */
enum { PACKED_NOT = 0, PACKED_ZLIB = 1, PACKED_ZSTD = 2 };

struct section {
	const uint8_t *packed; /* as it lies in the file, without a header */
	size_t packed_len;
	unsigned how;          /* PACKED_* */
	uint8_t *bytes;        /* unpacked; NULL: not yet, or there is none */
	size_t len;            /* as it says */
	size_t ready;          /* of it, from its start */
	bool is_mapped;        /* BYTES are ours, not the file's */
};

struct sections {
	struct section of[SECTION_COUNT];
	struct sections *whole; /* that this is a part of; or NULL */
	struct section_part later[SECTION_COUNT - SECTION_LOC];
	bool is_file;          /* what is dropped can be read again */
	bool has_thread;
	pthread_t thread;      /* unpacks SECTION_INFO */
	pthread_mutex_t lock;  /* for what is next */
	pthread_cond_t more;
	bool is_over, is_closing;
	size_t dropped;        /* of SECTION_INFO, from its start */
};

static const char *const names[SECTION_COUNT] = {
	[SECTION_INFO] = "info",
	[SECTION_ABBREV] = "abbrev",
	[SECTION_LINE] = "line",
	[SECTION_STR] = "str",
	[SECTION_LINE_STR] = "line_str",
	[SECTION_RANGES] = "ranges",
	[SECTION_RNGLISTS] = "rnglists",
	[SECTION_ADDR] = "addr",
	[SECTION_STR_OFFSETS] = "str_offsets",
	[SECTION_CU_INDEX] = "cu_index",
	[SECTION_LOC] = "loc",
	[SECTION_LOCLISTS] = "loclists",
};

/* Finding them */

/* "info" for ".debug_info", or with SPLIT for ".debug_info.dwo"; SECTION_COUNT
 * for what is none of ours. *OLD_OUT: by the name that sections had which were
 * packed before ELF knew of that. */
static enum section_kind kind_of(const char *name, bool split, bool *old_out)
{
	size_t len;

	*old_out = strncmp(name, ".zdebug_", 8) == 0;
	if (!*old_out && strncmp(name, ".debug_", 7) != 0)
		return SECTION_COUNT;
	name += *old_out ? 8 : 7;
	if (strcmp(name, names[SECTION_CU_INDEX]) == 0)
		return split ? SECTION_CU_INDEX : SECTION_COUNT;
	len = strlen(name);
	if (split != (len > 4 && strcmp(name + len - 4, ".dwo") == 0))
		return SECTION_COUNT;
	if (split)
		len -= 4;
	for (int i = 0; i < SECTION_COUNT; i++)
		if (strlen(names[i]) == len &&
		    strncmp(names[i], name, len) == 0)
			return (enum section_kind)i;
	return SECTION_COUNT;
}

/* A section says how it is packed in a header of its own. */
static void read_head(struct section *section, bool is_old, bool has_head)
{
	struct reader r;

	reader_init(&r, section->packed, section->packed_len);
	section->len = section->packed_len;
	if (is_old) {
		reader_skip(&r, 4);
		section->how = PACKED_ZLIB;
		section->len = (size_t)be64toh(reader_u64(&r));
	} else if (has_head) {
		section->how = reader_u32(&r);
		reader_skip(&r, 4);
		section->len = (size_t)reader_u64(&r);
		reader_skip(&r, 8);
	} else {
		return;
	}
	if (r.bad || section->len > SECTION_MAX || section->how == PACKED_NOT)
		section->len = 0;
	section->packed += r.pos;
	section->packed_len -= r.pos;
}

/* gcc gives each type unit of a .dwo a section of its own, of the same name as
 * the one that is wanted. */
static bool is_of_types(const struct section *section)
{
	struct reader r;
	uint8_t type;

	reader_init(&r, section->packed, section->packed_len);
	reader_skip(&r, reader_u32(&r) == UINT32_MAX ? sizeof(uint64_t) : 0);
	if (reader_u16(&r) < 5)
		return false;
	type = reader_u8(&r);
	return type == DW_UT_type || type == DW_UT_split_type;
}

static void take_section(struct section *section, Elf_Scn *scn, bool is_old,
			 const GElf_Shdr *shdr)
{
	Elf_Data *data = elf_rawdata(scn, NULL);

	if (section->packed || !data || !data->d_buf)
		return;
	section->packed = data->d_buf;
	section->packed_len = data->d_size;
	read_head(section, is_old, shdr->sh_flags & SHF_COMPRESSED);
}

static void find_sections(struct sections *sections,
			  const struct elf_file *file, bool split)
{
	Elf_Scn *scn = NULL;
	size_t strings;

	if (elf_getshdrstrndx(file->elf, &strings) != 0)
		return;
	while ((scn = elf_nextscn(file->elf, scn)) != NULL) {
		enum section_kind kind;
		const char *name;
		GElf_Shdr shdr;
		bool is_old;

		if (gelf_getshdr(scn, &shdr) == NULL ||
		    shdr.sh_type == SHT_NOBITS)
			continue;
		name = elf_strptr(file->elf, strings, shdr.sh_name);
		kind = name ? kind_of(name, split, &is_old) : SECTION_COUNT;
		if (kind == SECTION_COUNT)
			continue;
		if (kind == SECTION_INFO && is_of_types(&sections->of[kind]))
			memset(&sections->of[kind], 0, sizeof(struct section));
		take_section(&sections->of[kind], scn, is_old, &shdr);
	}
}

/* Unpacking them */

/* What has been unpacked is there for others, and what it was unpacked from is
 * not needed again. False where no more is wanted. */
typedef bool piece_done(void *context, size_t ready, size_t used);

static void unpack_zlib(struct section *section, piece_done *done,
			void *context)
{
	struct inflate_state *state = malloc(sizeof(*state));
	size_t in = ZLIB_HEAD, ready = 0;

	if (!state || section->packed_len < ZLIB_HEAD) {
		free(state);
		return;
	}
	isal_inflate_init(state);
	state->crc_flag = ISAL_DEFLATE;
	while (ready < section->len && state->block_state !=
				       ISAL_BLOCK_FINISH) {
		size_t in_len = section->packed_len - in;
		size_t out_len = section->len - ready;

		in_len = in_len < PIECE ? in_len : PIECE;
		out_len = out_len < PIECE ? out_len : PIECE;
		state->next_in = (uint8_t *)section->packed + in;
		state->avail_in = (uint32_t)in_len;
		state->next_out = section->bytes + ready;
		state->avail_out = (uint32_t)out_len;
		if (isal_inflate(state) != ISAL_DECOMP_OK)
			break;
		in += in_len - state->avail_in;
		ready += out_len - state->avail_out;
		if (!done(context, ready, in) ||
		    (state->avail_in == in_len && state->avail_out == out_len))
			break;
	}
	free(state);
}

static void unpack_zstd(struct section *section, piece_done *done,
			void *context)
{
	ZSTD_DStream *stream = ZSTD_createDStream();
	ZSTD_inBuffer in = { section->packed, section->packed_len, 0 };
	size_t ready = 0;

	while (stream && ready < section->len) {
		size_t left = section->len - ready;
		ZSTD_outBuffer out = { section->bytes + ready,
				       left < PIECE ? left : PIECE, 0 };
		size_t before = in.pos;
		size_t result = ZSTD_decompressStream(stream, &out, &in);

		ready += out.pos;
		if (ZSTD_isError(result) || !done(context, ready, in.pos))
			break;
		if (out.pos == 0 && in.pos == before) /* behind all frames */
			break;
	}
	ZSTD_freeDStream(stream);
}

static bool make_room(struct section *section)
{
	void *at = mmap(NULL, section->len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return false;
	madvise(at, section->len, MADV_HUGEPAGE);
	section->bytes = at;
	section->is_mapped = true;
	return true;
}

/* True where SECTION has to be unpacked, and there is room for it. */
static bool prepare(struct section *section)
{
	if (!section->packed || section->len == 0)
		return false;
	if (section->how == PACKED_NOT) {
		section->bytes = (uint8_t *)section->packed;
		section->ready = section->len;
		return false;
	}
	return make_room(section);
}

static void unpack(struct section *section, piece_done *done, void *context)
{
	if (section->how == PACKED_ZLIB)
		unpack_zlib(section, done, context);
	else if (section->how == PACKED_ZSTD)
		unpack_zstd(section, done, context);
}

static bool note_ready(void *context, size_t ready, size_t used)
{
	struct section *section = context;

	(void)used;
	section->ready = ready;
	return true;
}

/* Pages of SIZE bytes that have been read are only in the way. */
static void drop_pages(const uint8_t *from, const uint8_t *to, uintptr_t size)
{
	uintptr_t start = ((uintptr_t)from + size - 1) & ~(size - 1);
	uintptr_t end = (uintptr_t)to & ~(size - 1);

	if (end > start)
		madvise((void *)start, end - start, MADV_DONTNEED);
}

static bool tell_ready(void *context, size_t ready, size_t used)
{
	struct sections *sections = context;
	struct section *info = &sections->of[SECTION_INFO];
	bool is_wanted;

	if (sections->is_file)
		drop_pages(info->packed, info->packed + used, PAGE);
	pthread_mutex_lock(&sections->lock);
	info->ready = ready;
	is_wanted = !sections->is_closing;
	pthread_cond_broadcast(&sections->more);
	pthread_mutex_unlock(&sections->lock);
	return is_wanted;
}

static void *unpack_info(void *context)
{
	struct sections *sections = context;

	unpack(&sections->of[SECTION_INFO], tell_ready, sections);
	pthread_mutex_lock(&sections->lock);
	sections->is_over = true;
	pthread_cond_broadcast(&sections->more);
	pthread_mutex_unlock(&sections->lock);
	return NULL;
}

struct sections *sections_open(const struct elf_file *file, bool split)
{
	struct sections *sections = calloc(1, sizeof(*sections));

	if (!sections)
		return NULL;
	sections->is_file = file->fd >= 0;
	find_sections(sections, file, split);
	if (!sections->of[SECTION_INFO].packed) {
		free(sections);
		return NULL;
	}
	pthread_mutex_init(&sections->lock, NULL);
	pthread_cond_init(&sections->more, NULL);
	if (!prepare(&sections->of[SECTION_INFO]))
		sections->is_over = true;
	else if (pthread_create(&sections->thread, NULL, unpack_info,
				sections) == 0)
		sections->has_thread = true;
	else
		unpack_info(sections);
	for (int i = 0; i < SECTION_LOC; i++)
		if (i != SECTION_INFO && prepare(&sections->of[i]))
			unpack(&sections->of[i], note_ready, &sections->of[i]);
	return sections;
}

static bool take_part(struct sections *whole, enum section_kind kind,
		      const struct section_part *part, struct section *out)
{
	struct reader r = kind == SECTION_INFO
		? sections_info(whole, part->at + part->len)
		: sections_get(whole, kind);

	if (part->at > r.len || part->len > r.len - part->at)
		return false;
	if (part->len > 0)
		out->bytes = whole->of[kind].bytes + part->at;
	out->len = out->ready = part->len;
	return true;
}

struct sections *sections_part(struct sections *whole,
			       const struct section_part parts[SECTION_COUNT])
{
	struct sections *part = calloc(1, sizeof(*part));
	bool fits = true;

	if (!part)
		return NULL;
	pthread_mutex_init(&part->lock, NULL);
	pthread_cond_init(&part->more, NULL);
	part->is_over = true;
	part->is_file = whole->is_file && !whole->of[SECTION_INFO].is_mapped;
	for (int i = 0; fits && i < SECTION_LOC; i++)
		fits = take_part(whole, (enum section_kind)i, &parts[i],
				 &part->of[i]);
	part->whole = whole;
	memcpy(part->later, &parts[SECTION_LOC], sizeof(part->later));
	if (fits)
		return part;
	sections_close(part);
	return NULL;
}

void sections_close(struct sections *sections)
{
	if (!sections)
		return;
	if (sections->has_thread) {
		pthread_mutex_lock(&sections->lock);
		sections->is_closing = true;
		pthread_mutex_unlock(&sections->lock);
		pthread_join(sections->thread, NULL);
	}
	for (int i = 0; i < SECTION_COUNT; i++)
		if (sections->of[i].is_mapped)
			munmap(sections->of[i].bytes, sections->of[i].len);
	pthread_mutex_destroy(&sections->lock);
	pthread_cond_destroy(&sections->more);
	free(sections);
}

struct reader sections_info(struct sections *sections, uint64_t len)
{
	struct section *info = &sections->of[SECTION_INFO];
	struct reader r;

	pthread_mutex_lock(&sections->lock);
	while (!sections->is_over && info->ready < len)
		pthread_cond_wait(&sections->more, &sections->lock);
	reader_init(&r, info->bytes, info->ready);
	pthread_mutex_unlock(&sections->lock);
	return r;
}

/* A section that is unpacked only now. */
static struct reader get_late(struct sections *sections, enum section_kind kind)
{
	struct section *section = &sections->of[kind];
	struct reader r;

	if (sections->whole) {
		const struct section_part *part =
			&sections->later[kind - SECTION_LOC];

		r = sections_get(sections->whole, kind);
		return reader_at(&r, part->at, part->len);
	}
	if (!section->bytes && prepare(section))
		unpack(section, note_ready, section);
	reader_init(&r, section->bytes, section->ready);
	return r;
}

struct reader sections_get(struct sections *sections, enum section_kind kind)
{
	const struct section *section = &sections->of[kind];
	struct reader r;

	if (kind == SECTION_INFO)
		return sections_info(sections, UINT64_MAX);
	if (kind >= SECTION_LOC)
		return get_late(sections, kind);
	reader_init(&r, section->bytes, section->ready);
	return r;
}

void sections_drop(struct sections *sections, uint64_t offset)
{
	struct section *info = &sections->of[SECTION_INFO];

	if (offset <= sections->dropped + 2 * HUGE || offset > info->len ||
	    (!info->is_mapped && !sections->is_file))
		return;
	drop_pages(info->bytes + sections->dropped, info->bytes + offset,
		   HUGE);
	sections->dropped = (size_t)offset - HUGE;
}

/* An ELF file in memory, of sections that a test writes byte by byte, and a
 * small writer of DWARF: it knows how units, abbreviations and line tables are
 * laid out, and nothing of what they mean. */
#ifndef EPITAPH_TESTS_UNIT_DWARF_IMAGE_H
#define EPITAPH_TESTS_UNIT_DWARF_IMAGE_H

#include <elf.h>
#include <stdarg.h>

#include <dwarf.h>

#include "../../symbolizer/dwarf/tree.h"
#include "test.h"

enum { IMAGE_SECTIONS = 16, IMAGE_MAX = 64 << 20 };

struct image_section {
	char name[32];
	uint64_t flags;
	struct writer bytes;
};

/* All zero: empty. */
struct image {
	struct image_section sections[IMAGE_SECTIONS];
	size_t nsections;
	struct writer elf;
	struct elf_file file;
	struct dwarf_file *dwarf;
};

/* Where to write the contents of .debug_NAME. */
static inline struct writer *image_section(struct image *image,
					   const char *name)
{
	struct image_section *section = image->sections;

	for (size_t i = 0; i < image->nsections; i++, section++)
		if (strcmp(section->name + strlen(".debug_"), name) == 0)
			return &section->bytes;
	if (++image->nsections == IMAGE_SECTIONS)
		abort();
	snprintf(section->name, sizeof(section->name), ".debug_%s", name);
	writer_init(&section->bytes, IMAGE_MAX);
	return &section->bytes;
}

static inline void put_header(struct writer *w, uint32_t name, uint32_t type,
			      uint64_t flags, uint64_t offset, uint64_t len)
{
	writer_u32(w, name);
	writer_u32(w, type);
	writer_u64(w, flags);
	writer_u64(w, 0); /* address */
	writer_u64(w, offset);
	writer_u64(w, len);
	writer_zero(w, 24); /* link, info, alignment, size of an entry */
}

/* The file: its header, the sections, their names, and their headers. */
static inline void image_write(struct image *image, struct writer *w)
{
	static const uint8_t ident[EI_NIDENT] = {
		0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT,
	};
	uint64_t at[IMAGE_SECTIONS], headers, names_at;
	size_t n = image->nsections;
	struct writer names;

	writer_init(w, IMAGE_MAX);
	writer_init(&names, 4096);
	writer_bytes(w, ident, sizeof(ident));
	writer_u16(w, ET_DYN);
	writer_u16(w, EM_X86_64);
	writer_u32(w, EV_CURRENT);
	writer_zero(w, sizeof(Elf64_Ehdr) - EI_NIDENT - 8);
	for (size_t i = 0; i < n; i++) {
		at[i] = writer_align(w, 8);
		writer_bytes(w, image->sections[i].bytes.bytes,
			     image->sections[i].bytes.len);
	}
	writer_u8(&names, 0);
	for (size_t i = 0; i < n; i++)
		writer_bytes(&names, image->sections[i].name,
			     strlen(image->sections[i].name) + 1);
	names_at = w->len;
	writer_bytes(w, names.bytes, names.len);
	headers = writer_align(w, 8);
	put_header(w, 0, SHT_NULL, 0, 0, 0);
	for (size_t i = 0, name = 1; i < n; i++) {
		put_header(w, (uint32_t)name, SHT_PROGBITS,
			   image->sections[i].flags, at[i],
			   image->sections[i].bytes.len);
		name += strlen(image->sections[i].name) + 1;
	}
	put_header(w, 0, SHT_STRTAB, 0, names_at, names.len);
	writer_patch_u32(w, offsetof(Elf64_Ehdr, e_shoff), (uint32_t)headers);
	writer_patch_u32(w, offsetof(Elf64_Ehdr, e_ehsize),
			 sizeof(Elf64_Ehdr));
	writer_patch_u32(w, offsetof(Elf64_Ehdr, e_shentsize),
			 sizeof(Elf64_Shdr) | (uint32_t)(n + 2) << 16);
	w->bytes[offsetof(Elf64_Ehdr, e_shstrndx)] = (uint8_t)(n + 1);
	writer_fini(&names);
}

/* Write IMAGE and read it; IMAGE->dwarf is NULL where it has no DWARF. */
static inline struct dwarf_file *image_open(struct image *image, bool split,
					    struct image *alt)
{
	image_write(image, &image->elf);
	if (CHECK(elf_file_memory("image", image->elf.bytes, image->elf.len,
				  &image->file, NULL)))
		image->dwarf = dwarf_file_open(&image->file, split,
					       alt ? alt->dwarf : NULL);
	return image->dwarf;
}

static inline void image_fini(struct image *image)
{
	dwarf_file_close(image->dwarf);
	if (image->file.elf)
		elf_file_close(&image->file);
	writer_fini(&image->elf);
	for (size_t i = 0; i < image->nsections; i++)
		writer_fini(&image->sections[i].bytes);
	memset(image, 0, sizeof(*image));
}

static inline void put_text(struct writer *w, const char *text)
{
	writer_bytes(w, text, strlen(text) + 1);
}

/* An offset in 32-bit or 64-bit DWARF, of WIDTH 4 or 8 bytes. */
static inline void put_offset(struct writer *w, unsigned width, uint64_t offset)
{
	if (width == 8)
		writer_u64(w, offset);
	else
		writer_u32(w, (uint32_t)offset);
}

/* An abbreviation: its attributes are pairs of name and form, up to a 0. */
static inline void put_abbrev(struct writer *w, uint64_t code, unsigned tag,
			      bool has_children, ...)
{
	va_list list;
	unsigned name;

	writer_uleb(w, code);
	writer_uleb(w, tag);
	writer_u8(w, has_children);
	va_start(list, has_children);
	while ((name = va_arg(list, unsigned)) != 0) {
		writer_uleb(w, name);
		writer_uleb(w, va_arg(list, unsigned));
	}
	va_end(list);
	writer_u16(w, 0);
}

/* A length that is not known yet, of what is between put_length() and
 * end_length(), which gets the former's result. */
static inline size_t put_length(struct writer *w, unsigned width)
{
	if (width == 8)
		writer_u32(w, UINT32_MAX);
	put_offset(w, width, 0);
	return w->len;
}

static inline void end_length(struct writer *w, unsigned width, size_t start)
{
	writer_patch_u32(w, start - width, (uint32_t)(w->len - start));
}

/* The head of a unit, as far as its length is not in it; TYPE and what is
 * behind it (a .dwo's id) are DWARF 5's. */
static inline void put_unit_head(struct writer *w, unsigned version,
				 unsigned width, uint8_t type,
				 uint64_t abbrevs)
{
	writer_u16(w, (uint16_t)version);
	if (version >= 5) {
		writer_u8(w, type);
		writer_u8(w, 8);
	}
	put_offset(w, width, abbrevs);
	if (version < 5)
		writer_u8(w, 8);
}

/* Statements of a line program. */

static inline void put_set_address(struct writer *w, uint64_t address)
{
	writer_u8(w, 0);
	writer_uleb(w, 9);
	writer_u8(w, DW_LNE_set_address);
	writer_u64(w, address);
}

static inline void put_advance(struct writer *w, uint64_t operations,
			       int64_t lines)
{
	writer_u8(w, DW_LNS_advance_pc);
	writer_uleb(w, operations);
	writer_u8(w, DW_LNS_advance_line);
	writer_sleb(w, lines);
}

/* A row OPERATIONS and LINES further on. */
static inline void put_row(struct writer *w, uint64_t operations, int64_t lines)
{
	put_advance(w, operations, lines);
	writer_u8(w, DW_LNS_copy);
}

/* The end of a sequence, OPERATIONS behind its last row. */
static inline void put_end(struct writer *w, uint64_t operations)
{
	put_advance(w, operations, 0);
	writer_u8(w, 0);
	writer_uleb(w, 1);
	writer_u8(w, DW_LNE_end_sequence);
}

/* Units that most tests do with: their abbreviations, and DIEs of them. */
enum { USUAL_UNIT = 1, USUAL_FUNCTION, USUAL_INLINED, USUAL_NAMESPACE };

static inline void put_usual_abbrevs(struct image *image)
{
	struct writer *w = image_section(image, "abbrev");

	put_abbrev(w, USUAL_UNIT, DW_TAG_compile_unit, true, 0);
	put_abbrev(w, USUAL_FUNCTION, DW_TAG_subprogram, true, DW_AT_name,
		   DW_FORM_string, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc,
		   DW_FORM_data8, 0);
	put_abbrev(w, USUAL_INLINED, DW_TAG_inlined_subroutine, true,
		   DW_AT_abstract_origin, DW_FORM_ref4, DW_AT_low_pc,
		   DW_FORM_addr, DW_AT_high_pc, DW_FORM_data8, DW_AT_call_file,
		   DW_FORM_data1, DW_AT_call_line, DW_FORM_data1, 0);
	put_abbrev(w, USUAL_NAMESPACE, DW_TAG_namespace, true, DW_AT_name,
		   DW_FORM_string, 0);
	writer_u8(w, 0);
}

/* The head of a DWARF 4 unit and its own DIE, which has no attributes, but
 * children that follow. */
static inline size_t put_usual_unit(struct image *image)
{
	struct writer *info = image_section(image, "info");
	size_t start = put_length(info, 4);

	put_unit_head(info, 4, 4, DW_UT_compile, 0);
	writer_uleb(info, USUAL_UNIT);
	return start;
}

/* Children of it follow. Where it is, in .debug_info. */
static inline uint32_t put_function(struct writer *info, const char *name,
				    uint64_t low, uint64_t len)
{
	uint32_t at = (uint32_t)info->len;

	writer_uleb(info, USUAL_FUNCTION);
	put_text(info, name);
	writer_u64(info, low);
	writer_u64(info, len);
	return at;
}

/* The same; ORIGIN counts from the unit's start. */
static inline void put_inlined(struct writer *info, uint32_t origin,
			       uint64_t low, uint64_t len, uint8_t line)
{
	writer_uleb(info, USUAL_INLINED);
	writer_u32(info, origin);
	writer_u64(info, low);
	writer_u64(info, len);
	writer_u8(info, 1);
	writer_u8(info, line);
}

static inline void put_scope(FILE *out, struct dwarf_file *dwarf,
			     const struct tree *tree, uint32_t number)
{
	const struct scope *scope = &tree->scopes[number];
	struct function_name name;

	for (uint32_t at = scope->parent; at != TREE_NONE;
	     at = tree->scopes[at].parent)
		fprintf(out, ". ");
	tree_name((struct die_ref){ dwarf, scope->die }, &name);
	fprintf(out, "%s", name.linkage	    ? name.linkage
			   : name.qualified ? name.qualified
					    : "?");
	if (scope->parent != TREE_NONE)
		fprintf(out, " @%u:%u", scope->call_file, scope->call_line);
	for (size_t i = 0; i < tree->nfunctions + tree->ninlines; i++) {
		const struct span *span =
			i < tree->nfunctions
				? &tree->functions[i]
				: &tree->inlines[i - tree->nfunctions];

		if (span->scope == number)
			fprintf(out, " %" PRIx64 "-%" PRIx64, span->low,
				span->high);
	}
	fprintf(out, "\n");
	free(name.qualified);
}

/* The scopes of unit NUMBER of IMAGE, of a file whose common one is ALT or
 * NULL: a line each, with a dot for each scope around it, the name, file and
 * line of the call, and the ranges. */
static inline void check_unit(struct image *image, struct image *alt,
			      unsigned number, const char *wanted)
{
	struct dwarf_file *dwarf = image_open(image, false, alt);
	struct unit *unit = dwarf ? dwarf_file_next(dwarf) : NULL;
	const struct tree *tree;
	char *text = NULL;
	size_t len;
	FILE *out;

	while (unit && number-- > 0)
		unit = dwarf_file_next(dwarf);
	tree = unit ? tree_of(unit) : NULL;
	if (!CHECK(tree != NULL))
		return;
	out = open_memstream(&text, &len);
	for (uint32_t i = 0; i < tree->nscopes; i++)
		put_scope(out, dwarf, tree, i);
	fclose(out);
	CHECK_STRING(text, wanted);
	free(text);
}

static inline void check_tree(struct image *image, const char *wanted)
{
	check_unit(image, NULL, 0, wanted);
}

#endif

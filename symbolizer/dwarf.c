/* Functions, inlines, files and lines of an address, from one file's DWARF, by
 * libdw. Runs in the process that can be lost; trusts nothing.
 *
 * A unit is found by .debug_aranges, and where that knows nothing (clang writes
 * none, assemblers write none, dwz and LTO lose some) by a table made from all
 * units' own ranges, or, for those without, from their line rows. What a unit
 * says is read when the first address falls into it, and kept. */
#include "dwarf.h"

#include <stdlib.h>
#include <string.h>

#include <dwarf.h>
#include <elfutils/libdw.h>

#include "scopes.h"
#include "symbolize.h"

enum {
	MAX_UNITS = 1 << 20,
	MAX_ORIGINS = 16, /* as libdw itself follows */
	MAX_ROWS_BACK = 256,
};

struct unit {
	Dwarf *dw;        /* the file's or dwz's; with the offset of its */
	Dwarf_Off offset; /* DIE what it is known by */
	Dwarf_Die die;    /* with code; the split one where there is one */
	Dwarf_Die skeleton; /* with lines */
	struct scopes scopes;
	const char *dir; /* DW_AT_comp_dir, or NULL */
	Dwarf_Lines *lines;
	size_t nlines;
};

struct unit_range {
	uint64_t low, high;
	Dwarf_Off unit;
};

struct dwarf {
	Dwarf *dw;
	Dwarf *alt;
	Dwarf_Aranges *aranges;
	size_t naranges;
	struct unit **units; /* those that were hit, in no order */
	size_t nunits, units_cap;
	struct unit_range *ranges; /* of all units, by low; once needed */
	size_t nranges, ranges_cap;
	bool has_ranges;
};

struct dwarf *dwarf_open(const struct elf_file *file,
			 const struct elf_file *alt)
{
	struct dwarf *dwarf = calloc(1, sizeof(*dwarf));

	if (dwarf == NULL)
		return NULL;
	dwarf->dw = dwarf_begin_elf(file->elf, DWARF_C_READ, NULL);
	if (dwarf->dw == NULL) {
		free(dwarf);
		return NULL;
	}
	if (alt)
		dwarf->alt = dwarf_begin_elf(alt->elf, DWARF_C_READ, NULL);
	if (dwarf->alt)
		dwarf_setalt(dwarf->dw, dwarf->alt);
	if (dwarf_getaranges(dwarf->dw, &dwarf->aranges, &dwarf->naranges)) {
		dwarf->aranges = NULL;
		dwarf->naranges = 0;
	}
	return dwarf;
}

void dwarf_close(struct dwarf *dwarf)
{
	if (dwarf == NULL)
		return;
	for (size_t i = 0; i < dwarf->nunits; i++) {
		scopes_fini(&dwarf->units[i]->scopes);
		free(dwarf->units[i]);
	}
	free(dwarf->units);
	free(dwarf->ranges);
	dwarf_end(dwarf->dw);
	if (dwarf->alt)
		dwarf_end(dwarf->alt);
	free(dwarf);
}

/* Where units come from */

/* The split unit of a skeleton, found by libdw where the .dwo file is. */
static void use_split_unit(struct unit *unit)
{
	Dwarf_Die split;
	uint8_t type;

	if (dwarf_cu_info(unit->die.cu, NULL, &type, NULL, &split, NULL, NULL,
			  NULL) == 0 &&
	    type == DW_UT_skeleton && split.cu != NULL &&
	    dwarf_tag(&split) != DW_TAG_invalid)
		unit->die = split;
}

static const char *string_of(Dwarf_Die *die, unsigned attribute)
{
	Dwarf_Attribute attr;

	/* Follows abstract origins and specifications, into other units and
	 * dwz's file as well. */
	return dwarf_formstring(dwarf_attr_integrate(die, attribute, &attr));
}

static struct unit *read_unit(Dwarf *dw, Dwarf_Off offset)
{
	struct unit *unit = calloc(1, sizeof(*unit));

	if (unit == NULL)
		return NULL;
	unit->dw = dw;
	unit->offset = offset;
	if (dwarf_offdie(dw, offset, &unit->die) == NULL) {
		free(unit);
		return NULL;
	}
	unit->skeleton = unit->die;
	use_split_unit(unit);
	unit->dir = string_of(&unit->skeleton, DW_AT_comp_dir);
	scopes_build(&unit->die, &unit->scopes);
	if (dwarf_getsrclines(&unit->skeleton, &unit->lines, &unit->nlines)) {
		unit->lines = NULL;
		unit->nlines = 0;
	}
	return unit;
}

static struct unit *get_unit(struct dwarf *dwarf, Dwarf *dw, Dwarf_Off offset)
{
	struct unit *unit;

	for (size_t i = dwarf->nunits; i-- > 0;)
		if (dwarf->units[i]->offset == offset &&
		    dwarf->units[i]->dw == dw)
			return dwarf->units[i];
	if (dwarf->nunits == dwarf->units_cap) {
		size_t cap = dwarf->units_cap ? dwarf->units_cap * 2 : 64;
		struct unit **more = realloc(dwarf->units,
					     cap * sizeof(struct unit *));

		if (more == NULL)
			return NULL;
		dwarf->units = more;
		dwarf->units_cap = cap;
	}
	unit = read_unit(dw, offset);
	if (unit)
		dwarf->units[dwarf->nunits++] = unit;
	return unit;
}

static void add_range(struct dwarf *dwarf, uint64_t low, uint64_t high,
		      Dwarf_Off unit)
{
	if (low == 0 || low >= high)
		return;
	if (dwarf->nranges == dwarf->ranges_cap) {
		size_t cap = dwarf->ranges_cap ? dwarf->ranges_cap * 2 : 1024;
		struct unit_range *more = realloc(dwarf->ranges,
						  cap * sizeof(*more));

		if (more == NULL)
			return;
		dwarf->ranges = more;
		dwarf->ranges_cap = cap;
	}
	dwarf->ranges[dwarf->nranges++] = (struct unit_range){
		.low = low, .high = high, .unit = unit,
	};
}

/* A unit that does not say where its code is has it where its lines are. */
static void add_line_ranges(struct dwarf *dwarf, Dwarf_Die *die)
{
	Dwarf_Off offset = dwarf_dieoffset(die);
	Dwarf_Addr begin = 0, address;
	Dwarf_Lines *lines;
	bool inside = false, end;
	size_t n;

	if (dwarf_getsrclines(die, &lines, &n) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		Dwarf_Line *line = dwarf_onesrcline(lines, i);

		if (dwarf_lineaddr(line, &address) != 0 ||
		    dwarf_lineendsequence(line, &end) != 0)
			return;
		if (end)
			add_range(dwarf, begin, address, offset);
		else if (!inside)
			begin = address;
		inside = !end;
	}
}

static void add_unit_ranges(struct dwarf *dwarf, Dwarf_Die *die)
{
	Dwarf_Off offset = dwarf_dieoffset(die);
	Dwarf_Addr base, low, high;
	size_t before = dwarf->nranges;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(die, at, &base, &low, &high)) > 0)
		add_range(dwarf, low, high, offset);
	if (dwarf->nranges == before && dwarf_tag(die) == DW_TAG_compile_unit)
		add_line_ranges(dwarf, die);
}

static int by_low(const void *left, const void *right)
{
	const struct unit_range *a = left, *b = right;

	return a->low < b->low ? -1 : a->low > b->low;
}

static void build_ranges(struct dwarf *dwarf)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Half version;
	Dwarf_Die die;
	uint8_t type;

	dwarf->has_ranges = true;
	for (size_t i = 0; i < MAX_UNITS; i++) {
		if (dwarf_get_units(dwarf->dw, cu, &cu, &version, &type, &die,
				    NULL) != 0)
			break;
		if (type == DW_UT_compile || type == DW_UT_skeleton)
			add_unit_ranges(dwarf, &die);
	}
	if (dwarf->nranges > 0)
		qsort(dwarf->ranges, dwarf->nranges, sizeof(*dwarf->ranges),
		      by_low);
}

static struct unit *find_by_aranges(struct dwarf *dwarf, uint64_t address)
{
	Dwarf_Arange *range;
	Dwarf_Off offset;

	range = dwarf->aranges
			? dwarf_getarange_addr(dwarf->aranges, address)
			: NULL;
	if (range == NULL ||
	    dwarf_getarangeinfo(range, NULL, NULL, &offset) != 0)
		return NULL;
	return get_unit(dwarf, dwarf->dw, offset);
}

static struct unit *find_by_ranges(struct dwarf *dwarf, uint64_t address)
{
	size_t low = 0, high;

	if (!dwarf->has_ranges)
		build_ranges(dwarf);
	high = dwarf->nranges;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (dwarf->ranges[middle].low <= address)
			low = middle + 1;
		else
			high = middle;
	}
	/* Ranges of units do not overlap but in broken files. */
	if (low == 0 || dwarf->ranges[low - 1].high <= address)
		return NULL;
	return get_unit(dwarf, dwarf->dw, dwarf->ranges[low - 1].unit);
}

/* Lines */

struct row {
	const char *file;
	uint32_t line;
	bool approximate;
};

static size_t last_row_at(const struct unit *unit, uint64_t address)
{
	size_t low = 0, high = unit->nlines;
	Dwarf_Addr at;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (dwarf_lineaddr(dwarf_onesrcline(unit->lines, middle),
				   &at) == 0 && at <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32_t innermost(const struct unit *unit, uint64_t address)
{
	uint32_t scope = SCOPE_NONE;

	scopes_find(&unit->scopes, address, &scope, 1);
	return scope;
}

/* The row of ADDRESS. A compiler gives line 0 to code that is of no line; the
 * best that can be said then is the nearest row before it, in the same
 * sequence and the same function, that has one. */
static bool find_row(const struct unit *unit, uint64_t address,
		     struct row *out)
{
	size_t first = last_row_at(unit, address);
	Dwarf_Addr at;
	bool end;
	int number;

	for (size_t i = first; i-- > 0 && first - i <= MAX_ROWS_BACK;) {
		Dwarf_Line *line = dwarf_onesrcline(unit->lines, i);

		if (line == NULL || dwarf_lineendsequence(line, &end) != 0 ||
		    end || dwarf_lineno(line, &number) != 0 ||
		    dwarf_lineaddr(line, &at) != 0)
			break;
		if (i + 1 == first)
			out->file = dwarf_linesrc(line, NULL, NULL);
		if (number <= 0 || (i + 1 < first && innermost(unit, at) !=
						     innermost(unit, address)))
			continue;
		out->file = dwarf_linesrc(line, NULL, NULL);
		out->line = (uint32_t)number;
		out->approximate = i + 1 < first;
		break;
	}
	return out->file != NULL;
}

/* Where SCOPE, an inlined call, was called from. */
static void call_site(struct unit *unit, Dwarf_Die *scope,
		      struct dwarf_level *caller)
{
	Dwarf_Attribute attr;
	Dwarf_Files *files;
	Dwarf_Word value;
	size_t nfiles;

	if (dwarf_formudata(dwarf_attr(scope, DW_AT_call_line, &attr),
			    &value) == 0 && value <= UINT32_MAX)
		caller->line = (uint32_t)value;
	if (dwarf_formudata(dwarf_attr(scope, DW_AT_call_file, &attr),
			    &value) == 0 &&
	    dwarf_getsrcfiles(&unit->die, &files, &nfiles) == 0 &&
	    value < nfiles)
		caller->file = dwarf_filesrc(files, (size_t)value, NULL, NULL);
}

/* Names */

/* Where the function that DIE is an instance of is declared. */
static Dwarf_Die declaration_of(const Dwarf_Die *die)
{
	Dwarf_Die at = *die, next;
	Dwarf_Attribute attr;

	for (int i = 0; i < MAX_ORIGINS; i++) {
		if (!dwarf_attr(&at, DW_AT_abstract_origin, &attr) &&
		    !dwarf_attr(&at, DW_AT_specification, &attr))
			break;
		if (dwarf_formref_die(&attr, &next) == NULL)
			break;
		at = next;
	}
	return at;
}

/* gcc gives no linkage name to what is only ever inlined; its name alone would
 * be that of many others. */
static const char *qualified_name(struct dwarf *dwarf, struct unit *unit,
				  struct scope *scope, const char *name)
{
	Dwarf_Die declaration, of_unit;
	struct unit *other = unit;

	if (scope->qualified || name == NULL)
		return scope->qualified ? scope->qualified : name;
	declaration = declaration_of(&scope->die);
	if (declaration.cu != unit->die.cu) {
		if (dwarf_diecu(&declaration, &of_unit, NULL, NULL) == NULL)
			return name;
		other = get_unit(dwarf, dwarf_cu_getdwarf(declaration.cu),
				 dwarf_dieoffset(&of_unit));
	}
	if (other)
		scope->qualified = scopes_qualify(&other->scopes,
				dwarf_dieoffset(&declaration), name);
	return scope->qualified ? scope->qualified : name;
}

static void name_of(struct dwarf *dwarf, struct unit *unit,
		    struct scope *scope, struct dwarf_level *level)
{
	level->linkage = string_of(&scope->die, DW_AT_linkage_name);
	if (level->linkage == NULL)
		level->linkage = string_of(&scope->die,
					   DW_AT_MIPS_linkage_name);
	level->name = string_of(&scope->die, DW_AT_name);
	if (level->linkage == NULL)
		level->name = qualified_name(dwarf, unit, scope, level->name);
}

static size_t levels_in(struct dwarf *dwarf, struct unit *unit,
			uint64_t address, struct dwarf_level *levels,
			size_t max)
{
	uint32_t chain[SYMBOLIZE_MAX_INLINES];
	struct row row = { 0 };
	bool has_row = find_row(unit, address, &row);
	size_t nscopes, n;

	if (max > SYMBOLIZE_MAX_INLINES)
		max = SYMBOLIZE_MAX_INLINES;
	nscopes = scopes_find(&unit->scopes, address, chain, max);
	n = nscopes > 0 ? nscopes : has_row;
	memset(levels, 0, n * sizeof(*levels));
	for (size_t i = 0; i < n; i++)
		levels[i].dir = unit->dir;
	if (n > 0) {
		levels[0].file = row.file;
		levels[0].line = row.line;
		levels[0].approximate = row.approximate;
	}
	for (size_t i = 0; i < nscopes; i++) {
		struct scope *scope = &unit->scopes.list[chain[i]];

		name_of(dwarf, unit, scope, &levels[i]);
		if (i + 1 < nscopes)
			call_site(unit, &scope->die, &levels[i + 1]);
	}
	return n;
}

size_t dwarf_levels(struct dwarf *dwarf, uint64_t address,
		    struct dwarf_level *levels, size_t max)
{
	struct unit *unit = find_by_aranges(dwarf, address);
	size_t n = unit ? levels_in(dwarf, unit, address, levels, max) : 0;

	if (n > 0)
		return n;
	unit = find_by_ranges(dwarf, address);
	return unit ? levels_in(dwarf, unit, address, levels, max) : 0;
}

bool dwarf_function(struct dwarf *dwarf, uint64_t address, Dwarf_Die *out)
{
	struct unit *unit = find_by_aranges(dwarf, address);
	uint32_t scope = unit ? innermost(unit, address) : SCOPE_NONE;

	if (scope == SCOPE_NONE) {
		unit = find_by_ranges(dwarf, address);
		scope = unit ? innermost(unit, address) : SCOPE_NONE;
	}
	if (scope == SCOPE_NONE)
		return false;
	while (unit->scopes.list[scope].parent != SCOPE_NONE)
		scope = unit->scopes.list[scope].parent;
	*out = unit->scopes.list[scope].die;
	return true;
}

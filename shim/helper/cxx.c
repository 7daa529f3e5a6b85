/* An uncaught C++ exception: its type, and what it says, from the memory of a
 * dead process that knows nothing of us. The runtime notes the exception for
 * its thread (__cxa_eh_globals) before it gives up; the layouts are those of
 * the Itanium C++ ABI, section 2.2, which libstdc++ and libc++abi have both
 * kept for twenty years. Nothing is believed that is not whole: a class of the
 * right name, a type_info with a type_info of its own, a text that ends. */
#include "cxx.h"

#include <libiberty/demangle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/report/bytes.h"

enum {
	HEADER_TYPE = -80,         /* from the _Unwind_Exception: type_info, */
	HEADER_SWITCH_VALUE = -36, /* which catch clause was chosen, */
	HEADER_OBJECT = 32,        /* and the object that was thrown */
	MAX_BLOCKS = 256, /* modules with thread-local variables, */
	BLOCK_BYTES = 256, /* and bytes looked at of each, */
	MAX_STATIC = 8192, /* and of those below the TCB together */
	TCB_BYTES = 2304, /* struct pthread of glibc */
	MAX_NAME = 1024,
	MAX_BASES = 16,
	MAX_DEPTH = 16,
	WHAT_SLOT = 16, /* in a vtable of std::exception, after destructors */
	MAX_FRAMES_SEEN = 32,
};

/* "GNUCC++\0" and "CLNGC++\0"; the last byte is 1 in an exception that stands
 * for another one (std::rethrow_exception). */
#define CLASS_GNU 0x474e5543432b2b00ull
#define CLASS_LLVM 0x434c4e47432b2b00ull

struct exception {
	uint64_t header; /* of its _Unwind_Exception */
	uint64_t type;   /* its type_info */
	uint64_t object;
};

enum type_kind { TYPE_OTHER, TYPE_CLASS, TYPE_SINGLE, TYPE_MULTIPLE };

/* Into NAME (MAX_NAME) the mangled name of the type_info at TYPE. */
static bool read_name(struct crash *crash, uint64_t type, char *name)
{
	uint64_t at = crash_read_u64(crash, type + 8);
	size_t len = crash_read(crash, at, name, MAX_NAME);
	size_t end = strnlen(name, len);

	if (end == len || end == 0)
		return false;
	if (name[0] == '*') /* not to be compared by address */
		memmove(name, name + 1, end--);
	for (size_t i = 0; i < end; i++) {
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
			    "uvwxyz0123456789_.$", name[i]))
			return false;
	}
	return end > 0;
}

/* What kind of type the type_info at TYPE is of: its vtable's type_info has a
 * name that says so. */
static bool read_kind(struct crash *crash, uint64_t type,
		      enum type_kind *kind_out)
{
	static const struct {
		const char *name;
		enum type_kind kind;
	} kinds[] = {
		{ "N10__cxxabiv117__class_type_infoE", TYPE_CLASS },
		{ "N10__cxxabiv120__si_class_type_infoE", TYPE_SINGLE },
		{ "N10__cxxabiv121__vmi_class_type_infoE", TYPE_MULTIPLE },
		{ "N10__cxxabiv116__enum_type_infoE", TYPE_OTHER },
		{ "N10__cxxabiv119__pointer_type_infoE", TYPE_OTHER },
		{ "N10__cxxabiv123__fundamental_type_infoE", TYPE_OTHER },
	};
	uint64_t vtable = crash_read_u64(crash, type);
	uint64_t of_type = vtable ? crash_read_u64(crash, vtable - 8) : 0;
	char name[MAX_NAME];

	if (!of_type || !read_name(crash, of_type, name))
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(kinds[i].name, name) == 0) {
			*kind_out = kinds[i].kind;
			return true;
		}
	}
	return false;
}

/* Where the base of TYPE, whose description is at ENTRY, lies in OBJECT. */
static uint64_t base_address(struct crash *crash, uint64_t object,
			     uint64_t entry)
{
	uint64_t flags = crash_read_u64(crash, entry + 8);
	int64_t offset = (int64_t)flags >> 8;

	if (flags & 1) /* virtual: the offset is in the vtable */
		offset = (int64_t)crash_read_u64(
			crash, crash_read_u64(crash, object) +
				       (uint64_t)offset);
	return object + (uint64_t)offset;
}

/* The part of the OBJECT of TYPE that is its base class WANTED; 0 if it has no
 * such base. */
static uint64_t find_base(struct crash *crash, uint64_t type, uint64_t object,
			  const char *wanted, int depth)
{
	enum type_kind kind;
	char name[MAX_NAME];
	uint64_t found = 0;
	uint32_t n;

	if (depth == MAX_DEPTH || !read_name(crash, type, name) ||
	    !read_kind(crash, type, &kind))
		return 0;
	if (strcmp(name, wanted) == 0)
		return object;
	if (kind == TYPE_SINGLE)
		return find_base(crash, crash_read_u64(crash, type + 16),
				 object, wanted, depth + 1);
	n = kind == TYPE_MULTIPLE ? crash_read_u32(crash, type + 20) : 0;
	for (uint32_t i = 0; i < n && i < MAX_BASES && !found; i++) {
		uint64_t entry = type + 24 + 16ull * i;

		found = find_base(crash, crash_read_u64(crash, entry),
				  base_address(crash, object, entry), wanted,
				  depth + 1);
	}
	return found;
}

/* The string that std::runtime_error and std::logic_error hold, in both
 * libraries: a pointer to characters, before which stand length, capacity and
 * a count. */
static bool held_text(struct crash *crash, uint64_t base, char *text_out)
{
	uint64_t text = crash_read_u64(crash, base + 8);
	uint64_t len = crash_read_u64(crash, text - 24);
	uint64_t cap = crash_read_u64(crash, text - 16);

	return text && len <= cap && cxx_text(crash, text, text_out) &&
	       (strlen(text_out) == len || len >= MAX_WHAT);
}

/* What an exception derived from std::exception says. */
static bool class_text(struct crash *crash, const struct exception *e,
		       char *text_out)
{
	static const char *const holders[] = { "St13runtime_error",
					       "St11logic_error" };
	uint64_t base =
		find_base(crash, e->type, e->object, "St9exception", 0);
	uint64_t vtable = base ? crash_read_u64(crash, base) : 0;

	if (vtable &&
	    cxx_what(crash, crash_read_u64(crash, vtable + WHAT_SLOT), base,
		     text_out))
		return true;
	for (size_t i = 0; base && i < 2; i++) {
		uint64_t holder = find_base(crash, e->type, e->object,
					    holders[i], 0);

		if (holder && held_text(crash, holder, text_out))
			return true;
	}
	return false;
}

/* A number, as its type is mangled. */
static bool number_text(struct crash *crash, const struct exception *e,
			char type, char *text_out)
{
	uint64_t bits = crash_read_u64(crash, e->object);
	float single;
	double number;

	memcpy(&single, &bits, sizeof(single));
	memcpy(&number, &bits, sizeof(number));
	switch (type) {
	case 'b':
		snprintf(text_out, MAX_WHAT, bits & 1 ? "true" : "false");
		return true;
	case 'i':
		snprintf(text_out, MAX_WHAT, "%d", (int)bits);
		return true;
	case 'j':
		snprintf(text_out, MAX_WHAT, "%u", (unsigned)bits);
		return true;
	case 'l': case 'x':
		snprintf(text_out, MAX_WHAT, "%lld", (long long)bits);
		return true;
	case 'm': case 'y':
		snprintf(text_out, MAX_WHAT, "%llu", (unsigned long long)bits);
		return true;
	case 's':
		snprintf(text_out, MAX_WHAT, "%d", (short)bits);
		return true;
	case 'c': case 'a': case 'h':
		snprintf(text_out, MAX_WHAT, "%d", (signed char)bits);
		return true;
	case 'd':
		snprintf(text_out, MAX_WHAT, "%g", number);
		return true;
	case 'f':
		snprintf(text_out, MAX_WHAT, "%g", (double)single);
		return true;
	default:
		return false;
	}
}

static bool is_string(const char *name)
{
	static const char *const strings[] = {
		"NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",
		"NSt3__112basic_stringIcNS_11char_traitsIcEENS_9allocatorIcEE"
		"EE",
	};

	return strcmp(name, strings[0]) == 0 || strcmp(name, strings[1]) == 0;
}

/* What the object that was thrown says. */
static bool read_what(struct crash *crash, const struct exception *e,
		      const char *name, char *text_out)
{
	if (strcmp(name, "PKc") == 0 || strcmp(name, "Pc") == 0)
		return cxx_text(crash, crash_read_u64(crash, e->object),
				text_out);
	if (is_string(name))
		return cxx_string(crash, e->object, text_out);
	if (strlen(name) == 1)
		return number_text(crash, e, name[0], text_out);
	return class_text(crash, e, text_out);
}

/* Whether the exception object at HEADER, an _Unwind_Exception, is whole. */
static bool read_exception(struct crash *crash, uint64_t header,
			   struct exception *out)
{
	uint64_t class = crash_read_u64(crash, header), primary;
	enum type_kind kind;
	char name[MAX_NAME];

	if ((class | 1) != (CLASS_GNU | 1) && (class | 1) != (CLASS_LLVM | 1))
		return false;
	out->header = header;
	out->object = header + HEADER_OBJECT;
	if (class & 1) {
		/* libstdc++ has the primary's address where the type would
		 * be, libc++abi before it. */
		primary = crash_read_u64(
			crash, header + (uint64_t)HEADER_TYPE -
				       ((class & ~1ull) == CLASS_LLVM ? 8 : 0));
		out->object = primary;
		header = primary - HEADER_OBJECT;
	}
	out->type = crash_read_u64(crash, header + (uint64_t)HEADER_TYPE);
	return read_name(crash, out->type, name) &&
	       read_kind(crash, out->type, &kind);
}

/* A word that may be __cxa_eh_globals' caughtExceptions: the address of a
 * __cxa_exception, which is 80 bytes before the _Unwind_Exception in libstdc++,
 * 96 in libc++abi. */
static bool try_word(struct crash *crash, uint64_t word,
		     struct exception *out)
{
	const struct map *map = maps_find(&crash->maps, word);

	/* Without /proc the heap is not among the mappings. */
	if (word % 8 || (map && !map->write) || (!map && crash->maps_whole))
		return false;
	return read_exception(crash, word + 80, out) ||
	       read_exception(crash, word + 96, out);
}

/* Try the words of a block of memory, or, where they are INDIRECT, those that
 * they point to. */
static bool scan_block(struct crash *crash, uint64_t start, size_t len,
		       bool indirect, struct exception *out)
{
	uint8_t bytes[MAX_STATIC];
	struct reader r;

	reader_init(&r, bytes, crash_read(crash, start, bytes, len));
	while (reader_left(&r) >= 8) {
		uint64_t word = reader_u64(&r);

		if (word && indirect)
			word = crash_read_u64(crash, word);
		if (word && try_word(crash, word, out))
			return true;
	}
	return false;
}

/* Where a module's thread-local variables are; 0: nowhere yet. VECTOR is
 * glibc's, of two words for each module. */
static uint64_t block_of(struct crash *crash, uint64_t vector, uint64_t module)
{
	uint64_t block = crash_read_u64(crash, vector + 16 * module);

	return block == UINT64_MAX ? 0 : block;
}

/* The exception that the crashing thread's runtime has noted. libstdc++ does so
 * in a thread-local variable: below the TCB where it was loaded at start, else
 * in a block of its own. The TCB points to the vector of all blocks, whose
 * length is two words before it. libc++abi has a pthread key, whose value the
 * TCB holds. */
static bool find_exception(struct crash *crash, struct exception *out)
{
	uint64_t tcb = crash->record->tcb, lowest = tcb;
	uint64_t vector = crash_read_u64(crash, tcb + 8);
	uint64_t n = crash_read_u64(crash, vector - 16);

	if (n > MAX_BLOCKS)
		n = MAX_BLOCKS;
	for (uint64_t i = 1; i <= n; i++) {
		uint64_t block = block_of(crash, vector, i);

		if (block && block < lowest && tcb - block <= MAX_STATIC)
			lowest = block;
	}
	if (scan_block(crash, lowest, tcb - lowest, false, out))
		return true;
	for (uint64_t i = 1; i <= n; i++) {
		uint64_t block = block_of(crash, vector, i);

		if (block && (block < lowest || block >= tcb) &&
		    scan_block(crash, block, BLOCK_BYTES, false, out))
			return true;
	}
	return scan_block(crash, tcb, TCB_BYTES, true, out);
}

/* Whether a call of the function NAME is among the innermost frames. */
static bool is_running(struct crash *crash, const struct report *report,
		       const char *name)
{
	const struct thread *thread = &report->threads[0];
	struct exported symbol = { 0 };
	int32_t module = -1; /* that SYMBOL was looked up in */

	for (size_t i = 0; i < thread->nframes && i < MAX_FRAMES_SEEN; i++) {
		const struct frame *frame = &thread->frames[i];

		if (frame->module < 0)
			continue;
		if (frame->module != module) {
			module = frame->module;
			symbol = (struct exported){ 0 };
			crash_symbol(crash, &report->modules[module], name,
				     &symbol);
		}
		if (frame->pc - 1 - symbol.address < symbol.size)
			return true;
	}
	return false;
}

static const char *say(struct report *report, const char *type,
		       const char *what)
{
	char text[MAX_NAME + MAX_WHAT + 64];
	char *name = cplus_demangle_v3(type, DMGL_PARAMS | DMGL_TYPES);
	const char *shown = is_string(type) ? "std::string"
			    : name ? name : type;

	snprintf(text, sizeof(text), "uncaught exception of type %s%s%s",
		 shown, what[0] ? ": " : "", what);
	free(name);
	return report_string(report, text, strlen(text));
}

static const char *say_exception(struct crash *crash, struct report *report,
				 const struct exception *e)
{
	char name[MAX_NAME], what[MAX_WHAT] = "";

	if (!read_name(crash, e->type, name))
		return NULL;
	if (crash->record->settings.sanitize ||
	    !read_what(crash, e, name, what))
		what[0] = '\0';
	return say(report, name, what);
}

/* Whether the runtime is giving up: in these functions it runs no code of the
 * program but terminate handlers. Where an exception meets a noexcept, it is
 * the personality routine that gives up. */
static bool is_terminating(struct crash *crash, const struct report *report)
{
	static const char *const names[] = {
		"_ZSt9terminatev", "__cxa_throw", "__gxx_personality_v0",
		"__cxa_rethrow", "_ZSt17rethrow_exceptionSt13exception_ptr",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (is_running(crash, report, names[i]))
			return true;
	}
	return false;
}

/* Whether a program that holds the runtime itself, and so exports none of those
 * names, is in the runtime's own terminate handler: that is known by what it
 * says. */
static bool is_in_handler(struct crash *crash, const struct report *report)
{
	static const char *const words[] = { "terminate called ",
					     "  what():  ",
					     "terminating with %s " };
	const struct thread *thread = &report->threads[0];

	for (size_t i = 0; i < report->nmodules; i++) {
		const char *path = report->modules[i].path;

		if (path && (strstr(path, "/libstdc++.so") ||
			     strstr(path, "/libc++abi.so")))
			return false;
	}
	for (size_t i = 0; i < 3 * MAX_FRAMES_SEEN; i++) {
		size_t at = i / 3;

		if (at < thread->nframes &&
		    cxx_mentions(crash, thread->frames[at].pc, words[i % 3]))
			return true;
	}
	return false;
}

/* An exception whose handler calls abort() is caught, and not why the program
 * dies. That is one for which no catch clause was chosen (0), or which is there
 * while the runtime gives up. */
const char *crash_exception(struct crash *crash, struct report *report)
{
	struct exception e;
	bool found, terminates;

	if (is_running(crash, report, "__cxa_pure_virtual"))
		return "pure virtual method called";
	found = find_exception(crash, &e);
	terminates = is_terminating(crash, report);
	if (found && (terminates || is_in_handler(crash, report) ||
		      crash_read_u32(crash, e.header +
				     (uint64_t)HEADER_SWITCH_VALUE) == 0))
		return say_exception(crash, report, &e);
	return terminates ? "std::terminate() was called" : NULL;
}

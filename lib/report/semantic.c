/* The semantic fingerprint: which function broke, said in a way that survives
 * a rebuild. The rules, in order:
 *
 * 1. Names are cleaned (funcname.h). A frame without a name is
 *    "module!+0xoffset"; one without a module is skipped.
 * 2. What merely ended the process is cut: of the first CUT_FRAMES frames,
 *    everything down to the last one that is abort, raise, an assertion, a
 *    throw, a panic or the signal trampoline.
 * 3. The rest is either the program's or the runtime's: libc, the C++ and Rust
 *    standard libraries, the loader, the vdso, the start of a thread. The
 *    runtime's frames do not count as long as the program has any, so the
 *    result is the same with libc's symbols and without (an unnamed frame in
 *    libc.so.6 is the runtime's too), and whether or not std:: was inlined.
 * 4. Recursion is folded: a name counts once. Where one cycle fills the stack
 *    it begins with its smallest name, because where it was when the stack ran
 *    out is chance.
 * 5. The first COUNTED names make the hash, with the signal's class. The first
 *    says what broke, the others tell callers of a common helper apart
 *    (Socorro stops after one; with three, precision on Ubuntu's reports rises
 *    from .61 to .82, which matters more while groups can be merged by hand).
 *
 * The title also shows a runtime function in front ("memcpy | f"), where it has
 * a name: people look for it, the hash does not.
 *
 * Pure; runs in the symbolizer and the collector. */
#include "fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sha2.h>

#include "funcname.h"
#include "siginfo.h"

enum {
	CUT_FRAMES = 40,     /* as Socorro; a handler's own frames included */
	WALK_FRAMES = 1024,  /* inlines counted */
	COUNTED = 3,
	MAX_CYCLE = 8,       /* as the exact fingerprint */
	CYCLE_REPEATS = 16,  /* fewer is a tree walk, not a runaway */
	RULES_VERSION = 1,   /* hashed: new rules make new fingerprints */
};

/* Between the module and the offset of a frame without a name. */
#define UNNAMED "!+0x"

enum kind {
	KIND_NOTHING, /* no name and no module */
	KIND_END,     /* how it ended: cut it and what is above */
	KIND_OURS,    /* the shim's: never shown */
	KIND_RUNTIME,
	KIND_PROGRAM,
};

struct walk {
	const struct named_frame *frames;
	size_t nframes;
	size_t cut; /* the first frame that is left */
	unsigned char kind[WALK_FRAMES];
	uint64_t token[WALK_FRAMES]; /* hash of what token() says */
};

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* In the tables a "*" at the end stands for anything. */
static bool in_table(const char *name, const char *const *table, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		size_t n = strlen(table[i]);

		if (table[i][n - 1] == '*' ? !strncmp(name, table[i], n - 1)
					   : !strcmp(name, table[i]))
			return true;
	}
	return false;
}

#define IN_TABLE(name, table) \
	in_table(name, table, sizeof(table) / sizeof((table)[0]))

static bool is_end(const char *name)
{
	static const char *const table[] = {
		/* libc */
		"abort", "raise", "gsignal", "kill", "killpg", "tgkill",
		"tkill", "sigqueue", "pthread_kill", "pthread_sigqueue",
		"__pthread_kill*", "__libc_message*", "__libc_fatal",
		"__assert", "__assert_fail*", "__assert_perror_fail*",
		"__fortify_fail*", "__chk_fail", "__stack_chk_fail*",
		"malloc_printerr*", "__malloc_assert", "__restore_rt",
		"__restore", "<signal handler called>", "__libc_abort*",
		"__kernel_rt_sigreturn", "__abort_msg", "_exit_abort",
		"a_crash", /* musl */
		/* C++ */
		"__cxa_throw", "__cxa_rethrow", "__cxa_throw_bad*",
		"__cxa_pure_virtual", "__cxa_deleted_virtual",
		"__cxa_call_unexpected", "__cxa_call_terminate",
		"__cxa_bad_cast", "__cxa_bad_typeid", "_Unwind_RaiseException",
		"_Unwind_Resume*", "std::terminate", "std::unexpected",
		"std::abort", "std::__throw_*", "std::__glibcxx_assert*",
		"std::__replacement_assert", "std::rethrow_exception",
		"std::__libcpp_verbose_abort*", "__cxxabiv1::*",
		"__gnu_cxx::__verbose_terminate_handler",
		"__gnu_cxx::__throw*", "abort_message",
		/* Rust */
		"rust_panic*", "rust_begin_unwind", "__rust_start_panic",
		"__rustc::rust_begin_unwind", "__rust_end_short_backtrace",
		"__rustc::__rust_start_panic*", "panic_abort::*",
		"core::panicking::*", "std::panicking::begin_panic*",
		"std::panicking::panic_*", "std::panicking::rust_panic*",
		"std::panicking::default_hook*",
		"std::process::abort", "std::rt::abort_internal",
		"core::result::unwrap_failed", "core::option::unwrap_failed",
		"core::option::expect_failed", "core::intrinsics::abort",
		"core::cell::panic_already*", "alloc::raw_vec::handle_error",
		"alloc::raw_vec::capacity_overflow",
		"alloc::alloc::handle_alloc_error*",
		"core::slice::index::slice_*_fail",
		"std::sys::abort_internal", "std::sys::pal::unix::abort_*",
		"std::sys::unix::abort_internal",
		/* GLib */
		"g_log*", "_g_log_abort", "g_logv", "g_assertion_message*",
		"g_on_error_*", "g_abort", "g_return_if_fail_warning",
		/* sanitizers and others */
		"__sanitizer::*", "__asan::*", "__ubsan::*",
		"__interceptor_abort", "mozalloc_abort",
	};

	return IN_TABLE(name, table);
}

static bool is_runtime_name(const char *name)
{
	static const char *const table[] = {
		/* where threads and programs start */
		"_start", "__libc_start*", "__libc_csu_init", "start_thread",
		"clone", "__clone", "clone3", "__clone3", "thread_start",
		"call_init", "_dl_*", "__run_exit_handlers",
		"execute_native_thread_routine", "__libc_main",
		/* strings and memory, which a static program has inside */
		"memcpy", "mempcpy", "memmove", "memset", "memchr",
		"memcmp", "memrchr", "memmem", "rawmemchr", "bcmp",
		"strlen", "strnlen", "strcpy", "strncpy", "stpcpy", "strcat",
		"strncat", "strcmp", "strncmp", "strcasecmp", "strncasecmp",
		"strcasecmp_l", "strncasecmp_l", "strchr", "strchrnul",
		"strrchr", "strstr", "strdup", "strndup", "strspn",
		"strcspn", "strpbrk", "strtol", "strtoul", "wcslen",
		"wcsnlen", "wcscpy", "wmemset", "__strcpy_chk",
		"__memcpy_chk", "__memmove_chk", "__memset_chk",
		"__strcat_chk", "__sprintf_chk", "__snprintf_chk",
		"malloc", "calloc", "realloc", "free", "cfree", "memalign",
		"posix_memalign", "aligned_alloc", "__libc_malloc",
		"__libc_calloc", "__libc_realloc", "__libc_free",
		"_int_malloc", "_int_free*", "_int_realloc", "_int_memalign",
		"malloc_consolidate", "unlink_chunk*", "sysmalloc",
		"tcache_*", "__libc_memalign", "arena_get*",
		"operator new", "operator new[]", "operator delete",
		"operator delete[]",
		/* waiting and locking */
		"pthread_mutex_*", "__pthread_mutex_*",
		"___pthread_mutex_*", "__lll_lock_wait*", "lll_*",
		"pthread_cond_*", "__pthread_cond_*", "pthread_join",
		"__futex_abstimed*", "__syscall_cancel*",
		"__internal_syscall_cancel",
		/* standard libraries */
		"std::*", "__gnu_cxx::*", "__gnu_internal::*",
		"core::*", "alloc::*", "__rust_*", "__rdl_*", "__rustc::*",
		"hashbrown::*",
		"__clang_call_terminate",
	};

	return IN_TABLE(name, table);
}

/* <Type as Trait>::f of a type that is the standard library's own or built in:
 * nobody else may implement traits for those but of their own. */
static bool is_rust_runtime(const char *name)
{
	static const char *const table[] = {
		"core::*", "alloc::*", "std::*", "fn(*", "u8 as *", "u16 as *",
		"u32 as *", "u64 as *", "u128 as *", "usize as *", "i8 as *",
		"i16 as *", "i32 as *", "i64 as *", "i128 as *", "isize as *",
		"f32 as *", "f64 as *", "bool as *", "char as *", "str as *",
		"fn as *",
	};
	static const char *const wrappers[] = {
		"<", "&", "*", "[", "(", "mut ", "const ", "dyn ",
	};
	const char *trait = strstr(name, " as ");
	bool more = name[0] == '<';

	if (!more || trait == NULL ||
	    (!has_prefix(trait, " as core::") &&
	     !has_prefix(trait, " as std::") &&
	     !has_prefix(trait, " as alloc::")))
		return false;
	while (more) {
		more = false;
		for (size_t i = 0;
		     i < sizeof(wrappers) / sizeof(wrappers[0]); i++) {
			if (has_prefix(name, wrappers[i])) {
				name += strlen(wrappers[i]);
				more = true;
			}
		}
	}
	return IN_TABLE(name, table);
}

static bool is_runtime_module(const char *module)
{
	static const char *const table[] = {
		"libc.so*", "libc-*", "libc.musl*", "libpthread*", "libm.so*",
		"libm-*", "libdl.so*", "libdl-*", "librt.so*", "librt-*",
		"ld-linux*", "ld-musl*", "ld-2*", "ld.so*", "libstdc++*",
		"libgcc_s*", "libc++*", "linux-vdso*", "linux-gate*",
		"[vdso]*", "libasan*", "libubsan*", "libtsan*",
	};

	return IN_TABLE(basename_of(module), table);
}

static bool is_shim(const char *module)
{
	return has_prefix(basename_of(module), "libepitaph");
}

static bool has_text(const char *text)
{
	return text && *text;
}

static bool is_runtime(const struct named_frame *frame)
{
	return has_text(frame->module) && is_runtime_module(frame->module);
}

/* libc's __kill is its kill: which of the two is shown depends on where the
 * name comes from. */
static const char *without_underscores(const char *name)
{
	const char *bare = name + strspn(name, "_");

	return *bare ? bare : name;
}

static enum kind classify(const struct named_frame *frame)
{
	char name[FUNCNAME_MAX];

	if (has_text(frame->module) && is_shim(frame->module))
		return KIND_OURS;
	if (has_text(frame->function)) {
		funcname_clean(frame->function, name);
		if (is_end(name) ||
		    (is_runtime(frame) && is_end(without_underscores(name))))
			return KIND_END;
		if (is_runtime_name(name) || is_rust_runtime(name))
			return KIND_RUNTIME;
	}
	if (has_text(frame->module))
		return is_runtime(frame) ? KIND_RUNTIME : KIND_PROGRAM;
	return has_text(frame->function) ? KIND_PROGRAM : KIND_NOTHING;
}

/* What FRAME is called in a signature. */
static void token(const struct named_frame *frame, char out[FUNCNAME_MAX])
{
	if (has_text(frame->function)) {
		funcname_clean(frame->function, out);
		return;
	}
	snprintf(out, FUNCNAME_MAX, "%.900s" UNNAMED "%" PRIx64,
		 has_text(frame->module) ? basename_of(frame->module) : "?",
		 frame->offset);
}

/* FNV-1a: only to compare the names of one stack with each other. */
static uint64_t token_hash(const struct named_frame *frame)
{
	uint64_t sum = 0xcbf29ce484222325;
	char name[FUNCNAME_MAX];

	token(frame, name);
	for (const char *p = name; *p; p++)
		sum = (sum ^ (unsigned char)*p) * 0x100000001b3;
	return sum;
}

static void classify_all(struct walk *walk)
{
	for (size_t i = 0; i < walk->nframes; i++) {
		walk->kind[i] = (unsigned char)classify(&walk->frames[i]);
		walk->token[i] = token_hash(&walk->frames[i]);
	}
	for (size_t i = 0; i < walk->nframes && i < CUT_FRAMES; i++)
		if (walk->kind[i] == KIND_END)
			walk->cut = i + 1;
}

static bool already_used(const struct walk *walk, const struct semantic *out,
			 size_t frame)
{
	for (size_t i = 0; i < out->nused; i++)
		if (walk->token[out->used[i]] == walk->token[frame])
			return true;
	return false;
}

/* The next frame of KIND at or after FROM; nframes if there is none. */
static size_t next_of_kind(const struct walk *walk, size_t from, enum kind kind)
{
	while (from < walk->nframes && walk->kind[from] != kind)
		from++;
	return from;
}

/* Collect up to COUNTED frames of KIND with names not seen before. */
static void collect(const struct walk *walk, size_t from, enum kind kind,
		    bool named_only, struct semantic *out)
{
	for (size_t i = next_of_kind(walk, from, kind);
	     i < walk->nframes && out->nused < COUNTED;
	     i = next_of_kind(walk, i + 1, kind)) {
		if (named_only && !has_text(walk->frames[i].function))
			continue;
		if (!already_used(walk, out, i))
			out->used[out->nused++] = i;
	}
}

/* The program's frames behind the cut, as indices; their number. */
static size_t list_program(const struct walk *walk, size_t *list, size_t max)
{
	size_t n = 0;

	for (size_t i = walk->cut; i < walk->nframes && n < max; i++)
		if (walk->kind[i] == KIND_PROGRAM)
			list[n++] = i;
	return n;
}

static bool repeats(const struct walk *walk, const size_t *list, size_t n,
		    size_t first, size_t period)
{
	size_t span = period * CYCLE_REPEATS;

	if (n - first < span + period)
		return false;
	for (size_t i = first; i < first + span; i++)
		if (walk->token[list[i]] != walk->token[list[i + period]])
			return false;
	return true;
}

/* Where in LIST[FIRST..+PERIOD) the smallest name is. */
static size_t smallest(const struct walk *walk, const size_t *list,
		       size_t first, size_t period)
{
	char best[FUNCNAME_MAX], other[FUNCNAME_MAX];
	size_t at = first;

	token(&walk->frames[list[first]], best);
	for (size_t i = first + 1; i < first + period; i++) {
		token(&walk->frames[list[i]], other);
		if (strcmp(other, best) < 0) {
			memcpy(best, other, sizeof(best));
			at = i;
		}
	}
	return at;
}

/* Rule 4: where a runaway recursion fills the stack, the frame to begin with;
 * what happened to be called on top of it when the stack ran out is passed
 * over. Otherwise the cut. */
static size_t begin_of_cycle(const struct walk *walk)
{
	enum { WINDOW = MAX_CYCLE + MAX_CYCLE * (CYCLE_REPEATS + 1) };
	size_t list[WINDOW];
	size_t n = list_program(walk, list, WINDOW);

	for (size_t first = 0; first < MAX_CYCLE && first < n; first++)
		for (size_t period = 1; period <= MAX_CYCLE; period++)
			if (repeats(walk, list, n, first, period))
				return list[smallest(walk, list, first,
						     period)];
	return walk->cut;
}

/* Rules 3 to 5, and what is left to say where they find nothing. */
static void choose(const struct walk *walk, struct semantic *out)
{
	collect(walk, begin_of_cycle(walk), KIND_PROGRAM, false, out);
	if (out->nused == 0)
		collect(walk, 0, KIND_PROGRAM, false, out);
	if (out->nused == 0)
		collect(walk, walk->cut, KIND_RUNTIME, true, out);
	if (out->nused == 0)
		collect(walk, 0, KIND_RUNTIME, false, out);
	if (out->nused == 0)
		collect(walk, 0, KIND_END, false, out);
}

/* The faults of one class come from the same mistakes: an address that traps
 * as SIGBUS today may as SIGSEGV tomorrow. */
static const char *signal_class(int signal)
{
	static const struct {
		const char *signal, *class;
	} classes[] = {
		{ "SIGABRT", "abort" },      { "SIGBUS", "memory" },
		{ "SIGFPE", "arithmetic" },  { "SIGILL", "trap" },
		{ "SIGSEGV", "memory" },     { "SIGSYS", "syscall" },
		{ "SIGTRAP", "trap" },
	};
	const char *name = signal_name(signal);

	for (size_t i = 0; name && i < sizeof(classes) / sizeof(classes[0]);
	     i++)
		if (strcmp(name, classes[i].signal) == 0)
			return classes[i].class;
	return "signal";
}

static void hash_text(SHA2_CTX *sha, const char *text)
{
	SHA256Update(sha, (const uint8_t *)text, strlen(text) + 1);
}

static void hash(int signal, const struct walk *walk, struct semantic *out)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char text[FUNCNAME_MAX];
	SHA2_CTX sha;

	SHA256Init(&sha);
	snprintf(text, sizeof(text), "semantic %d", RULES_VERSION);
	hash_text(&sha, text);
	hash_text(&sha, signal_class(signal));
	for (size_t i = 0; i < out->nused; i++) {
		token(&walk->frames[out->used[i]], text);
		hash_text(&sha, text);
	}
	SHA256Final(digest, &sha);
	for (size_t i = 0; i < (FINGERPRINT_HEX - 1) / 2; i++)
		snprintf(out->hex + 2 * i, 3, "%02x", digest[i]);
}

static void append_title(struct semantic *out, const char *text)
{
	size_t len = strlen(out->title);

	snprintf(out->title + len, sizeof(out->title) - len, "%s%s",
		 len ? " | " : "", text);
	if (len + strlen(text) + 3 >= sizeof(out->title))
		memcpy(out->title + sizeof(out->title) - 4, "...", 4);
}

/* A named runtime function right above the first counted frame's own calls,
 * as "memcpy" above "f"; false where there is none. */
static bool runtime_on_top(const struct walk *walk, const struct semantic *out,
			   char name[FUNCNAME_MAX])
{
	for (size_t i = walk->cut; i < out->used[0]; i++) {
		if (walk->kind[i] == KIND_PROGRAM)
			return false;
		if (walk->kind[i] == KIND_RUNTIME &&
		    has_text(walk->frames[i].function)) {
			token(&walk->frames[i], name);
			if (is_runtime(&walk->frames[i]))
				memmove(name, without_underscores(name),
					strlen(without_underscores(name)) + 1);
			return true;
		}
	}
	return false;
}

static void make_title(const struct walk *walk, struct semantic *out)
{
	char text[FUNCNAME_MAX];

	if (out->nused == 0) {
		append_title(out, "no frames");
		return;
	}
	if (runtime_on_top(walk, out, text))
		append_title(out, text);
	for (size_t i = 0; i < out->nused; i++) {
		token(&walk->frames[out->used[i]], text);
		append_title(out, text);
	}
}

void fingerprint_semantic(int signal, const struct named_frame *frames,
			  size_t nframes, struct semantic *out)
{
	struct walk walk = {
		.frames = frames,
		.nframes = nframes < WALK_FRAMES ? nframes : WALK_FRAMES,
	};

	memset(out, 0, sizeof(*out));
	classify_all(&walk);
	choose(&walk, out);
	hash(signal, &walk, out);
	make_title(&walk, out);
}

bool fingerprint_is_partial(const char *title)
{
	return strstr(title, UNNAMED) != NULL;
}

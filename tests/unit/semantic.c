/* Names made comparable, and the fingerprint that is made from them. The names
 * are real ones, as gcc, clang and rustc mangle and libiberty prints them. */
#include "../../lib/report/fingerprint.h"
#include "../../lib/report/funcname.h"
#include "test.h"

#define LIBC "/usr/lib/x86_64-linux-gnu/libc.so.6"
#define APP "/usr/bin/app"

static void clean(const char *name, const char *wanted)
{
	char out[FUNCNAME_MAX];

	funcname_clean(name, out);
	CHECK_STRING(out, wanted);
}

static void cpp_names(void)
{
	clean("foo(int) const", "foo");
	clean("int foo<int>(int)", "foo<T>");
	clean("char const* ns::f<int, S>(int (*)(char), V<int> const&) &&",
	      "ns::f<T>");
	clean("std::vector<int, std::allocator<int> >::operator[](unsigned "
	      "long)", "std::vector<T>::operator[]");
	clean("(anonymous namespace)::foo(int)", "(anonymous namespace)::foo");
	clean("void (anonymous namespace)::bar<int>(int)",
	      "(anonymous namespace)::bar<T>");
	clean("non-virtual thunk to A::f()", "A::f");
	clean("std::__cxx11::basic_string<char, std::char_traits<char>, "
	      "std::allocator<char> >::_M_create[abi:cxx11](unsigned long&, "
	      "unsigned long)", "std::__cxx11::basic_string<T>::_M_create");
	clean("std::function<void (int)>::operator()(int) const",
	      "std::function<T>::operator()");
	clean("decltype(auto) foo<int>(int)", "foo<T>");
	clean("MyClass::method(int)::Local::g()", "MyClass::method::Local::g");
	clean("A::~A()", "A::~A");
}

static void operators(void)
{
	clean("Foo::operator std::vector<int>() const",
	      "Foo::operator std::vector<T>");
	clean("Foo::operator()(int) const", "Foo::operator()");
	clean("std::ostream& operator<< <char>(std::ostream&, char)",
	      "operator<<<T>");
	clean("bool operator< <int>(A<int> const&, A<int> const&)",
	      "operator<<T>");
	clean("Foo::operator->() const", "Foo::operator->");
	clean("operator new(unsigned long)", "operator new");
	clean("operator delete[](void*)", "operator delete[]");
	clean("operator\"\" _x(char const*)", "operator\"\" _x");
	clean("A::operator=(A&&)", "A::operator=");
	clean("my_operator(int)", "my_operator");
}

static void lambdas(void)
{
	clean("main::{lambda(int)#2}::operator()(int) const",
	      "main::{lambda}::operator()");
	clean("f()::{lambda()#1}::operator()() const::{lambda(int)#3}::_FUN"
	      "(int)", "f::{lambda}::operator()::{lambda}::_FUN");
	clean("main::$_0::operator()(int) const", "main::{lambda}::operator()");
	clean("foo()::'lambda0'(int)::operator()(int) const",
	      "foo::{lambda}::operator()");
}

static void clones(void)
{
	clean("foo() [clone .cold]", "foo");
	clean("foo(int) [clone .part.0] [clone .isra.0]", "foo");
	clean("foo.constprop.0.isra.1", "foo");
	clean("foo.cold", "foo");
	clean("counter.1234", "counter");
	clean("runtime.mallocgc", "runtime.mallocgc");
	clean("main.(*T).Method", "main.(*T).Method");
}

static void rust_names(void)
{
	clean("foo::main::h0123456789abcdef", "foo::main");
	clean("foo::main::{{closure}}", "foo::main::{closure}");
	clean("foo::main::{closure#0}", "foo::main::{closure}");
	clean("<alloc::vec::Vec<T> as core::ops::index::Index<I>>::index",
	      "<alloc::vec::Vec<T> as core::ops::index::Index<T>>::index");
	/* v0 and legacy mangling of one function */
	clean("<alloc::vec::Vec<u8>>::push", "alloc::vec::Vec<T>::push");
	clean("alloc::vec::Vec<T,A>::push", "alloc::vec::Vec<T>::push");
	clean("foo::bar::<u32>", "foo::bar");
	clean("core::num::<impl u32>::checked_add",
	      "core::num::u32::checked_add");
	clean("core::ops::function::FnOnce::call_once{{vtable.shim}}",
	      "core::ops::function::FnOnce::call_once{shim}");
	clean("<<A as B>::C as D>::E", "<<A as B>::C as D>::E");
}

static void libc_names(void)
{
	clean("__GI_raise", "raise");
	clean("__memmove_avx_unaligned_erms", "memmove");
	clean("__strlen_evex", "strlen");
	clean("__memcpy_ssse3_rep", "memcpy");
	clean("memcpy@@GLIBC_2.14", "memcpy");
	clean("puts@plt", "puts");
	clean("__libc_start_call_main", "__libc_start_call_main");
	clean("__memory_pool_init", "__memory_pool_init");
}

/* As node, python3 and jcmd write them for perf; the last ones are of C++. */
static void compiled_names(void)
{
	clean("LazyCompile:*busy /srv/app/main.js:3:14", "busy");
	clean("LazyCompile:~busy /srv/app/main.js:3:14", "busy");
	clean("Function:^Server.emit node:events:470:24", "Server.emit");
	clean("JS:+#turn /srv/app/main.js:7:2", "#turn");
	clean("Script:~ /srv/app/main.js:1:1", "main.js:1:1");
	clean("LazyCompile:* node:internal/timers:1:1", "timers:1:1");
	clean("Eval: x", "x");
	clean("JS: ", "JS:");
	clean("JS:", "JS:");
	clean("Builtin:ArrayForEach", "Builtin:ArrayForEach");
	clean("py::leaf:/srv/app/b.py", "leaf");
	clean("py::C.f.<locals>.<lambda>:/x y/b.py", "C.f.<locals>.<lambda>");
	clean("py::<module>:<frozen importlib._bootstrap>", "<module>");
	clean("py::", "py::");
	clean("py:::x", "py:::x");
	clean("long Busy.turn(long)", "Busy.turn");
	clean("py::f(int)", "py::f");
	clean("py::C::f(int)", "py::C::f");
	clean("JS::Evaluate(JSContext*, int)", "JS::Evaluate");
	clean("Function::call(int) const", "Function::call");
}

static void nothing_left(void)
{
	clean("", "");
	clean("<signal handler called>", "<signal handler called>");
	clean("(((((", "(((((");
	clean("operator", "operator");
	clean("void (*f(int))(char)", "void (*f(int))(char)");
}

/* Brackets of all kinds, deep and unclosed: linear, bounded, no crash (the
 * sanitizers watch). */
static void hostile_names(void)
{
	static const char *const parts[] = {
		"<", "(", "{", "[", "<a as ", "operator", "<<", "::<impl ",
		"{lambda(", "'lambda", "$_1", " const", "[abi:", ".cold",
		"::h0123456789abcdef", "\xff", "a::", ">", ")", "operator<",
	};
	enum { SIZE = 3 * FUNCNAME_MAX_INPUT };
	char *name = malloc(SIZE + 32);
	char out[FUNCNAME_MAX];
	size_t n = sizeof(parts) / sizeof(parts[0]);

	for (size_t a = 0; a < n; a++) {
		for (size_t b = 0; b < n; b++) {
			size_t len = 0;

			while (len < SIZE - 40)
				len += (size_t)snprintf(name + len, 40, "%s%s",
							parts[a], parts[b]);
			CHECK(funcname_clean(name, out) < FUNCNAME_MAX);
			CHECK(strlen(out) > 0);
		}
	}
	free(name);
}

/* Stacks: "function@module", "@module+offset" for one without a name. */
static void parse_frame(char *text, struct named_frame *out)
{
	char *at = strrchr(text, '@');
	char *plus = at ? strchr(at, '+') : NULL;

	memset(out, 0, sizeof(*out));
	out->function = text[0] && text[0] != '@' ? text : NULL;
	if (at == NULL)
		return;
	*at = '\0';
	if (plus) {
		*plus = '\0';
		out->offset = strtoull(plus + 1, NULL, 16);
	}
	out->module = at[1] ? at + 1 : NULL;
}

static struct semantic of(int signal, const char *stack)
{
	struct named_frame frames[64];
	struct semantic semantic;
	char *copy = strdup(stack), *rest = copy, *part;
	size_t n = 0;

	while (n < 64 && (part = strsep(&rest, "|")) != NULL)
		parse_frame(part, &frames[n++]);
	fingerprint_semantic(signal, frames, n, &semantic);
	free(copy);
	return semantic;
}

static void same(const char *a, const char *b)
{
	struct semantic x = of(11, a), y = of(11, b);

	if (!CHECK_STRING(x.hex, y.hex))
		printf("# %s\n# %s\n", x.title, y.title);
}

static void differ(const char *a, const char *b)
{
	CHECK(strcmp(of(11, a).hex, of(11, b).hex) != 0);
}

static void titled(const char *stack, const char *title)
{
	struct semantic semantic = of(11, stack);

	CHECK_STRING(semantic.title, title);
}

static void rebuilt_programs(void)
{
	same("f(int)@" APP "+100|g()@" APP "+200|main@" APP "+300",
	     "f(int)@/opt/app+5100|g()@/opt/app+5200|main@/opt/app+5300");
	same("f(int) [clone .part.0]@" APP "|g@" APP "|main@" APP,
	     "f(int)@" APP "|g [clone .cold]@" APP "|main@" APP);
	same("f<int>(int)@" APP "|main@" APP,
	     "f<long>(long)@" APP "|main@" APP);
	differ("f@" APP "|g@" APP "|main@" APP,
	       "f@" APP "|h@" APP "|main@" APP);
	differ("f@" APP "|main@" APP, "g@" APP "|main@" APP);
}

static void with_and_without_libc_symbols(void)
{
	same("__pthread_kill_implementation@" LIBC "|__GI_raise@" LIBC
	     "|__GI_abort@" LIBC "|check@" APP "|main@" APP,
	     "@" LIBC "+8a|@" LIBC "+3a|abort@" LIBC "|check@" APP
	     "|main@" APP);
	same("__pthread_kill_implementation@" LIBC "|__GI_raise@" LIBC
	     "|__GI_abort@" LIBC "|check@" APP "|main@" APP,
	     "@" LIBC "+8a|@" LIBC "+3a|@" LIBC "+22|check@" APP "|main@" APP);
	same("__memmove_avx_unaligned_erms@" LIBC "|copy_name@" APP
	     "|main@" APP "|__libc_start_call_main@" LIBC "|_start@" APP,
	     "@" LIBC "+16aa|copy_name@" APP "|main@" APP "|@" LIBC
	     "+2724|_start@" APP);
}

static void how_it_ended(void)
{
	titled("raise@" LIBC "|abort@" LIBC "|__assert_fail_base@" LIBC
	       "|__assert_fail@" LIBC "|check(int)@" APP "|main@" APP,
	       "check | main");
	titled("raise@" LIBC "|abort@" LIBC
	       "|__gnu_cxx::__verbose_terminate_handler()@libstdc++.so.6"
	       "|std::terminate()@libstdc++.so.6|__cxa_throw@libstdc++.so.6"
	       "|std::vector<int>::at(unsigned long)@" APP "|load()@" APP
	       "|main@" APP, "std::vector<T>::at | load | main");
	titled("rust_panic@" APP "|std::panicking::begin_panic_handler@" APP
	       "|rust_begin_unwind@" APP "|core::panicking::panic_fmt@" APP
	       "|core::result::unwrap_failed@" APP
	       "|core::result::Result<T,E>::unwrap@" APP "|app::load@" APP
	       "|app::main@" APP,
	       "core::result::Result<T>::unwrap | app::load | app::main");
	/* what every Rust main is called through is no panic */
	titled("core::ptr::read_volatile::<u32>@" APP
	       "|<a::T as a::Act>::act::{closure#0}@" APP
	       "|<core::iter::adapters::map::Map<I,F> as "
	       "core::iter::traits::iterator::Iterator>::fold@" APP
	       "|<u32 as core::iter::traits::accum::Sum>::sum@" APP
	       "|<a::T as a::Act>::act@" APP "|a::main@" APP
	       "|<&dyn core::ops::function::Fn<(), Output = i32> + "
	       "core::marker::Sync as core::ops::function::FnOnce<()>>"
	       "::call_once@" APP "|std::panicking::catch_unwind::do_call@" APP
	       "|std::panic::catch_unwind@" APP
	       "|std::rt::lang_start_internal@" APP "|main@" APP,
	       "core::ptr::read_volatile | <a::T as a::Act>::act::{closure} | "
	       "<a::T as a::Act>::act | a::main");
	/* a program's own handler: what it interrupted is what broke */
	titled("abort@" LIBC "|on_crash@" APP
	       "|<signal handler called>@" LIBC "|parse@" APP "|main@" APP,
	       "parse | main");
}

static void what_does_not_count(void)
{
	same("f@" APP "|<fn() as core::ops::function::FnOnce<()>>::call_once@"
	     APP "|main@" APP, "f@" APP "|main@" APP);
	titled("<app::Config as core::fmt::Display>::fmt@" APP "|main@" APP,
	       "<app::Config as core::fmt::Display>::fmt | main");
	same("std::vector<int>::operator[](unsigned long)@" APP "|f@" APP
	     "|main@" APP, "f@" APP "|main@" APP);
	same("capture@/x/libepitaph.so|f@" APP "|main@" APP,
	     "f@" APP "|main@" APP);
	same("|f@" APP "|main@" APP, "f@" APP "|main@" APP);
	titled("__kill@" LIBC "|kill_builtin@" APP "|main@" APP,
	       "kill_builtin | main");
	titled("__clock_nanosleep@" LIBC "|f@" APP "|main@" APP,
	       "clock_nanosleep | f | main");
	titled("strlen@" LIBC "|f@" APP "|main@" APP, "strlen | f | main");
}

/* Code that was compiled at run time lies elsewhere in each process. */
static void compiled_at_run_time(void)
{
	titled("fault@addon.node|LazyCompile:*busy /srv/x.js:3:14|"
	       "LazyCompile:~start /srv/x.js:9:1|main@" APP,
	       "fault | busy | start");
	same("LazyCompile:*busy /srv/x.js:3:14|main@" APP,
	     "LazyCompile:~busy /opt/x.js:5:14|main@" APP);
	differ("LazyCompile:*busy /srv/x.js:3:14|main@" APP,
	       "LazyCompile:*idle /srv/x.js:3:14|main@" APP);
}

static void never_empty(void)
{
	titled("@" APP "+1234", "app!+0x1234");
	titled("f@" APP "|@" APP "+1234|main@" APP, "f | app!+0x1234 | main");
	titled("@" LIBC "+8a3c", "libc.so.6!+0x8a3c");
	titled("raise@" LIBC "|abort@" LIBC, "raise | abort");
	CHECK_STRING(of(11, "").title, "no frames");
	CHECK_NUMBER(strlen(of(11, "").hex), 32);
	differ("@" APP "+1234", "@" APP "+1235");
}

static void recursion(void)
{
	char a[8192] = "", b[8192] = "";

	for (int i = 0; i < 31; i++) {
		strncat(a, "even@" APP "|odd@" APP "|", 40);
		strncat(b, "odd@" APP "|even@" APP "|", 40);
	}
	strncat(a, "main@" APP, 40);
	strncat(b, "main@" APP, 40);
	same(a, b);
	titled(a, "even | odd | main");
	/* one level deeper or less is the same bug */
	same("walk@" APP "|walk@" APP "|walk@" APP "|main@" APP,
	     "walk@" APP "|walk@" APP "|main@" APP);
}

static void signals(void)
{
	struct semantic segv = of(11, "f@" APP), bus = of(7, "f@" APP);
	struct semantic abrt = of(6, "f@" APP);

	CHECK_STRING(segv.hex, bus.hex);
	CHECK(strcmp(segv.hex, abrt.hex) != 0);
}

static void long_titles(void)
{
	char name[2000], other[2000];
	struct semantic a, b;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memcpy(other, name, sizeof(name));
	other[900] = 'y'; /* behind the title's end, within a name's */
	a = of(11, name);
	b = of(11, other);
	CHECK_NUMBER(strlen(a.title), FINGERPRINT_TITLE - 1);
	CHECK_STRING(a.title + FINGERPRINT_TITLE - 4, "...");
	CHECK(strcmp(a.hex, b.hex) != 0);
}

static const struct test tests[] = {
	{ "C++ names lose parameters, return types and arguments", cpp_names },
	{ "operators keep their symbols", operators },
	{ "lambdas lose their numbers", lambdas },
	{ "clone suffixes go, dots in names stay", clones },
	{ "Rust names are one for both manglings", rust_names },
	{ "libc's variants are one name", libc_names },
	{ "what was compiled at run time is called as in its language",
	  compiled_names },
	{ "a name with nothing left stays as it was", nothing_left },
	{ "hostile names are cleaned within bounds", hostile_names },
	{ "a rebuilt program has the same fingerprint", rebuilt_programs },
	{ "libc's symbols make no difference", with_and_without_libc_symbols },
	{ "what merely ended the process is cut", how_it_ended },
	{ "the runtime and the shim do not count", what_does_not_count },
	{ "code in no module counts by its name", compiled_at_run_time },
	{ "there is always something to say", never_empty },
	{ "recursion is folded, and its cycle has one beginning", recursion },
	{ "the signal's class counts", signals },
	{ "long titles are cut, the hash is of all", long_titles },
};

int main(void)
{
	return TEST_RUN(tests);
}

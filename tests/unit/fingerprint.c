/* The exact fingerprint: the same for the same death, another for another. */
#include "../../lib/report/fingerprint.h"
#include "test.h"

/* A report of which each test changes one thing: two modules, no frames. */
static void make(struct report *r)
{
	report_init(r, NULL);
	r->signal = 11;
	r->exe = "/bin/x";
	r->nmodules = 2;
	r->modules = report_alloc(r, 2 * sizeof(struct module));
	r->modules[0].path = "/bin/x";
	r->modules[0].base = 0x10000;
	r->modules[0].size = 0x10000;
	build_id_parse("0102030405060708", &r->modules[0].build_id);
	r->modules[1].path = "/lib/y.so";
	r->modules[1].base = 0x90000;
	r->modules[1].size = 0x10000;
	build_id_parse("1112131415161718", &r->modules[1].build_id);
	r->nthreads = 1;
	r->threads = report_alloc(r, sizeof(struct thread));
	r->threads[0].crashed = true;
	r->threads[0].frames = report_alloc(r, MAX_FRAMES *
						       sizeof(struct frame));
}

static void push(struct report *r, int module, uint64_t offset)
{
	struct thread *t = &r->threads[0];
	struct frame *f = &t->frames[t->nframes];

	f->trust = t->nframes++ == 0 ? TRUST_CONTEXT : TRUST_CFI;
	f->module = module;
	f->offset = module < 0 ? 0 : offset;
	f->pc = offset + (module < 0 ? 0 : r->modules[module].base);
}

/* A crash at 0x100 below calls at 0x200 and 0x300. */
static void make_plain(struct report *r)
{
	make(r);
	push(r, 1, 0x100);
	push(r, 1, 0x200);
	push(r, 0, 0x300);
}

/* The fingerprint of a report that is done with. */
static const char *take(struct report *r)
{
	static char hex[2][FINGERPRINT_HEX];
	static int next;

	next ^= 1;
	fingerprint_exact(r, hex[next]);
	report_free(r);
	return hex[next];
}

static const char *plain(void)
{
	struct report r;

	make_plain(&r);
	return take(&r);
}

static void is_32_lower_case_digits(void)
{
	const char *hex = plain();

	CHECK_NUMBER(strlen(hex), 32);
	CHECK_NUMBER(strspn(hex, "0123456789abcdef"), 32);
}

static void stays_what_it_is(void)
{
	/* Stored in every collector: a change here splits their groups'
	 * cache, and wants a new version byte. */
	CHECK_STRING(plain(), "afd49f7484705cc4e66156939f586c71");
}

static void does_not_hang_on_where_things_are(void)
{
	struct report r;

	make_plain(&r);
	for (size_t i = 0; i < 2; i++)
		r.modules[i].base += 0x5000000;
	for (size_t i = 0; i < 3; i++) {
		r.threads[0].frames[i].pc += 0x5000000;
		r.threads[0].frames[i].cfa += 64;
	}
	r.modules[1].path = "/opt/lib/y.so";
	r.pid = 99;
	r.address = 77;
	CHECK_STRING(take(&r), plain());
}

static bool differs(struct report *r)
{
	return strcmp(take(r), plain()) != 0;
}

static void differs_where_the_crash_does(void)
{
	struct report r;

	make_plain(&r);
	r.signal = 6;
	CHECK(differs(&r));
	make_plain(&r);
	r.threads[0].frames[0].offset++;
	CHECK(differs(&r));
	make_plain(&r);
	r.threads[0].frames[2].offset++;
	CHECK(differs(&r));
	make_plain(&r);
	r.modules[1].build_id.bytes[7]++;
	CHECK(differs(&r));
	make_plain(&r);
	push(&r, 0, 0x400);
	CHECK(differs(&r));
}

static void looks_at_sixteen_frames(void)
{
	struct report a, b;

	make(&a);
	make(&b);
	for (uint64_t i = 0; i < 40; i++) {
		push(&a, 0, 0x100 + i);
		push(&b, 0, i < 16 ? 0x100 + i : 0x500 + i);
	}
	CHECK_STRING(take(&a), take(&b));
}

/* DEPTH calls around a cycle of PERIOD functions, above two of main's. */
static void make_recursion(struct report *r, size_t depth, size_t period)
{
	make(r);
	push(r, 0, 0x100);
	for (size_t i = 0; i < depth; i++)
		push(r, 0, 0x1000 + i % period);
	push(r, 0, 0x200);
	push(r, 0, 0x300);
}

static void folds_recursion(void)
{
	struct report a, b;

	/* Few turns against many: sixteen frames of either differ. */
	for (size_t period = 1; period <= 8; period++) {
		make_recursion(&a, 2 * period, period);
		make_recursion(&b, 60 * period, period);
		CHECK_STRING(take(&a), take(&b));
	}
	make_recursion(&a, 50, 1);
	make_recursion(&b, 60, 1);
	CHECK_STRING(take(&a), take(&b));
	/* A turn that the first call had not finished changes nothing. */
	make_recursion(&a, 7, 3);
	make_recursion(&b, 60, 3);
	CHECK_STRING(take(&a), take(&b));
}

static void sees_who_began_a_recursion(void)
{
	struct report a, b;

	for (size_t period = 1; period <= 8; period++) {
		make_recursion(&a, 50, period);
		make_recursion(&b, 50, period);
		b.threads[0].frames[51].offset++;
		CHECK(strcmp(take(&a), take(&b)) != 0);
	}
}

static void folds_over_a_gap(void)
{
	struct report a, b;

	/* 512 frames of either end, cut at different turns of the cycle. */
	make(&a);
	make(&b);
	push(&a, 0, 0x100);
	push(&b, 0, 0x100);
	for (size_t i = 0; i < 40; i++) {
		push(&a, 0, 0x1000 + i % 2);
		push(&b, 0, 0x1000 + (i < 20 ? i % 2 : (i + 1) % 2));
	}
	push(&a, 0, 0x300);
	push(&b, 0, 0x300);
	CHECK_STRING(take(&a), take(&b));
}

static void tells_recursion_from_none(void)
{
	struct report a, b;

	make_recursion(&a, 50, 2);
	make_recursion(&b, 50, 3);
	CHECK(strcmp(take(&a), take(&b)) != 0);
}

static void does_not_look_at_scanned_frames(void)
{
	struct report r;

	make_plain(&r);
	push(&r, 0, 0x999);
	r.threads[0].frames[3].trust = TRUST_SCAN;
	push(&r, 0, 0x400);
	CHECK_STRING(take(&r), plain());
}

static void falls_back_on_the_program(void)
{
	struct report a, b, c;

	/* Code that a compiler made at run time has addresses by chance. */
	make(&a);
	push(&a, -1, 0x7000);
	make(&b);
	push(&b, -1, 0x8000);
	CHECK_STRING(take(&a), take(&b));
	make(&a);
	make(&b);
	b.modules[0].build_id.bytes[0]++;
	CHECK(strcmp(take(&a), take(&b)) != 0);
	/* A library is not the program. */
	make(&a);
	make(&c);
	c.modules[1].build_id.bytes[0]++;
	CHECK_STRING(take(&a), take(&c));
}

/* The frame in y.so is in no module, for y.so is gone. */
static void unload(struct report *r)
{
	r->unloaded = &r->modules[1];
	r->nunloaded = 1;
	r->nmodules = 1;
	for (size_t i = 0; i < r->threads[0].nframes; i++) {
		struct frame *f = &r->threads[0].frames[i];

		if (f->module == 1)
			*f = (struct frame){ .pc = f->pc, .module = -1 };
	}
}

static void knows_what_was_unloaded(void)
{
	struct report a;

	make_plain(&a);
	unload(&a);
	CHECK_STRING(take(&a), plain());
	make_plain(&a);
	unload(&a);
	a.unloaded[0].base -= 1;
	CHECK(differs(&a));
}

static void names_a_module_without_build_id(void)
{
	struct report a, b;

	make_plain(&a);
	make_plain(&b);
	a.modules[1].build_id.len = 0;
	b.modules[1].build_id.len = 0;
	b.modules[1].path = "/elsewhere/y.so";
	CHECK_STRING(take(&a), take(&b));
	make_plain(&a);
	make_plain(&b);
	a.modules[1].build_id.len = 0;
	b.modules[1].build_id.len = 0;
	b.modules[1].path = "/lib/z.so";
	CHECK(strcmp(take(&a), take(&b)) != 0);
}

static void needs_no_thread_and_no_module(void)
{
	struct report r;

	report_init(&r, NULL);
	CHECK_NUMBER(strlen(take(&r)), 32);
}

int main(void)
{
	static const struct test tests[] = {
		{ "a fingerprint is 32 lower-case digits",
		  is_32_lower_case_digits },
		{ "a fingerprint stays what it is from version to version",
		  stays_what_it_is },
		{ "addresses, paths and pids make no difference",
		  does_not_hang_on_where_things_are },
		{ "signal, offsets, build-ids and depth make a difference",
		  differs_where_the_crash_does },
		{ "sixteen frames count and no more",
		  looks_at_sixteen_frames },
		{ "recursion has one fingerprint at every depth",
		  folds_recursion },
		{ "who began a recursion makes a difference",
		  sees_who_began_a_recursion },
		{ "recursion folds over frames that were left out",
		  folds_over_a_gap },
		{ "cycles of other functions are other crashes",
		  tells_recursion_from_none },
		{ "frames found by scanning do not count",
		  does_not_look_at_scanned_frames },
		{ "without a frame in a module it is the program's",
		  falls_back_on_the_program },
		{ "an unloaded module is the one that it was",
		  knows_what_was_unloaded },
		{ "a module without build-id goes by its file's name",
		  names_a_module_without_build_id },
		{ "an empty report has one too",
		  needs_no_thread_and_no_module },
	};

	return TEST_RUN(tests);
}

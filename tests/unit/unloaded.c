/* The helper's reading of what the shim noted of modules, as a program, or what
 * has gone wild in it, may leave it. */
#include <sys/mman.h>
#include <unistd.h>

#include "../../shim/helper/crash.h"
#include "test.h"

enum { AT = 0x10000 };

static struct noted_module noted[RECORD_MODULES];
static uint64_t nnoted;
static struct report report;

static struct noted_module *note(uint64_t seen, uint64_t base,
				 const char *path)
{
	struct noted_module *module = &noted[nnoted++];

	memset(module, 0, sizeof(*module));
	module->seen = seen;
	module->base = base;
	module->size = 0x2000;
	module->id_len = 2;
	module->id[0] = (uint8_t)(base >> 12);
	module->id[1] = (uint8_t)nnoted;
	snprintf(module->path, sizeof(module->path), "%s", path);
	return module;
}

/* REPORT's unloaded modules of a process that left these notes, and has the
 * N modules LOADED; MAPS_TEXT is changed. */
static void read_notes(struct module *loaded, size_t n, char *maps_text)
{
	static struct crash_record record = { .noted = AT };
	struct crash crash = { .mem = memfd_create("memory", 0),
			       .maps_fd = -1, .proc = -1, .record = &record };

	record.nnoted = nnoted;
	CHECK(pwrite(crash.mem, noted, sizeof(noted), AT) == sizeof(noted));
	CHECK(maps_parse(maps_text, strlen(maps_text), &crash.maps, NULL));
	CHECK(report_init(&report, NULL));
	report.modules = loaded;
	report.nmodules = n;
	crash_unloaded(&crash, &report);
	maps_free(&crash.maps);
	close(crash.mem);
	nnoted = 0;
}

static void read_alone(void)
{
	char none[] = "";

	read_notes(NULL, 0, none);
}

static void shows_the_latest_first(void)
{
	note(2, 0x1000, "/b.so");
	note(9, 0x5000, "/c.so");
	note(1, 0x3000, "/a.so");
	note(2, 0x9000, "/d.so");
	read_alone();
	CHECK_NUMBER(report.nunloaded, 4);
	CHECK_STRING(report.unloaded[0].path, "/c.so");
	CHECK_NUMBER(report.unloaded[0].base, 0x5000);
	CHECK_NUMBER(report.unloaded[0].size, 0x2000);
	CHECK_NUMBER(report.unloaded[0].build_id.len, 2);
	CHECK_NUMBER(report.unloaded[0].build_id.bytes[0], 5);
	CHECK_STRING(report.unloaded[1].path, "/b.so");
	CHECK_STRING(report.unloaded[2].path, "/d.so");
	CHECK_STRING(report.unloaded[3].path, "/a.so");
	report_free(&report);
}

/* At the same place, and not known to be of another build. */
static void leaves_out_what_is_loaded(void)
{
	struct module loaded[] = {
		{ .base = 0x1000, .size = 0x2000, .path = "/a.so" },
		{ .base = 0x5000, .size = 0x2000, .path = "/b.so" },
		{ .base = 0x9000, .size = 0x2000, .path = "/c.so" },
		{ .base = 0xc000, .size = 0x4000, .path = "/d.so" },
	};
	char none[] = "";

	build_id_parse("0101", &loaded[0].build_id);
	build_id_parse("05ff", &loaded[1].build_id);
	build_id_parse("09ff", &loaded[2].build_id);
	note(1, 0x1000, "/link-to-a.so"); /* 01 01 */
	note(1, 0x5000, "/old-b.so");     /* 05 02 */
	note(1, 0x9000, "/c.so")->id_len = 0;
	note(1, 0xc000, "/d.so");
	note(1, 0xd000, "/before-d.so");
	read_notes(loaded, 4, none);
	CHECK_NUMBER(report.nunloaded, 2);
	CHECK_STRING(report.unloaded[0].path, "/old-b.so");
	CHECK_STRING(report.unloaded[1].path, "/before-d.so");
	report_free(&report);
}

/* Data that is there now may have been code, but code that is there now is what
 * runs. */
static void leaves_out_what_was_replaced(void)
{
	struct module loaded = { .base = 0x21000, .size = 0x1000 };
	char maps[] = "12000-13000 r-xp 00000000 00:00 0\n"
		      "16000-17000 rwxp 00000000 00:00 0\n"
		      "19000-1a000 rw-p 00000000 00:00 0\n"
		      "21000-22000 r-xp 00000000 08:01 7 /lib.so\n";

	note(4, 0x11000, "/all-but-first.so");
	note(3, 0x15000, "/last.so");
	note(2, 0x18000, "/data.so");
	note(1, 0x20000, "/loaded.so");
	read_notes(&loaded, 1, maps);
	CHECK_NUMBER(report.nunloaded, 2);
	CHECK_STRING(report.unloaded[0].path, "/data.so");
	CHECK_STRING(report.unloaded[1].path, "/loaded.so");
	report_free(&report);
}

static void leaves_out_what_makes_no_sense(void)
{
	note(0, 0x1000, "/being-written.so");
	note(1, 0x1000, "/small.so")->size = 0;
	note(1, 0x1000, "/large.so")->size = UINT64_MAX;
	note(1, UINT64_MAX - 0x1000, "/high.so");
	note(1, 0x1000, "/id.so")->id_len = MAX_BUILD_ID + 1;
	memset(note(1, 0x1000, "")->path, 'x', sizeof(noted[0].path));
	read_alone();
	CHECK_NUMBER(report.nunloaded, 1);
	CHECK_NUMBER(strlen(report.unloaded[0].path),
		     sizeof(noted[0].path) - 1);
	report_free(&report);
	note(1, 0x1000, "/a.so");
	nnoted = RECORD_MODULES + 1;
	read_alone();
	CHECK_NUMBER(report.nunloaded, 0);
	report_free(&report);
	memset(noted, 0, sizeof(noted));
}

static void completes_a_relative_path(void)
{
	char here[4096], wanted[8192];

	CHECK(getcwd(here, sizeof(here)));
	note(2, 0x1000, "././d/a.so");
	note(1, 0x1000, "name-of-what-was-too-long.so");
	read_alone();
	snprintf(wanted, sizeof(wanted), "%s/d/a.so", here);
	CHECK_NUMBER(report.nunloaded, 2);
	CHECK_STRING(report.unloaded[0].path, wanted);
	CHECK_STRING(report.unloaded[1].path, "name-of-what-was-too-long.so");
	report_free(&report);
}

int main(void)
{
	static const struct test tests[] = {
		{ "what was seen last comes first", shows_the_latest_first },
		{ "what is loaded is not unloaded", leaves_out_what_is_loaded },
		{ "what has new code in its place is left out",
		  leaves_out_what_was_replaced },
		{ "what makes no sense is left out",
		  leaves_out_what_makes_no_sense },
		{ "a relative path is below where the program was",
		  completes_a_relative_path },
	};

	return TEST_RUN(tests);
}

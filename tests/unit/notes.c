/* The helper's reading of the board of include/epitaph.h, as a program, or
 * what has gone wild in it, may leave it. */
#include <sys/mman.h>
#include <unistd.h>

#include "../../include/epitaph.h"
#include "../../shim/helper/crash.h"
#include "test.h"

enum { AT = 0x10000 };

static struct epitaph_board board;
static struct report report;

static void set(size_t i, uint64_t stamp, const char *key, const char *value)
{
	board.notes[i].stamp = stamp;
	snprintf(board.notes[i].key, EPITAPH_KEY_SIZE, "%s", key);
	snprintf(board.notes[i].value, EPITAPH_VALUE_SIZE, "%s", value);
}

static void drop(size_t i, uint64_t stamp, const char *text)
{
	board.crumbs[i].stamp = stamp;
	snprintf(board.crumbs[i].text, EPITAPH_CRUMB_SIZE, "%s", text);
}

static void start(void)
{
	memset(&board, 0, sizeof(board));
	board.version = EPITAPH_VERSION;
	board.size = sizeof(board);
}

/* REPORT's annotations and breadcrumbs of a process with that board. */
static void read_board(void)
{
	static struct crash_record record = { .board = AT };
	struct crash crash = { .mem = memfd_create("memory", 0),
			       .maps_fd = -1, .proc = -1, .record = &record };

	CHECK(pwrite(crash.mem, &board, sizeof(board), AT) == sizeof(board));
	CHECK(report_init(&report, NULL));
	crash_notes(&crash, &report);
	close(crash.mem);
}

static void shows_the_latest(void)
{
	start();
	set(0, 9, "request", "later");
	set(5, 4, "request", "earlier");
	set(7, 6, "user", "nobody");
	read_board();
	CHECK_NUMBER(report.nannotations, 2);
	CHECK_STRING(report.annotations[0].key, "request");
	CHECK_STRING(report.annotations[0].value, "later");
	CHECK_STRING(report.annotations[1].value, "nobody");
	report_free(&report);
}

static void shows_crumbs_in_order(void)
{
	start();
	drop(0, 66, "third");
	drop(62, 64, "first");
	drop(63, 65, "second");
	read_board();
	CHECK_NUMBER(report.nbreadcrumbs, 3);
	CHECK_STRING(report.breadcrumbs[0], "first");
	CHECK_STRING(report.breadcrumbs[1], "second");
	CHECK_STRING(report.breadcrumbs[2], "third");
	report_free(&report);
}

static void hides_what_is_being_written(void)
{
	start();
	set(1, EPITAPH_BUSY, "request", "half a te");
	set(2, 3, "request", "whole");
	set(3, EPITAPH_FREE, "gone", "x");
	drop(1, EPITAPH_BUSY, "half");
	read_board();
	CHECK_NUMBER(report.nannotations, 1);
	CHECK_STRING(report.annotations[0].value, "whole");
	CHECK_NUMBER(report.nbreadcrumbs, 0);
	report_free(&report);
}

static void ends_texts_that_do_not_end(void)
{
	start();
	set(0, 2, "k", "v");
	memset(board.notes[0].key, 'k', EPITAPH_KEY_SIZE);
	memset(board.notes[0].value, 'v', EPITAPH_VALUE_SIZE);
	drop(0, 2, "");
	memset(board.crumbs[0].text, 'c', EPITAPH_CRUMB_SIZE);
	read_board();
	CHECK_NUMBER(report.nannotations, 1);
	CHECK_NUMBER(strlen(report.annotations[0].key), EPITAPH_KEY_SIZE);
	CHECK_NUMBER(strlen(report.annotations[0].value), EPITAPH_VALUE_SIZE);
	CHECK_NUMBER(strlen(report.breadcrumbs[0]), EPITAPH_CRUMB_SIZE);
	report_free(&report);
}

static void believes_only_its_own_version(void)
{
	start();
	set(0, 2, "k", "v");
	board.version = EPITAPH_VERSION + 1;
	read_board();
	CHECK_NUMBER(report.nannotations, 0);
	report_free(&report);
}

int main(void)
{
	static const struct test tests[] = {
		{ "of two notes with one key the later is shown",
		  shows_the_latest },
		{ "breadcrumbs are shown in the order they were dropped",
		  shows_crumbs_in_order },
		{ "what was being written is not shown",
		  hides_what_is_being_written },
		{ "texts without an end are cut", ends_texts_that_do_not_end },
		{ "another version's board is left alone",
		  believes_only_its_own_version },
	};

	return TEST_RUN(tests);
}

/* What the program wrote on the board of include/epitaph.h. The dead program
 * may have overwritten it: texts end where they have to, and a place that was
 * being written, by whoever may still run, is not shown. */
#include <stdlib.h>
#include <string.h>

#include "../../include/epitaph.h"
#include "crash.h"

static bool is_shown(uint64_t stamp, uint64_t again)
{
	return stamp > EPITAPH_BUSY && stamp == again;
}

/* A later note with the same key, which is the one that counts. */
static bool is_outdated(const struct epitaph_board *board,
			const struct epitaph_note *note)
{
	for (size_t i = 0; i < EPITAPH_NOTES; i++) {
		const struct epitaph_note *other = &board->notes[i];

		if (other->stamp > note->stamp &&
		    strncmp(other->key, note->key, sizeof(note->key)) == 0)
			return true;
	}
	return false;
}

static char *keep(struct report *report, const char *text, size_t size)
{
	return report_string(report, text, strnlen(text, size));
}

static void take_notes(const struct epitaph_board *board,
		       struct report *report)
{
	struct tag *tags = report_alloc(report, EPITAPH_NOTES * sizeof(*tags));
	size_t n = 0;

	for (size_t i = 0; tags && i < EPITAPH_NOTES; i++) {
		const struct epitaph_note *note = &board->notes[i];

		if (!note->stamp || is_outdated(board, note))
			continue;
		tags[n].key = keep(report, note->key, sizeof(note->key));
		tags[n].value = keep(report, note->value, sizeof(note->value));
		n += tags[n].key && tags[n].value;
	}
	report->annotations = tags;
	report->nannotations = n;
}

static int compare_crumbs(const void *a, const void *b)
{
	const struct epitaph_crumb *x = a, *y = b;

	return x->stamp < y->stamp ? -1 : x->stamp > y->stamp;
}

static void take_crumbs(struct epitaph_board *board, struct report *report)
{
	const char **texts =
		report_alloc(report, EPITAPH_CRUMBS * sizeof(*texts));
	size_t n = 0;

	qsort(board->crumbs, EPITAPH_CRUMBS, sizeof(board->crumbs[0]),
	      compare_crumbs);
	for (size_t i = 0; texts && i < EPITAPH_CRUMBS; i++) {
		const struct epitaph_crumb *crumb = &board->crumbs[i];

		if (crumb->stamp)
			texts[n++] = keep(report, crumb->text,
					  sizeof(crumb->text));
	}
	report->breadcrumbs = texts;
	report->nbreadcrumbs = n;
}

/* Where threads could not be stopped they may have written while we read: what
 * has the same stamp afterwards was whole. The others' becomes 0. */
static void blank_torn(struct epitaph_board *board,
		       const struct epitaph_board *again)
{
	for (size_t i = 0; i < EPITAPH_NOTES; i++) {
		if (!is_shown(board->notes[i].stamp, again->notes[i].stamp))
			board->notes[i].stamp = 0;
	}
	for (size_t i = 0; i < EPITAPH_CRUMBS; i++) {
		if (!is_shown(board->crumbs[i].stamp, again->crumbs[i].stamp))
			board->crumbs[i].stamp = 0;
	}
}

void crash_notes(struct crash *crash, struct report *report)
{
	uint64_t address = crash->record->board;
	size_t head = offsetof(struct epitaph_board, notes);
	struct epitaph_board *board = malloc(2 * sizeof(*board));

	if (board &&
	    crash_read(crash, address, board, head) == head &&
	    board->version == EPITAPH_VERSION &&
	    crash_read(crash, address, board, sizeof(*board)) ==
		    sizeof(*board) &&
	    crash_read(crash, address, board + 1, sizeof(*board)) ==
		    sizeof(*board)) {
		blank_torn(board, board + 1);
		take_notes(board, report);
		take_crumbs(board, report);
	}
	free(board);
}

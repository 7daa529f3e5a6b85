/* JSON text, written piece by piece. Every string goes through text_string(),
 * so what came from outside can neither end a string nor break UTF-8. */
#ifndef EPITAPH_COLLECTOR_TEXT_H
#define EPITAPH_COLLECTOR_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/report/bytes.h"

/* Length of the valid UTF-8 sequence that TEXT (LEN bytes) begins with, or 0
 * where it begins with none (overlong forms and surrogates included). */
size_t text_utf8(const char *text, size_t len);

/* Append formatted text as it is. */
void text_format(struct writer *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Append TEXT as it is. */
void text_put(struct writer *out, const char *text);

/* Append TEXT as a JSON string, quotes included; bytes that are no UTF-8
 * become U+FFFD. NULL is written as null. */
void text_string(struct writer *out, const char *text);
void text_string_len(struct writer *out, const char *text, size_t len);

/* Append MS since the epoch as a JSON string, "2026-11-20T12:00:00.123Z". */
void text_time(struct writer *out, int64_t ms);

/* The same without quotes into TO, which holds TEXT_TIME bytes. */
enum { TEXT_TIME = 32 };
void text_time_format(int64_t ms, char to[TEXT_TIME]);

/* Lower-case hex of BYTES into TO, which holds 2 * LEN + 1 bytes. */
void text_hex(const uint8_t *bytes, size_t len, char *to);

/* LEN bytes from 2 * LEN lower- or upper-case hex digits (TEXT need not be
 * terminated). False, TO unspecified, where one is not. */
bool text_unhex(const char *text, size_t len, uint8_t *to);

/* A UUID's 16 bytes as its 36 characters and a NUL. */
void text_uuid(const uint8_t id[16], char to[37]);

/* The 16 bytes of a UUID in text, dashes in their places. */
bool text_parse_uuid(const char *text, uint8_t id_out[16]);

/* Copy TEXT to TO (CAP bytes, at least 1), cut where it does not fit. */
void text_copy(char *to, size_t cap, const char *text);

#endif

/* UTF-8 as the kernel's paths and names have it, which is: not always. What
 * is not UTF-8 becomes U+FFFD, because UTF-16 and JSON have no place for it. */
#ifndef EPITAPH_REPORT_UTF_H
#define EPITAPH_REPORT_UTF_H

#include <stddef.h>
#include <stdint.h>

enum {
	UTF_REPLACEMENT = 0xfffd,
	UTF8_MAX = 4, /* bytes of one code point */
};

/* The code point at *POS of TEXT (LEN bytes, *POS < LEN), which is moved past
 * it: by one byte, and U+FFFD, where there is none. */
uint32_t utf8_next(const char *text, size_t len, size_t *pos);

/* Write CODE_POINT to TO and return how many bytes that took. Surrogates and
 * what is above U+10FFFF are written as U+FFFD. */
size_t utf8_put(uint32_t code_point, char to[UTF8_MAX]);

#endif

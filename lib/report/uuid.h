/* Report ids: UUIDv7 (RFC 9562, 5.7) in text. */
#ifndef EPITAPH_REPORT_UUID_H
#define EPITAPH_REPORT_UUID_H

#include <stdbool.h>
#include <stdint.h>

/* Text of a UUIDv7 of TIME_MS (since the epoch) and ten random bytes. */
void uuid_format(int64_t time_ms, const uint8_t random[10], char text_out[37]);

/* True for 36 characters of lower-case UUIDv7; *TIME_MS_OUT is then its
 * time. */
bool uuid_parse(const char *text, int64_t *time_ms_out);

#endif

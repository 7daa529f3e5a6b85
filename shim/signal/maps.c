/* /proc/self/maps, character by character: no line is held as a whole. */
#include "zone.h"

static uint64_t digit_of(char c)
{
	return (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10) & 15;
}

void map_take(struct map_line *line, char c)
{
	if (c == ' ' && line->field < 5)
		line->field++;
	else if (line->field == 0 && c == '-')
		line->past_dash = true;
	else if (line->field == 0 && !line->past_dash)
		line->start = line->start << 4 | digit_of(c);
	else if (line->field == 0)
		line->end = line->end << 4 | digit_of(c);
	else if (line->field == 1)
		line->executable |= c == 'x';
	else if (line->field == 2)
		line->offset = line->offset << 4 | digit_of(c);
	else if (line->field == 5 && (c == '/' || line->path))
		line->path = zone_mix(line->path, (uint8_t)c);
}

/* The record that a file ID.raw begins with, in words. Built for the machine
 * that the file is of, so that its layout is said once, in record.h. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../../shim/signal/record.h"

static struct crash_record record;

static void show_record(void)
{
	printf("magic %d\n", record.magic == RECORD_MAGIC &&
			     record.version == RECORD_VERSION &&
			     record.size == sizeof(record));
	printf("signal %d\ndeath %d\n", record.signal, record.death_signal);
	printf("first %u\ntier %u\n", record.first_fault, record.tier);
	printf("tid %x\ntp %lx\n", record.tid, (unsigned long)record.tcb);
	for (int i = 0; i < 31; i++)
		printf("x%d %lx\n", i,
		       (unsigned long)record.gregs[GREG_X0 + i]);
	printf("sp %lx\npc %lx\n", (unsigned long)record.gregs[GREG_SP],
	       (unsigned long)record.gregs[GREG_PC]);
}

/* The vector registers, from the records of extended state that LEN BYTES are:
 * only d8. */
static void show_state(const uint8_t *bytes, size_t len)
{
	uint32_t head[2];
	double d8;

	for (size_t at = 0; at + sizeof(head) <= len; at += head[1]) {
		memcpy(head, bytes + at, sizeof(head));
		if (head[0] == 0x46508001 && at + 528 <= len) { /* FPSIMD */
			memcpy(&d8, bytes + at + 16 + 8 * 16, sizeof(d8));
			printf("d8 %g\n", d8);
		}
		if (head[0] == 0 && head[1] == 0)
			printf("state ends\n");
		if (head[1] < sizeof(head))
			return;
	}
}

static void show_memory(const struct raw_head *head, const uint8_t *bytes)
{
	static bool shown;
	uint64_t sp = record.gregs[GREG_SP];

	if (head->address == record.xstate_at)
		show_state(bytes, head->len);
	if (shown || head->address > sp || sp - head->address >= head->len)
		return;
	shown = true;
	printf("stack %lx\n", (unsigned long)(sp - head->address));
}

int main(int argc, char **argv)
{
	static uint8_t bytes[1 << 20];
	struct raw_head head;
	FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;

	if (!file)
		return 2;
	while (fread(&head, sizeof(head), 1, file) == 1) {
		if (head.type == RAW_END)
			printf("end 1\n");
		if (head.len > sizeof(bytes) ||
		    fread(bytes, 1, head.len, file) != head.len)
			return 1;
		if (head.type == RAW_RECORD) {
			memcpy(&record, bytes, head.len < sizeof(record) ?
				       head.len : sizeof(record));
			show_record();
		}
		if (head.type == RAW_MEMORY)
			show_memory(&head, bytes);
	}
	return 0;
}

/* The bytes of one loaded ELF image, by the addresses that they had in the
 * process: from its memory, from a file, or one section held in memory. Used
 * by table.c. Headers are as hostile as everything else. */
#ifndef EPITAPH_UNWIND_IMAGE_H
#define EPITAPH_UNWIND_IMAGE_H

#include "memory.h"

enum {
	IMAGE_MAX_HEADERS = 64,  /* of a program header table */
	IMAGE_MAX_LOADS = 16,
};
#define IMAGE_MAX_SECTION ((size_t)64 << 20) /* libjvm's is 1.5 MB */

/* A PT_LOAD as the file has it, its address as the process had it. */
struct image_load {
	uint64_t address, offset, len;
};

struct image {
	struct memory *memory;  /* bytes are read there, or, if NULL, */
	int fd;                 /* from this file, or, if -1, */
	const uint8_t *section; /* from these bytes */
	size_t section_len;
	uint64_t section_at;    /* their address; 0: of one not loaded */
	uint8_t *owned;         /* what of them is ours to free, or NULL */
	uint64_t bias;          /* address in the process - vaddr */
	struct image_load loads[IMAGE_MAX_LOADS];
	size_t nloads;
	uint64_t eh_frame_hdr;  /* address; 0: none */
	uint64_t eh_frame_hdr_len;
};

/* Read the program headers of the image whose file offset 0 is mapped at BASE,
 * from MEMORY, or from FD where MEMORY is NULL. False where there is no ELF
 * image of ours. */
bool image_open(struct image *image, struct memory *memory, int fd,
		uint64_t base);

/* Load section NAME of FD, decompressed. IMAGE gets the file's bias, for the
 * same BASE. */
bool image_open_section(struct image *image, int fd, uint64_t base,
			const char *name);

/* A section of which nothing but its LEN bytes is there, which are borrowed. */
void image_open_bytes(struct image *image, const void *bytes, size_t len);

void image_close(struct image *image);

/* As memory_copy. */
size_t image_read(const struct image *image, uint64_t address, void *to,
		  size_t len);

/* Where the segment that holds ADDRESS ends, as far as the file fills it; 0
 * if none does. */
uint64_t image_segment_end(const struct image *image, uint64_t address);

#endif

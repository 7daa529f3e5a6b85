/* A C++ exception in the dead process's memory. */
#ifndef EPITAPH_HELPER_CXX_H
#define EPITAPH_HELPER_CXX_H

#include "crash.h"

enum { MAX_WHAT = 1024 };

/* cxx_what_x86_64.c: what a virtual function that has no arguments would return
 * for the object at OBJECT, where the code at CODE only fetches it: a constant,
 * a member, or the text of a std::string. Into TEXT_OUT (MAX_WHAT); false where
 * the code does anything else, or what it points to is no text. */
bool cxx_what(struct crash *crash, uint64_t code, uint64_t object,
	      char *text_out);

/* Whether the code shortly before PC takes the address of a text that begins
 * with WORDS. */
bool cxx_mentions(struct crash *crash, uint64_t pc, const char *words);

/* The text at ADDRESS, up to its NUL, into TEXT_OUT (MAX_WHAT, cut there).
 * False where there is none that can be printed. */
bool cxx_text(struct crash *crash, uint64_t address, char *text_out);
/* The same for a std::string at ADDRESS, of libstdc++ or of libc++, which has
 * to be one in all its fields. */
bool cxx_string(struct crash *crash, uint64_t address, char *text_out);

#endif

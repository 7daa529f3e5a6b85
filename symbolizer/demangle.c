/* Demangling by libiberty. Runs in the process that can be lost; the names
 * come from anybody's symbol tables. A few dozen mangled bytes can stand for
 * gigabytes of text (substitutions of substitutions), so the text is taken as
 * it is made, and the demangler is left as soon as the buffer is full. */
#include "demangle.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libiberty/demangle.h>

enum { OPTIONS = DMGL_PARAMS | DMGL_ANSI };

struct collector {
	char *out;
	size_t len;
	size_t cap;
	jmp_buf full;
};

typedef int callback_demangler(const char *, int, demangle_callbackref,
			       void *);

static void collect(const char *text, size_t len, void *opaque)
{
	struct collector *c = opaque;
	size_t room = c->cap - 1 - c->len;

	if (len <= room) {
		memcpy(c->out + c->len, text, len);
		c->len += len;
		return;
	}
	memcpy(c->out + c->len, text, room);
	memcpy(c->out + c->cap - 4, "...", 4);
	/* libiberty's callback demanglers keep their state on the stack, so
	 * leaving them this way loses nothing. */
	longjmp(c->full, 1);
}

static bool run(callback_demangler *demangler, const char *name, char *out,
		size_t cap)
{
	struct collector c = { .out = out, .cap = cap };

	if (setjmp(c.full))
		return true;
	if (!demangler(name, OPTIONS, collect, &c))
		return false;
	out[c.len] = '\0';
	return c.len > 0;
}

static int cplus(const char *name, int options, demangle_callbackref callback,
		 void *opaque)
{
	return cplus_demangle_v3_callback(name, options, callback, opaque);
}

static void copy(const char *text, char *out, size_t cap)
{
	size_t len = strnlen(text, cap);

	if (len < cap) {
		memcpy(out, text, len + 1);
		return;
	}
	memcpy(out, text, cap - 4);
	memcpy(out + cap - 4, "...", 4);
}

/* D has no callback demangler; its substitutions only refer back, so what it
 * makes stays in proportion to what it reads. */
static bool run_d(const char *name, char *out, size_t cap)
{
	char *text = dlang_demangle(name, OPTIONS);

	if (text == NULL)
		return false;
	copy(text, out, cap);
	free(text);
	return true;
}

/* Rust's older names are C++'s with a hash as their last part. */
static bool may_be_rust(const char *name)
{
	return name[1] == 'R' || (name[1] == 'Z' && strstr(name, "17h"));
}

void demangle(const char *name, char *out, size_t cap)
{
	if (strnlen(name, DEMANGLE_MAX_INPUT) < DEMANGLE_MAX_INPUT &&
	    name[0] == '_') {
		if (may_be_rust(name) &&
		    run(rust_demangle_callback, name, out, cap))
			return;
		if ((name[1] == 'Z' || name[1] == '_') &&
		    run(cplus, name, out, cap))
			return;
		if (name[1] == 'D' && run_d(name, out, cap))
			return;
	}
	copy(name, out, cap);
}

/* The library's functions call each other through stubs too, and are chosen by
 * a resolver. */
#include "lib.h"

unsigned lib_leaf(unsigned a);

unsigned lib_leaf(unsigned a)
{
	return a ^ 3;
}

unsigned lib_tail(unsigned a)
{
	return lib_leaf(a + 1);
}

unsigned lib_call(unsigned (*function)(unsigned), unsigned a)
{
	return function(lib_leaf(a)) + function(a) + lib_tail(a);
}

#ifndef NO_RESOLVERS
static unsigned choice(unsigned a)
{
	return a + lib_leaf(a);
}

static unsigned (*choose(void))(unsigned)
{
	return choice;
}

unsigned lib_chosen(unsigned a) __attribute__((ifunc("choose")));
#else
unsigned lib_chosen(unsigned a)
{
	return a;
}
#endif

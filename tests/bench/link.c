/* A library of bench/chain: one function that calls the next library's, among
 * a thousand others, so that its tables are of ordinary size. */
#include "link.h"

#define OTHER(n)                                                             \
	int other_##n(int *to, int count);                                   \
	int other_##n(int *to, int count)                                    \
	{                                                                    \
		volatile int room[1 + 1##n % 23] = { 0 };                    \
		for (int i = 0; i < count; i++)                              \
			to[i] = room[i % (1 + 1##n % 23)] + 1##n;            \
		return (1##n & 3) && count > 0 ? other_##n(to + 1, count - 1) \
						       + to[0]               \
					       : to[0];                      \
	}
#define TEN(n)                                                               \
	OTHER(n##0) OTHER(n##1) OTHER(n##2) OTHER(n##3) OTHER(n##4)          \
	OTHER(n##5) OTHER(n##6) OTHER(n##7) OTHER(n##8) OTHER(n##9)
#define HUNDRED(n)                                                           \
	TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4)                    \
	TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)

HUNDRED(0) HUNDRED(1) HUNDRED(2) HUNDRED(3) HUNDRED(4)

step_fn step;

void step(const struct chain *chain, unsigned at)
{
	volatile unsigned here = at;

	if (at + 1 < chain->to)
		chain->steps[at + 1](chain, at + 1);
	else
		chain->end();
	here = 0;
	(void)here;
}

HUNDRED(5) HUNDRED(6) HUNDRED(7) HUNDRED(8) HUNDRED(9)

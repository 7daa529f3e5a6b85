/* What bench/chain and its libraries share: a call that goes from one library
 * to the next. */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

struct chain {
	void (*const *steps)(const struct chain *chain, unsigned at);
	unsigned to; /* behind the last one */
	void (*end)(void);
};

typedef void step_fn(const struct chain *chain, unsigned at);

#endif

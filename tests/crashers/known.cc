/* Dies of a write through a null pointer, with these frames, innermost first:
 *
 *     known::credit      inlined, in libknown.so
 *     known::book        static
 *     known::Ledger::post
 *     Clerk::serve       inlined, in the executable
 *     work_through       static
 *     main
 *
 * A frame stays on the stack because its function still has work to do after
 * the call; without that, gcc would turn the call into a jump. With the word
 * "live" it only prints a sum. */
#include <cstdio>
#include <cstring>

#include "known.h"

#ifdef KNOWN_REBUILT
__attribute__((used, noinline)) static long padding(long n)
{
	volatile long product = 1;
	for (long i = 1; i < n; i++)
		product = product * i;
	return product;
}
#endif

struct Clerk {
	known::Ledger ledger;

	__attribute__((always_inline)) inline long
	serve(known::Account *account, long amount)
	{
		long balance = ledger.post(account, amount);
		return balance * 2;
	}
};

static __attribute__((noinline)) long
work_through(Clerk *clerk, known::Account *account, int customers)
{
	long sum = 0;
	for (int i = 0; i < customers; i++)
		sum += clerk->serve(account, 100 + i);
	return sum;
}

int main(int argc, char **argv)
{
	Clerk clerk;
	known::Account account = {{0}, 7};
	bool live = argc > 1 && std::strcmp(argv[1], "live") == 0;
	long sum = work_through(&clerk, live ? &account : nullptr, 3);
	std::printf("%ld\n", sum);
	return 0;
}

/* The shared library of known.cc. */
#include "known.h"

namespace known
{

#ifdef KNOWN_REBUILT
/* Another build: other code in front, so other addresses. */
__attribute__((used, noinline)) static long padding(long n)
{
	volatile long sum = 0;
	for (long i = 0; i < n; i++)
		sum = sum + i * n;
	return sum;
}
#endif

static inline __attribute__((always_inline)) void
credit(Account *account, long amount)
{
	account->months[amount % 12] += amount;
	account->balance += amount;
}

static __attribute__((noinline)) long book(Account *account, long amount)
{
	credit(account, amount);
	return account->balance;
}

long Ledger::post(Account *account, long amount)
{
	entries++;
	long balance = book(account, amount);
	return balance + entries;
}

} // namespace known

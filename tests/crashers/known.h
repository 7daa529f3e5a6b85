/* A program whose frames are known: known.cc calls the library of
 * known_lib.cc, and both hold a function that is inlined and one that is
 * static. */
#ifndef KNOWN_H
#define KNOWN_H

namespace known
{

struct Account {
	long months[12];
	long balance;
};

class Ledger
{
      public:
	/* Books AMOUNT to ACCOUNT, and so dies where there is none. */
	__attribute__((noinline)) long post(Account *account, long amount);

      private:
	long entries = 0;
};

} // namespace known

#endif

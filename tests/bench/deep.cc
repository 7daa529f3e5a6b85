// Dies twenty calls deep, in one of a hundred functions of different names, so
// that each death is another bug:
//
//     deep NUMBER
//
// Says CLOCK_MONOTONIC in microseconds before it does.
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace deep {

static volatile int sink;

static void tell_time()
{
	timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	std::printf("%lld\n", now.tv_sec * 1000000LL + now.tv_nsec / 1000);
	std::fflush(stdout);
}

using function = int (*)(int *);

static int level_0(function last, int *nowhere)
{
	return last(nowhere) + 1;
}

// Of names of their own: what calls itself counts once.
#define LEVEL(name, next)                                                 \
	__attribute__((noinline)) static int name(function last, int *to) \
	{                                                                 \
		int result = next(last, to);                              \
									  \
		sink = result;                                            \
		return result + 1;                                        \
	}

LEVEL(alpha, level_0) LEVEL(beta, alpha) LEVEL(gamma, beta)
LEVEL(delta, gamma) LEVEL(epsilon, delta) LEVEL(zeta, epsilon)
LEVEL(eta, zeta) LEVEL(theta, eta) LEVEL(iota, theta) LEVEL(kappa, iota)
LEVEL(lambda, kappa) LEVEL(mu, lambda) LEVEL(nu, mu) LEVEL(xi, nu)
LEVEL(omicron, xi) LEVEL(pi, omicron) LEVEL(rho, pi) LEVEL(sigma, rho)

#define FAULT(name)                                             \
	__attribute__((noinline)) static int name(int *nowhere) \
	{                                                       \
		tell_time();                                    \
		return *nowhere;                                \
	}

#define TEN(each, name)                                                   \
	each(name##a) each(name##b) each(name##c) each(name##d)           \
	each(name##e) each(name##f) each(name##g) each(name##h)           \
	each(name##i) each(name##j)

#define ALL(each)                                                         \
	TEN(each, fault_a) TEN(each, fault_b) TEN(each, fault_c)          \
	TEN(each, fault_d) TEN(each, fault_e) TEN(each, fault_f)          \
	TEN(each, fault_g) TEN(each, fault_h) TEN(each, fault_i)          \
	TEN(each, fault_j)

ALL(FAULT)

#define NAME(name) name,

static const function ways[] = { ALL(NAME) };

} // namespace deep

int main(int argc, char **argv)
{
	long way = argc > 1 ? std::strtol(argv[1], nullptr, 10) % 100 : 0;

	return deep::sigma(deep::ways[way], nullptr);
}

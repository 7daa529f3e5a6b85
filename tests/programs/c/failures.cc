// glog's and abseil's failure handlers, in turn.
#ifdef USE_GLOG
#include <glog/logging.h>
#else
#include "absl/debugging/failure_signal_handler.h"
#include "absl/debugging/symbolize.h"
#endif
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

static void fault()
{
	*reinterpret_cast<volatile int *>(16) = 1;
}

__attribute__((noinline)) static int deep(int n)
{
	volatile char big[4096];

	big[n % 4096] = static_cast<char>(n);
	return deep(n + 1) + big[n % 4096];
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

#ifdef USE_GLOG
	google::InitGoogleLogging(argv[0]);
	google::InstallFailureSignalHandler();
#else
	absl::InitializeSymbolizer(argv[0]);
	absl::InstallFailureSignalHandler(absl::FailureSignalHandlerOptions());
#endif
	if (!strcmp(word, "fault"))
		fault();
	if (!strcmp(word, "thread"))
		std::thread(fault).join();
	if (!strcmp(word, "deep"))
		return deep(0);
	if (!strcmp(word, "throw"))
		throw std::runtime_error("nobody catches");
#ifdef USE_GLOG
	if (!strcmp(word, "check"))
		CHECK_EQ(argc, 0) << "a check";
#endif
	abort();
}

// glog's failure signal handler, preloaded: what its users have.
#include <glog/logging.h>

namespace {

struct Install {
	Install()
	{
		google::InitGoogleLogging("die");
		google::InstallFailureSignalHandler();
	}
} install;

} // namespace

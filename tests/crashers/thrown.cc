// Ends by an exception that nobody catches: `thrown NAME`. Built in several
// ways by the tests. C++11, so that any compiler will do.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <ios>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#define ALONE __attribute__((noinline))

namespace shop {

struct Constant : std::exception {
	const char *what() const noexcept override { return "always this"; }
};

struct Member : std::exception {
	std::string text;
	explicit Member(const std::string &t) : text(t) {}
	const char *what() const noexcept override { return text.c_str(); }
};

struct Pointer : std::exception {
	const char *text = "by pointer";
	const char *what() const noexcept override { return text; }
};

// What what() says is not what it holds: nothing may be said of it.
struct Computed : std::exception {
	std::string text = "not this";
	const char *what() const noexcept override
	{
		return std::getenv("HOME") ? text.c_str() + 4 : "";
	}
};

struct Derived : std::runtime_error {
	long more = 7;
	explicit Derived(const std::string &t) : std::runtime_error(t) {}
};

struct Other {
	virtual ~Other() {}
	long before = 1;
};

struct Second : Other, std::logic_error {
	Second() : std::logic_error("the second base") {}
};

struct Virtual : virtual std::runtime_error {
	Virtual() : std::runtime_error("a virtual base") {}
};

struct Plain {
	int value = 3;
};

enum Code { NONE, SOME };

} // namespace shop

struct Shape {
	Shape() { show(); }
	virtual ~Shape() {}
	void show();
	virtual void draw() = 0;
};

ALONE void Shape::show()
{
	draw();
}

struct Circle : Shape {
	void draw() override {}
};

#pragma GCC diagnostic ignored "-Wterminate"
#ifdef __clang__
#pragma clang diagnostic ignored "-Wexceptions"
#endif
ALONE static void promise() noexcept
{
	throw std::runtime_error("past a noexcept");
}

ALONE static void rethrow()
{
	try {
		throw std::range_error("once more");
	} catch (const std::exception &) {
		throw;
	}
}

ALONE static void pass_on()
{
	std::exception_ptr kept;

	try {
		throw std::invalid_argument("kept for later");
	} catch (...) {
		kept = std::current_exception();
	}
	std::rethrow_exception(kept);
}

static void in_thread()
{
	throw std::out_of_range("in a thread");
}

// Caught, and dead for another reason.
ALONE static void caught()
{
	try {
		throw std::runtime_error("was caught");
	} catch (const std::exception &) {
		std::abort();
	}
}

// Another exception was thrown, caught and is gone.
ALONE static void after()
{
	try {
		throw std::runtime_error("is gone");
	} catch (const std::exception &) {
	}
	std::terminate();
}

// While one is caught, another is thrown in vain.
ALONE static void nested()
{
	try {
		throw std::runtime_error("the first");
	} catch (const std::exception &) {
		throw std::runtime_error("the second");
	}
}

struct Unwinding {
	// noexcept, as every destructor
	~Unwinding() { throw std::runtime_error("from a destructor"); }
};

ALONE static void destroy()
{
	Unwinding object;
}

ALONE static void end_by(const std::string &name)
{
	if (name == "after") after();
	if (name == "bad-alloc") throw std::bad_alloc();
	if (name == "bool") throw true;
	if (name == "caught") caught();
	if (name == "char-pointer") throw "a literal";
	if (name == "computed") throw shop::Computed();
	if (name == "constant") throw shop::Constant();
	if (name == "derived") throw shop::Derived("derived from " + name);
	if (name == "destroy") destroy();
	if (name == "double") throw 2.5;
	if (name == "enum") throw shop::SOME;
	if (name == "failure") throw std::ios_base::failure("no stream");
	if (name == "int") throw -42;
	if (name == "long-text") throw std::logic_error(std::string(3000, 'x'));
	if (name == "member") throw shop::Member("a text long enough for heap");
	if (name == "member-short") throw shop::Member("short");
	if (name == "nested") nested();
	if (name == "noexcept") promise();
	if (name == "none") { std::thread thread([] {}); }
	if (name == "odd-text") throw std::runtime_error("a\x01\x02z");
	if (name == "pass-on") pass_on();
	if (name == "plain") throw shop::Plain();
	if (name == "pointer") throw shop::Pointer();
	if (name == "pure") Circle();
	if (name == "rethrow") rethrow();
	if (name == "runtime") throw std::runtime_error("it broke");
	if (name == "second") throw shop::Second();
	if (name == "string") throw std::string("a string that is on the heap");
	if (name == "system")
		throw std::system_error(ENOENT, std::generic_category(), "x");
	if (name == "thread") std::thread(in_thread).join();
	if (name == "unsigned") throw 42u;
	if (name == "virtual") throw shop::Virtual();
}

int main(int argc, char **argv)
{
	if (argc > 1)
		end_by(argv[1]);
	return 2;
}

/* C++: exceptions through frames with something to destroy, virtual functions,
 * containers, and a handler that throws again. */
#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

volatile unsigned sink;

struct Counted {
	~Counted() { sink = sink + 1; }
};

struct Shape {
	virtual ~Shape() = default;
	virtual unsigned sides(unsigned n) const = 0;
};

struct Base {
	virtual ~Base() = default;
	virtual unsigned more() const { return 1; }
};

struct Square : Base, Shape {
	unsigned sides(unsigned n) const override { return n ? 4 : 0; }
	unsigned more() const override { return 2; }
};

[[gnu::noinline]] unsigned thrower(unsigned n)
{
	Counted counted;

	if (n == 0)
		throw std::runtime_error("thrown");
	return thrower(n - 1) + 1;
}

[[gnu::noinline]] unsigned passer(unsigned n)
{
	std::string text(40, 'x');

	try {
		return thrower(n) + static_cast<unsigned>(text.size());
	} catch (const std::logic_error &) {
		return 0;
	} catch (...) {
		Counted counted;

		throw;
	}
}

[[gnu::noinline]] unsigned catcher(unsigned n)
{
	try {
		return passer(n);
	} catch (const std::exception &error) {
		return static_cast<unsigned>(error.what()[0]);
	}
}

[[gnu::noinline]] unsigned contained()
{
	std::vector<int> values;
	std::map<std::string, int> names;

	for (int i = 0; i < 12; i++)
		values.push_back(i * 5 % 12);
	std::sort(values.begin(), values.end(),
		  [](int a, int b) { return a > b; });
	for (int value : values)
		names[std::to_string(value)] = value;
	return static_cast<unsigned>(names.size());
}

} // namespace

int main()
{
	std::unique_ptr<Shape> shape = std::make_unique<Square>();
	std::function<unsigned(unsigned)> call = [&](unsigned n) {
		return shape->sides(n) +
		       (dynamic_cast<Base *>(shape.get())->more());
	};

	sink = call(3) + contained();
	for (unsigned n = 0; n < 3; n++)
		sink = sink + catcher(n);
	std::puts("done");
	return 0;
}

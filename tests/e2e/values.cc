/* Classes, references, templates and lambdas, with members of the standard
 * library, for test_values.py. It ends in abort(). */
#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ns {

enum class Color : uint8_t { Red, Green = 7 };
enum Plain { One = 1, Two = 2 };

struct Empty {};

struct Base {
	int a = 1;
	static int count;
	virtual ~Base() {}
	virtual int f(int x) { return x + a; }
protected:
	short s = 3;
};

int Base::count = 9;

struct Other {
	double d = 1.5;
};

struct Derived : public Base, Other {
	Color color = Color::Green;
	int &reference;
	const char *name = "derived";

	Derived(int x, int &y) : reference(y) { a = x; }
	int f(int x) override;
};

template <typename T> struct Box {
	T value;
	Box *next;
	T get(int n) const;
};

template <typename T> struct Sub : Empty, Box<T> {
	bool flag : 1;
	unsigned n : 4;
};

struct OnlyBase : Base {};

class Private {
	int hidden = 5;
	union {
		int i;
		char c[4];
	} u = { 0x41424344 };
public:
	int get(const Private &other, Private &&moved) const;
};

} // namespace ns

static volatile int sink;

__attribute__((noinline)) static void keep(const void *p)
{
	sink += p != nullptr;
}

__attribute__((noinline)) static int die(int n)
{
	if (n > -100)
		abort();
	return n;
}

int ns::Derived::f(int x)
{
	auto add = [this, x](int y) {
		keep(this);
		return die(x + y + a);
	};

	keep(&x);
	return add(x * 2) + a;
}

template <typename T> T ns::Box<T>::get(int n) const
{
	T copy = value;
	int i = n;
	Derived d(n, i);
	Derived *p = &d;

	keep(&copy);
	keep(&p);
	return copy + (T)p->f(n);
}

int ns::Private::get(const Private &other, Private &&moved) const
{
	Box<short> box{7, nullptr};

	keep(&other);
	return box.get(hidden + moved.hidden) + box.value;
}

static int views(std::string_view view, const std::vector<int> &vector)
{
	ns::Private p, q;
	std::optional<int> perhaps = 5;

	keep(&p);
	keep(&perhaps);
	return p.get(q, std::move(q)) + (int)view.size() + vector[0] + *perhaps;
}

using Function = int (*)(std::string_view, const std::vector<int> &);

static int strings(std::string own, const std::string &lent,
		   std::string &&given, Function function)
{
	std::vector<int> vector{1, 2, 3};
	std::map<int, std::string> map{{1, "x"}};
	std::unique_ptr<int> pointer(new int(4));
	std::array<int, 3> array{1, 2, 3};

	keep(&array);
	keep(&map);
	keep(&pointer);
	keep(&given);
	return function(own, vector) + (int)lent.size();
}

struct Local {
	int q;

	int operator()(int x, ns::Color color, ns::Plain plain) const
	{
		ns::Sub<double> sub;
		ns::OnlyBase only;
		std::string text = "tiny";

		sub.value = 1.25;
		sub.next = nullptr;
		sub.flag = true;
		sub.n = 9;
		keep(&sub);
		keep(&only);
		return strings(text, text, std::string("moved"), views) + x +
		       (int)color + plain + q;
	}
};

int main(int argc, char **)
{
	Local local{argc};
	bool is_alone = argc == 1;
	char16_t wide = u'x';
	auto call = [&](auto x) {
		return local(x, ns::Color::Red, ns::Two);
	};

	try {
		return call(argc + 1) + is_alone + wide;
	} catch (int &x) {
		return x;
	}
}

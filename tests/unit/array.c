/* Arrays that grow, and sorting. */
#include "../../symbolizer/array.h"
#include "test.h"

struct item {
	unsigned key, order;
	char filler[4]; /* so that the size is no power of two */
};

static int by_key(const void *left, const void *right)
{
	const struct item *a = left, *b = right;

	return a->key < b->key ? -1 : a->key > b->key;
}

typedef unsigned key_of(unsigned i, unsigned n);

static unsigned ascending(unsigned i, unsigned n)
{
	(void)n;
	return i;
}

static unsigned descending(unsigned i, unsigned n)
{
	return n - i;
}

static unsigned equal(unsigned i, unsigned n)
{
	(void)i;
	(void)n;
	return 7;
}

static unsigned runs_of_ten(unsigned i, unsigned n)
{
	(void)n;
	return i % 10;
}

static unsigned last_first(unsigned i, unsigned n)
{
	return i + 1 == n ? 0 : i + 1;
}

static unsigned scattered(unsigned i, unsigned n)
{
	(void)n;
	return i * 2654435761u >> 20;
}

static void check_sort(key_of *key, unsigned n)
{
	struct item *items = calloc(n + 1, sizeof(*items));

	for (unsigned i = 0; i < n; i++)
		items[i] = (struct item){ .key = key(i, n), .order = i };
	CHECK(array_sort(items, n, sizeof(*items), by_key));
	for (unsigned i = 1; i < n; i++) {
		CHECK(items[i - 1].key <= items[i].key);
		if (items[i - 1].key == items[i].key)
			CHECK(items[i - 1].order < items[i].order);
	}
	for (unsigned i = 0; i < n; i++) /* each is still there */
		CHECK_NUMBER(items[i].key, key(items[i].order, n));
	free(items);
}

static void sorting(void)
{
	static key_of *const keys[] = {
		ascending, descending, equal, runs_of_ten, last_first,
		scattered,
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		for (unsigned n = 0; n < 70; n++)
			check_sort(keys[i], n);
		check_sort(keys[i], 10007);
	}
}

static size_t compared;

static int counting(const void *left, const void *right)
{
	compared++;
	return by_key(left, right);
}

/* Tables of addresses mostly are in order already: that costs one look. */
static void sorted_already(void)
{
	enum { N = 100000 };
	struct item *items = calloc(N, sizeof(*items));

	for (unsigned i = 0; i < N; i++)
		items[i].key = i;
	compared = 0;
	CHECK(array_sort(items, N, sizeof(*items), counting));
	CHECK(compared < N);
	items[N / 2].key = 0; /* three runs */
	compared = 0;
	CHECK(array_sort(items, N, sizeof(*items), counting));
	CHECK(compared < 8 * N);
	free(items);
}

static void growing(void)
{
	size_t cap = 0, grown = 0;
	uint32_t *numbers = NULL;

	for (uint32_t i = 0; i < 1000; i++) {
		size_t before = cap;

		numbers = array_grow(numbers, i, &cap, sizeof(*numbers));
		if (!CHECK(numbers && cap > i))
			return;
		grown += cap != before;
		numbers[i] = i;
	}
	CHECK(grown < 10);
	for (uint32_t i = 0; i < 1000; i++)
		CHECK_NUMBER(numbers[i], i);
	CHECK(array_grow(numbers, cap, &cap, SIZE_MAX / 1000) == NULL);
	CHECK_NUMBER(numbers[999], 999);
	free(numbers);
}

static const struct test tests[] = {
	{ "items are sorted, and equals keep their order", sorting },
	{ "what is sorted already costs one look", sorted_already },
	{ "an array grows by doubling, and stays where it cannot", growing },
};

int main(void)
{
	return TEST_RUN(tests);
}

/* Cycles found in the frames of deep stacks, whole and with their middle left
 * out. */
#include "../../lib/report/repeat.h"
#include "test.h"

static struct frame frames[MAX_FRAMES];
static struct repeat repeats[REPEAT_MAX];

/* Frame number I of a stack: HEAD different ones, then TIMES times PERIOD, then
 * different ones again. */
static uint64_t pc_at(uint64_t i, uint64_t head, uint64_t period,
		      uint64_t times)
{
	if (i < head || i >= head + period * times)
		return 1000000 + i;
	return 1 + (i - head) % period;
}

static size_t find(uint64_t depth, uint64_t head, uint64_t period,
		   uint64_t times)
{
	struct thread thread = { .frames = frames, .depth = depth };
	uint64_t left_out = depth > MAX_FRAMES ? depth - MAX_FRAMES : 0;

	thread.nframes = (size_t)(depth - left_out);
	for (size_t i = 0; i < thread.nframes; i++)
		frames[i].pc = pc_at(i < thread.nframes / 2 ? i : i + left_out,
				     head, period, times);
	return repeat_find(&thread, repeats);
}

static void check_one(uint64_t depth, size_t head, size_t period,
		      uint64_t times)
{
	if (!CHECK_NUMBER(find(depth, head, period, times), 1))
		return;
	CHECK_NUMBER(repeats[0].first, head);
	CHECK_NUMBER(repeats[0].length, period);
	CHECK_NUMBER(repeats[0].times, times);
}

static void test_whole(void)
{
	check_one(40, 3, 1, 30);
	check_one(200, 10, 7, 20);
	check_one(64 * 15 + 64 + 3, 0, 64, 16);
}

/* The head that does not repeat, and every phase of the cycle at the cut. */
static void test_left_out(void)
{
	for (size_t period = 1; period <= 64; period++) {
		uint64_t times = 100000 / period;

		check_one(10 + period * times + 5, 10, period, times);
		check_one(11 + period * times + 5, 11, period, times);
	}
}

static void test_end_in_middle(void)
{
	/* It begins in what was kept and ends in what was not. */
	if (CHECK_NUMBER(find(20000, 12, 2, 1000), 1))
		CHECK_NUMBER(repeats[0].times, (512 - 12) / 2);
}

static void test_none(void)
{
	CHECK_NUMBER(find(100, 0, 1, 0), 0);
	CHECK_NUMBER(find(100, 5, 2, 15), 0);
	CHECK_NUMBER(find(2000, 3, 65, 20), 0);
	CHECK_NUMBER(find(0, 0, 1, 0), 0);
}

static void test_odd(void)
{
	struct thread thread = { .frames = frames, .nframes = 100,
				 .depth = UINT64_MAX };

	find(100, 0, 1, 100);
	CHECK_NUMBER(repeat_find(&thread, repeats), 1);
	CHECK_NUMBER(repeats[0].times, UINT64_MAX);
	thread.depth = 3;
	CHECK_NUMBER(repeat_find(&thread, repeats), 1);
	CHECK_NUMBER(repeats[0].times, 100);
}

static const struct test tests[] = {
	{ "a cycle is found wherever it begins", test_whole },
	{ "and through the middle that was left out", test_left_out },
	{ "one that ends there is as long as can be seen",
	  test_end_in_middle },
	{ "a few times, or too many functions, are no cycle", test_none },
	{ "a depth that cannot be is taken as it is", test_odd },
};

int main(void)
{
	return TEST_RUN(tests);
}

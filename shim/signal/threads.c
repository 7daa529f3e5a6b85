/* The registry of threads: a slot per thread that our pthread_create wrapper
 * started, found by tid, without locks and without TLS. A slot is given back
 * by nobody: it is taken again once its tid exists no more, because only then
 * can nothing run on its alternate stack, not even the last TLS destructor. */
#include "zone.h"

enum {
	SLOT_FREE = 0,
	SLOT_TAKEN = -1,
	PROBES = 8,     /* slots looked at before a new one is opened */
	HINTS = 4096,
};

static _Atomic uint32_t cursor;

/* Where the slot of a tid was last: by its low bits, a slot's number plus 1. */
static _Atomic uint16_t hints[HINTS];
/* The same of an alternate stack, by its address. */
static _Atomic uint16_t stacks[HINTS];

void watch_forks(void)
{
	if (atomic_load(&zone.watching))
		return;
	sys3(madvise, zone_wiped, sizeof(zone_wiped), 18 /* WIPEONFORK */);
	atomic_store(&zone_wiped[0], 1);
	atomic_store(&zone.watching, true);
}

bool is_unforked(void)
{
	return atomic_load(&zone.watching) && atomic_load(&zone_wiped[0]);
}

bool is_orphan(void)
{
	return zone.orphan || (atomic_load(&zone.watching) &&
			       !atomic_load(&zone_wiped[0]));
}

int slot_find(int32_t tid)
{
	uint32_t n = atomic_load(&zone.nslots);
	uint32_t hint = atomic_load_explicit(&hints[(uint32_t)tid % HINTS],
					     memory_order_relaxed);

	if (hint && atomic_load_explicit(&zone.tids[hint - 1],
					 memory_order_relaxed) == tid)
		return (int)hint - 1;
	for (uint32_t i = 0; i < n; i++) {
		if (atomic_load_explicit(&zone.tids[i],
					 memory_order_relaxed) != tid)
			continue;
		atomic_store_explicit(&hints[(uint32_t)tid % HINTS],
				      (uint16_t)(i + 1), memory_order_relaxed);
		return (int)i;
	}
	return -1;
}

/* The slot of the alternate stack at STACK, or -1. */
static int slot_of_stack(uintptr_t stack)
{
	uint32_t n = atomic_load(&zone.nslots);
	_Atomic uint16_t *at = &stacks[stack / ZONE_PAGE % HINTS];
	uint32_t hint = atomic_load_explicit(at, memory_order_relaxed);

	if (hint && zone.slots[hint - 1].stack == stack)
		return (int)hint - 1;
	for (uint32_t i = 0; stack && i < n; i++) {
		if (zone.slots[i].stack != stack)
			continue;
		atomic_store_explicit(at, (uint16_t)(i + 1),
				      memory_order_relaxed);
		return (int)i;
	}
	return -1;
}

bool is_own_stack(const void *stack)
{
	return stack == zone_stacks.alternate ||
	       slot_of_stack((uintptr_t)stack) >= 0;
}

/* A stack stays with its slot, and is one thread's at a time. */
int slot_on_stack(const void *stack)
{
	int slot;

	if (!is_unforked())
		return slot_current();
	if (stack != zone_stacks.alternate)
		return slot_of_stack((uintptr_t)stack);
	slot = atomic_load(&zone.main_slot) - 1;
	if (slot < 0) {
		slot = slot_current();
		atomic_store(&zone.main_slot, slot + 1);
	}
	return slot;
}

int32_t find_own_tid(void)
{
	char path[64]; /* PID/task/TID */
	long n = sys_readlink("/proc/thread-self", path, sizeof(path) - 1);

	for (path[n > 0 ? n : 0] = '\0'; n > 0; n--) {
		if (path[n - 1] == '/')
			return take_number(&path[n]);
	}
	return -1;
}

/* A signal that there is not tells just that, before the kernel asks who may
 * send what to whom. */
bool is_thread(int32_t pid, int32_t tid)
{
	return sys3(tgkill, pid, tid, -1) != -3 /* ESRCH */;
}

static bool take_dead(uint32_t i)
{
	int32_t tid = atomic_load(&zone.tids[i]);
	int32_t pid = atomic_load(&zone.pid);

	if (tid < 0)
		return false;
	if (tid > 0 && is_thread(pid, tid))
		return false;
	return atomic_compare_exchange_strong(&zone.tids[i], &tid, SLOT_TAKEN);
}

/* The slot of the calling thread's tid is trusted where we have not been forked
 * unnoticed: a tid names one thread of the system, and the child of a fork
 * starts with the page wiped. */
int slot_current(void)
{
	int32_t tid = own_tid();
	int slot = is_unforked() ? slot_find(tid) : -1;

	if (slot >= 0)
		return slot;
	notice_fork();
	return slot_find(tid);
}

/* Threads that are gone may have left a slot with the same pointer. */
int slot_of_pointer(uintptr_t thread)
{
	uint32_t n = atomic_load(&zone.nslots);
	int32_t pid = atomic_load(&zone.pid);
	int found = -1;

	for (uint32_t i = 0; i < n; i++) {
		int32_t tid = atomic_load(&zone.tids[i]);

		if (tid <= 0 || zone.slots[i].thread != thread)
			continue;
		found = (int)i;
		if (is_thread(pid, tid))
			break;
	}
	return found;
}

static int clean(uint32_t i)
{
	zone.slots[i].mask = 0;
	zone.slots[i].held = 0;
	zone.slots[i].small = 0;
	zone.slots[i].room_from = zone.slots[i].room_to = 0;
	return (int)i;
}

int slot_take(void)
{
	uint32_t n = atomic_load(&zone.nslots);
	int32_t empty = SLOT_FREE;

	watch_forks();

	for (uint32_t probe = 0; n && probe < PROBES && probe < n; probe++) {
		uint32_t i = atomic_fetch_add(&cursor, 1) % n;

		if (take_dead(i))
			return clean(i);
	}
	while (n < ZONE_MAX_THREADS) {
		if (!atomic_compare_exchange_strong(&zone.nslots, &n, n + 1))
			continue;
		if (atomic_compare_exchange_strong(&zone.tids[n], &empty,
						   SLOT_TAKEN))
			return clean(n);
		return -1;
	}
	return -1;
}

void slot_own(int slot, int32_t tid, uintptr_t thread)
{
	int old = slot_find(tid);

	if (old >= 0 && old != slot) /* of a thread that is gone */
		atomic_store(&zone.tids[old], SLOT_FREE);
	if (zone.slots[slot].fault)
		zone.faults[zone.slots[slot].fault].signal = 0;
	zone.slots[slot].thread = thread;
	atomic_store(&zone.tids[slot], tid);
}

void read_own_name(char name_out[16])
{
	name_out[0] = '\0';
	if (!zone.filtered)
		sys2(prctl, 16 /* PR_GET_NAME */, name_out);
}

void slot_free(int slot)
{
	atomic_store(&zone.tids[slot], SLOT_FREE);
}

/* The child of a fork has one thread, with a tid that no slot knows, but with
 * the thread pointer of the one that forked: that slot, its alternate stack and
 * mask are its own. A thread without one is on none of the slots' stacks. */
static void start_anew(int32_t pid)
{
	int own = slot_of_pointer(thread_pointer());
	int32_t tid = (int32_t)sys0(gettid);
	uint32_t n = atomic_load(&zone.nslots);

	for (uint32_t i = 0; i < n; i++)
		atomic_store(&zone.tids[i], SLOT_FREE);
	if (own >= 0) {
		atomic_store(&zone.tids[own], tid);
		zone.slots[own].fault = 0; /* it is our parent's */
	}
	for (int i = 0; i < CLAIMED_COUNT; i++) {
		if (atomic_load(&zone.actions[i].sequence) & 1)
			atomic_fetch_add(&zone.actions[i].sequence, 1);
	}
	atomic_store(&zone.main_slot, 0);
	atomic_store(&zone.claim, 0);
	atomic_store(&zone.gate, GATE_DEAD);
	atomic_store(&zone.pid, pid);
	zone.orphan |= atomic_load(&zone.watching);
	if (atomic_load(&zone.watching))
		atomic_store(&zone_wiped[0], 1);
}

/* Whether PARENT's memory is ours: the page says so, or else the kernel. Where
 * it does not, ours is taken to be our own. */
static bool shares_memory(int32_t pid, int32_t parent)
{
	if (atomic_load(&zone.watching))
		return atomic_load(&zone_wiped[0]);
	return sys5(kcmp, pid, parent, 1 /* KCMP_VM */, 0, 0) == 0;
}

bool notice_fork(void)
{
	int32_t pid = (int32_t)sys0(getpid), parent;

	if (pid == atomic_load(&zone.pid) || pid < 0)
		return false;
	/* Shared: a vfork child, whose parent is the one that we know. Or that
	 * one was itself a vfork child of ours, unnoticed till then. */
	parent = (int32_t)sys0(getppid);
	if (parent == atomic_load(&zone.pid) && shares_memory(pid, parent))
		return true;
	start_anew(pid);
	return false;
}

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
					 memory_order_relaxed) == tid)
			return (int)i;
	}
	return -1;
}

bool is_own_stack(const void *stack)
{
	uint32_t n = atomic_load(&zone.nslots);

	if (stack == zone_stacks.alternate)
		return true;
	for (uint32_t i = 0; stack && i < n; i++) {
		if (zone.slots[i].stack == (uintptr_t)stack)
			return true;
	}
	return false;
}

static bool take_dead(uint32_t i)
{
	int32_t tid = atomic_load(&zone.tids[i]);
	int32_t pid = atomic_load(&zone.pid);

	if (tid < 0)
		return false;
	if (tid > 0 && sys3(tgkill, pid, tid, 0) != -3 /* ESRCH */)
		return false;
	return atomic_compare_exchange_strong(&zone.tids[i], &tid, SLOT_TAKEN);
}

/* The slot of the calling thread's tid is trusted where we have not been forked
 * unnoticed: a tid names one thread of the system, and the child of a fork
 * starts with the page wiped. */
int slot_current(void)
{
	int32_t tid = (int32_t)sys0(gettid);
	int slot = atomic_load(zone.wiped) ? slot_find(tid) : -1;

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
		if (sys3(tgkill, pid, tid, 0) == 0)
			break;
	}
	return found;
}

static int clean(uint32_t i)
{
	zone.slots[i].mask = 0;
	zone.slots[i].held = 0;
	zone.slots[i].small = 0;
	return (int)i;
}

int slot_take(void)
{
	uint32_t n = atomic_load(&zone.nslots);
	int32_t empty = SLOT_FREE;

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
	if (thread && !zone.filtered)
		sys2(prctl, 16 /* PR_GET_NAME */, zone.slots[slot].name);
	atomic_store(&zone.tids[slot], tid);
	atomic_store_explicit(&hints[(uint32_t)tid % HINTS],
			      (uint16_t)(slot + 1), memory_order_relaxed);
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
	atomic_store(&zone.claim, 0);
	atomic_store(&zone.gate, GATE_DEAD);
	atomic_store(&zone.pid, pid);
	atomic_store(zone.wiped, 1);
}

bool notice_fork(void)
{
	int32_t pid = (int32_t)sys0(getpid);

	if (pid == atomic_load(&zone.pid) || pid < 0)
		return false;
	/* Not wiped: a vfork child, whose parent is the one that we know. Or
	 * that one was itself a vfork child of ours, unnoticed till then. */
	if (atomic_load(zone.wiped) &&
	    (int32_t)sys0(getppid) == atomic_load(&zone.pid))
		return true;
	start_anew(pid);
	return false;
}

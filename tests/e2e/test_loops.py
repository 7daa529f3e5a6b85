"""Crash loops: so many reports of one kind in a minute, the rest counted, and
no crash lost or counted twice on its way to the collector."""

import contextlib
import ctypes
import os
import pathlib
import signal
import struct
import time

import lib

MENU = lib.CRASHERS / "menu"
BUDGET = 10  # lib/spool/slots.h, which has the layout too
SLOT = struct.Struct("<QqqqIIII16s")
SLOTS_AT, SLOTS, HITS_AT = 1024, 128, 12288
NOWHERE = "http://127.0.0.1:9"

LOOP = """
n=$1; shift
while [ $n -gt 0 ]; do n=$((n - 1)); LD_PRELOAD=$SHIM "$@"; done
exit 0
"""


def loop(times, argv, spool, env=None):
    """A process that crashes ARGV TIMES times, one after the other."""
    return lib.start_plain(["/bin/sh", "-c", LOOP, "sh", times, *argv],
                           {"SHIM": lib.SHIM, "EPITAPH_SPOOL": spool,
                            **(env or {})})


@contextlib.contextmanager
def to_the_end():
    """Wait at the end for all that was started in it: witnesses and helpers
    too, which as orphans become children of this process."""
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    before = children()

    def all_gone():
        for pid in children() - before:
            os.waitpid(pid, os.WNOHANG | 0x40000000)  # __WALL
        return not children() - before

    yield
    lib.wait_for(all_gone, what="witnesses and helpers to end")


def children():
    return set(map(int, pathlib.Path(
        f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def crash(times, argv, spool, env=None):
    """Crash ARGV TIMES times; when it returns, all is written and sent."""
    with to_the_end():
        with loop(times, argv, spool, env) as process:
            outcome = process.wait()
        assert outcome.exit == 0, outcome


def slots(path):
    """{index: {name: value}} of the kinds in the budget file PATH."""
    names = ("key window_ns window_ms last_ms crashes untold pending hit_len "
             "pending_id").split()
    data = path.read_bytes()
    found = {}
    for i in range(SLOTS):
        piece = data[SLOTS_AT + 64 * i:SLOTS_AT + 64 * (i + 1)]
        if len(piece) == 64 and piece[:8] != bytes(8):
            found[i] = dict(zip(names, SLOT.unpack(piece)))
    return found


def put_slot(path, i, slot):
    with path.open("r+b") as file:
        file.seek(SLOTS_AT + 64 * i)
        file.write(SLOT.pack(*slot.values()))


def budget_file(spool, uid=None):
    return spool / f".budget-{os.geteuid() if uid is None else uid}"


def untold(spool):
    return sum(s["untold"] + s["pending"]
               for s in slots(budget_file(spool)).values())


def let_a_minute_pass(spool, clock="both"):
    """As if every window had begun a minute earlier."""
    path = budget_file(spool)
    for i, slot in slots(path).items():
        if clock != "wall":
            slot["window_ns"] -= 60 * 10**9
        if clock != "boot":
            slot["window_ms"] -= 61 * 1000
        put_slot(path, i, slot)


def total(collector):
    return sum(group["count"] for group in collector.groups())


def wait_total(collector, count):
    """COUNT crashes are counted, and no more even after another flush."""
    collector.wait_count(count)
    assert total(collector) == count, collector.groups()


@lib.deadline(180)
def test_next_report_tells():
    """What was only counted is told with the next report of the kind"""
    spool = lib.temp_dir("spool.")
    with lib.Collector() as collector:
        env = {"EPITAPH_URL": collector.url, "EPITAPH_TAGS": "team=blue"}
        crash(BUDGET, [MENU, "null-write"], spool, env)
        crash(20, [MENU, "null-write"], spool, env)
        wait_total(collector, BUDGET)
        assert untold(spool) == 20
        let_a_minute_pass(spool)
        crash(1, [MENU, "null-write"], spool, env)
        wait_total(collector, 31)
        assert len(collector.groups()) == 1, collector.groups()
        assert untold(spool) == 0
        lib.epitaph_ok("flush", "-c", collector.url, "-s", spool)
        wait_total(collector, 31)


@lib.deadline(180)
def test_other_report_tells():
    """A report of another kind takes along what was counted of the first"""
    spool = lib.temp_dir("spool.")
    with lib.Collector() as collector:
        env = {"EPITAPH_URL": collector.url}
        crash(BUDGET, [MENU, "null-write"], spool, env)
        crash(3, [MENU, "null-write"], spool, env)
        crash(1, [MENU, "abort"], spool, env)
        wait_total(collector, 14)
        assert sorted(g["count"] for g in collector.groups()) == [1, 13]


@lib.deadline(180)
def test_flush_tells():
    """Reports and counts that no collector took go with a flush, once"""
    spool = lib.temp_dir("spool.")
    crash(25, [MENU, "null-write"], spool, {"EPITAPH_URL": NOWHERE})
    reports = len(lib.spool_reports(spool))
    assert reports == BUDGET, (reports, slots(budget_file(spool)))
    flush = lib.epitaph("flush", "-c", NOWHERE, "-s", spool)
    assert flush.exit == 1 and untold(spool) == 15, flush
    with lib.Collector() as collector:
        options = ("flush", "-c", collector.url, "-s", spool)
        text = lib.epitaph_ok(*options)
        assert "told of 15 more crashes" in text, text
        wait_total(collector, 25)
        assert "nothing to ship" in lib.epitaph_ok(*options)
        wait_total(collector, 25)
        assert len(collector.groups()) == 1
        assert budget_file(spool).exists(), "its minute is not over"
        let_a_minute_pass(spool)
        lib.epitaph_ok(*options)
        assert list(spool.iterdir()) == [spool / f".lock-{os.geteuid()}"]


@lib.deadline(180)
def test_sent_again():
    """A hit whose answer was lost is sent under the same id, and counts once"""
    spool = lib.temp_dir("spool.")
    crash(14, [MENU, "null-write"], spool)
    path = budget_file(spool)
    (i, slot), = slots(path).items()
    assert slot["untold"] == 4
    stamp = int(time.time() * 1000).to_bytes(6, "big")
    slot.update(untold=1, pending=3, pending_id=stamp + os.urandom(10))
    with lib.Collector() as collector:
        for told in (3, 1):  # the id's own, then what is left
            put_slot(path, i, slot)
            lib.epitaph_ok("flush", "-c", collector.url, "-s", spool)
            slot = slots(path)[i] | {"untold": 0, "pending": 3,
                                     "pending_id": slot["pending_id"]}
            lib.epitaph_ok("flush", "-c", collector.url, "-s", spool)
            wait_total(collector, BUDGET + 4)


@lib.deadline(180)
def test_other_bug():
    """Past the budget another bug of the program is reported, aborts too"""
    spool = lib.temp_dir("spool.")
    crash(BUDGET + 2, [MENU, "abort"], spool)
    have = set(lib.spool_reports(spool))
    assert len(have) == BUDGET
    for name in ("assert", "double-free", "null-read", "null-call", "divide",
                 "raise-segv", "kill-self"):
        crash(1, [MENU, name], spool)
        new = set(lib.spool_reports(spool)) - have
        assert len(new) == 1, f"{name}: {len(new)} reports"
        have |= new
    assert untold(spool) == 2


@lib.deadline(180)
def test_window():
    """A minute later there are reports again; after a new boot at once"""
    spool = lib.temp_dir("spool.")
    want = 0
    for clock in (None, "both", "boot", "wall"):
        if clock:
            let_a_minute_pass(spool, clock)
        crash(BUDGET + 1, [MENU, "null-write"], spool)
        want += BUDGET
        assert len(lib.spool_reports(spool)) == want, clock
    assert untold(spool) == 4


@lib.deadline(180)
def test_order():
    """A crash that is counted after a later one does not begin a new minute"""
    spool = lib.temp_dir("spool.")
    crash(BUDGET, [MENU, "null-write"], spool)
    path = budget_file(spool)
    (i, slot), = slots(path).items()
    slot["window_ns"] += 5 * 10**9
    slot["window_ms"] += 5 * 1000
    put_slot(path, i, slot)
    crash(1, [MENU, "null-write"], spool)
    assert len(lib.spool_reports(spool)) == BUDGET and untold(spool) == 1


@lib.deadline(180)
def test_parallel():
    """Eight loops at once: every crash is a report or counted"""
    spool = lib.temp_dir("spool.")
    with to_the_end(), contextlib.ExitStack() as stack:
        loops = [stack.enter_context(loop(10, [MENU, "null-write"], spool))
                 for _ in range(8)]
        for process in loops:
            assert process.wait().exit == 0
    reports = len(lib.spool_reports(spool))
    assert reports + untold(spool) == 80, (reports, untold(spool))
    # Who finds the table locked for long reports: few do.
    assert BUDGET <= reports <= 40, reports


@lib.deadline(180)
def test_setting():
    """EPITAPH_BUDGET sets the number; 0 reports all, and leaves no file"""
    for budget, want in (("0", 13), ("3", 3), ("nonsense", BUDGET)):
        spool = lib.temp_dir("spool.")
        crash(13, [MENU, "null-write"], spool, {"EPITAPH_BUDGET": budget})
        assert len(lib.spool_reports(spool)) == want, budget
        assert budget_file(spool).exists() is (budget != "0")


def test_line():
    """EPITAPH_STDERR's line says when a crash was only counted"""
    spool = lib.temp_dir("spool.")
    env = {"EPITAPH_BUDGET": "1", "EPITAPH_STDERR": "1"}
    lines = []
    for want in (1, 0):
        outcome = lib.run_under_shim([MENU, "null-write"], env, spool,
                                     reports=want)
        assert outcome.signal == signal.SIGSEGV, outcome
        lines.append(outcome.stderr.decode().splitlines()[-1])
    report, = lib.spool_reports(spool)
    assert report.name.split(".")[0] in lines[0], lines
    assert "counted" in lines[1] and "report " not in lines[1], lines


@lib.deadline(180)
def test_hostile_file():
    """A budget file that is a link, pipe, directory, another's is left alone"""
    def link(path, victim):
        path.symlink_to(victim)

    def hard(path, victim):
        path.hardlink_to(victim)

    def pipe(path, _):
        os.mkfifo(path)

    def directory(path, _):
        path.mkdir()

    def foreign(path, victim):
        path.write_bytes(victim.read_bytes())
        os.chown(path, 12345, 12345)

    makers = [link, hard, pipe, directory]
    if os.geteuid() == 0:
        makers.append(foreign)
    for make in makers:
        spool = lib.temp_dir("spool.")
        victim = lib.temp_dir() / "victim"
        victim.write_bytes(struct.pack("<Q", 0x3130544744425045))
        make(budget_file(spool), victim)
        crash(BUDGET + 2, [MENU, "null-write"], spool)
        assert len(lib.spool_reports(spool)) == BUDGET + 2, make.__name__
        assert victim.stat().st_size == 8, make.__name__
        lib.epitaph("flush", "-c", NOWHERE, "-s", spool)
        assert victim.stat().st_size == 8, make.__name__


@lib.deadline(180)
def test_damaged_file():
    """A budget file of nonsense is begun anew; nonsense in it is not told"""
    spool = lib.temp_dir("spool.")
    path = budget_file(spool)
    path.write_bytes(os.urandom(9000))
    crash(BUDGET + 3, [MENU, "null-write"], spool)
    reports = len(lib.spool_reports(spool))
    assert reports == BUDGET + 1 and untold(spool) == 2, reports
    with lib.Collector() as collector:
        lib.epitaph_ok("flush", "-c", collector.url, "-s", spool)
        wait_total(collector, BUDGET + 3)
        # Every slot in use, with counts, and a hit that is none.
        for i in range(SLOTS):
            put_slot(path, i, dict(zip("abcdefghi", (
                1 + i, 0, 0, 0, 1, 1, 0, 100 + 4096 * (i % 2),
                bytes(16)))))
        flush = lib.epitaph("flush", "-c", collector.url, "-s", spool)
        assert flush.exit == 1 and b"dropped" in flush.stderr, flush
        wait_total(collector, BUDGET + 3)


@lib.deadline(180)
def test_full_table():
    """Where all slots have counts to tell, a new kind is reported"""
    spool = lib.temp_dir("spool.")
    crash(1, [MENU, "null-write"], spool)
    path = budget_file(spool)
    for i in range(SLOTS):
        put_slot(path, i, dict(zip("abcdefghi", (
            1 + i, 0, 0, 0, BUDGET, 1, 0, 0, bytes(16)))))
    crash(BUDGET + 2, [MENU, "null-write"], spool)
    assert len(lib.spool_reports(spool)) == BUDGET + 3
    assert untold(spool) == SLOTS


@lib.deadline(180)
def test_namespace():
    """In a PID namespace, where the report comes first, it is the same"""
    spool = lib.temp_dir("spool.")
    if os.geteuid() != 0:
        raise lib.Skip("needs root for a namespace")
    # unshare dies of the same signal as its child, but not under the shim.
    crash(BUDGET + 3, ["unshare", "--pid", "--fork", "--mount-proc", "env",
                       f"LD_PRELOAD={lib.SHIM}", MENU, "null-write"], spool,
          {"SHIM": ""})
    assert len(lib.spool_reports(spool)) == BUDGET
    slot, = slots(budget_file(spool)).values()
    assert slot["untold"] == 3 and slot["hit_len"] > 0, slot


@lib.deadline(180)
def test_raw():
    """Where there is no witness raw records keep to the budget as well"""
    spool = lib.temp_dir("spool.")
    if os.geteuid() != 0:
        raise lib.Skip("needs root to become another user with no process")
    spool.chmod(0o1777)
    lib.open_to_all(lib.BUILD)
    argv = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups",
            "prlimit", "--nproc=1", MENU, "null-write"]
    lib.open_to_all(pathlib.Path.cwd())
    crash(BUDGET + 3, argv, spool)
    raw = list(spool.glob("*.raw"))
    path = budget_file(spool, 54321)
    slot, = slots(path).values()
    assert len(raw) == BUDGET and slot["untold"] == 3, (len(raw), slot)
    assert slot["hit_len"] == 0, "no report was made so far"
    with lib.Collector() as collector:
        text = lib.epitaph_ok("flush", "-c", collector.url, "-s", spool)
        assert "told of 3 more crashes" in text, text
        wait_total(collector, BUDGET + 3)
        assert len(collector.groups()) == 1

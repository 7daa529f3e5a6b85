"""Process 1 of a namespace, alone and under tini; what control groups and
limits take away."""

import os
import pathlib
import signal
import subprocess
import time

import lib
import menu
import vm

# A fault, an abort, a trap and another thread's fault.
AS_ONE = ("null-write", "abort", "breakpoint", "divide", "illegal",
          "past-end", "thread-null", "overflow", "halt", "double-free")


def run_in(wrapper, name, spool=None, user="root", scope=1):
    """The entry NAME of the menu below WRAPPER, which makes the namespace:
    (status, reports in SPOOL at the moment it was over)."""
    vm.set_scope(scope)
    env = lib.clean_env(lib.shim_env(spool) if spool else None)
    env["EPITAPH_DEADLINE_MS"] = "10000"
    argv = [*wrapper, menu.PROGRAM, name, "2"]
    done = subprocess.run(argv, env=env, timeout=60, check=False,
                          stdout=subprocess.DEVNULL, cwd=vm.make_dir(user),
                          preexec_fn=vm.become(user))
    return done.returncode, lib.spool_reports(spool) if spool else []


def check_in(wrapper, names, user="root", scope=1):
    """Each of NAMES ends as without the shim, and its report is there when
    its parent is told."""
    wrong = {}
    for name in names:
        plain, _ = run_in(wrapper, name, None, user, scope)
        shim, reports = run_in(wrapper, name, vm.make_dir(user, "spool."),
                               user, scope)
        tiers = [lib.user_stream(report)["tier"] for report in reports]
        if (shim, tiers) != (plain, [vm.TIERS[scope, user == "root"]]):
            wrong[name] = f"status {shim} for {plain}, tiers {tiers}"
    assert not wrong, wrong


ALONE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
TINI = [*ALONE, "tini", "--"]
# As a user: root of a user namespace of its own.
OWN = ["unshare", "--user", "--map-root-user", *ALONE[1:]]


@lib.deadline(300)
def test_one():
    """Process 1 of a namespace: reported before its death, same status"""
    check_in(ALONE, AS_ONE)


@lib.deadline(300)
def test_one_user():
    """The same in a user's own user namespace"""
    check_in(OWN, AS_ONE, user="tester")


@lib.deadline(300)
def test_one_untraced():
    """The same where Yama lets nobody but root trace"""
    check_in(OWN, ("null-write", "abort", "thread-null"), user="tester",
             scope=2)


@lib.deadline(300)
def test_tini():
    """A tini that ends the namespace with its child does not end the report"""
    for _ in range(3):
        check_in(TINI, ("null-write", "abort", "breakpoint", "thread-null",
                        "raise-segv", "together"))


@lib.deadline(300)
def test_tini_user():
    """The same in a user's own user namespace"""
    check_in([*OWN, "tini", "--"], ("null-write", "abort", "thread-null"),
             user="tester")


@lib.deadline(120)
def test_one_sent():
    """A signal sent to process 1 does nothing there, with and without"""
    script = "for s in SEGV ABRT BUS FPE ILL TRAP SYS; do kill -$s $$; done;" \
        " exit 5"
    for spool in (None, vm.make_dir()):
        env = lib.clean_env(lib.shim_env(spool) if spool else None)
        done = subprocess.run([*ALONE, "/bin/sh", "-c", script], env=env,
                              timeout=30, check=False)
        assert done.returncode == 5, (spool, done)
    assert lib.spool_reports(spool) == []


# Control groups


def make_group(name, **limits):
    """A new control group with LIMITS written, `memory__max` for
    memory.max."""
    root = pathlib.Path("/sys/fs/cgroup")
    (root / "cgroup.subtree_control").write_text("+memory +pids")
    group = root / name
    group.mkdir()
    for file, value in limits.items():
        (group / file.replace("__", ".")).write_text(str(value))
    return group


def start_in(group, *args, spool):
    """The menu with ARGS under the shim, a member of GROUP."""
    def join():
        (group / "cgroup.procs").write_text(str(os.getpid()))

    return lib.start_under_shim([menu.PROGRAM, *args], spool=spool,
                                cwd=vm.make_dir(), preexec=join)


def events(group, file):
    """{event: count} of GROUP."""
    lines = (group / file).read_text().splitlines()
    return {key: int(value) for key, value in map(str.split, lines)}


def is_empty(group):
    return not (group / "cgroup.procs").read_text()


@lib.deadline(120)
def test_memory_returned():
    """A dead program's memory leaves its control group within a second"""
    group = make_group("returned")
    for _ in range(3):
        with start_in(group, "null-write", "3", "200",
                      spool=vm.make_dir()) as process:
            process.wait(reports=0)
            died = time.monotonic()
            lib.wait_for(lambda: int((group / "memory.current").read_text())
                         < 100 << 20, 10, "the memory to be given back")
            took = time.monotonic() - died
            lib.wait_for(lambda: is_empty(group), 10, "the helper to end")
            assert len(process.wait(reports=1).reports) == 1
        print(f"given back after {took * 1000:.0f} ms")
        assert took < 1, f"{took:.3f} s"


@lib.deadline(120)
def test_memory_full():
    """A program at its group's memory limit is reported, and no OOM comes"""
    group = make_group("full", memory__max=72 << 20, memory__swap__max=0)
    plain = lib.run_plain([menu.PROGRAM, "null-write", "3", "64"])
    with start_in(group, "null-write", "3", "64",
                  spool=vm.make_dir()) as process:
        outcome = process.wait()
    assert outcome.status == plain.status
    assert events(group, "memory.events")["oom_kill"] == 0
    assert lib.user_stream(outcome.report)["tier"] == 1


@lib.deadline(120)
def test_no_more_tasks():
    """pids.max leaves no room for a witness: tier 4, and flush finishes it"""
    group = make_group("alone", pids__max=1)
    spool = vm.make_dir()
    plain = lib.run_plain([menu.PROGRAM, "null-write"])
    with start_in(group, "null-write", spool=spool) as process:
        outcome = process.wait(reports=0)
    assert outcome.status == plain.status
    assert events(group, "pids.events")["max"] > 0
    assert len(list(spool.glob("*.raw"))) == 1, list(spool.iterdir())
    flushed = lib.epitaph("flush", "-s", spool, "-c", "http://127.0.0.1:9")
    reports = lib.spool_reports(spool)
    assert len(reports) == 1, (flushed, list(spool.iterdir()))
    meta = lib.user_stream(reports[0])
    assert meta["tier"] == 4, meta["tier_reason"]
    assert meta["signal"]["number"] == signal.SIGSEGV


@lib.deadline(120)
def test_one_more_task():
    """pids.max with room for the witness alone: its death, and one report"""
    group = make_group("two", pids__max=2)
    spool = vm.make_dir()
    with start_in(group, "null-write", spool=spool) as process:
        outcome = process.wait(reports=0)
    assert outcome.signal == signal.SIGSEGV
    lib.settle()
    if not lib.spool_reports(spool):
        lib.epitaph("flush", "-s", spool, "-c", "http://127.0.0.1:9")
    assert len(lib.spool_reports(spool)) == 1, list(spool.iterdir())


def test_group_killed():
    """cgroup.kill right after the death: no hang, and the report or none"""
    group = make_group("killed")
    for _ in range(10):
        with start_in(group, "null-write", "3",
                      spool=vm.make_dir()) as process:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            (group / "cgroup.kill").write_text("1")
            outcome = process.wait(reports=0)
        assert outcome.signal == signal.SIGSEGV
        assert len(outcome.reports) <= 1
    lib.wait_for(lambda: is_empty(group), 10, "the group to be empty")

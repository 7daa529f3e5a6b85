"""Stacks of real programs by `epitaph stack`, gdb and eu-stack, live and from a
core: nothing that another tool finds is missing without a reason. Light ones;
tests/programs/stacks.py has the heavy, and docs/unwinding.md what differs."""

import lib
import menu
import walks

PYTHON = """
import threading, time

def down(levels):
    if levels:
        down(levels - 1)
    time.sleep(1000)

for n in range(10):
    threading.Thread(target=down, args=(n,), daemon=True).start()
time.sleep(0.3)
print("ready", flush=True)
down(20)
"""


def check(subject, name):
    """Compare with both tools. Where all code has CFI there is nothing to
    differ in; a thread may still be on its way to sleep, so a few times."""
    for theirs in (walks.by_gdb, walks.by_eu_stack):
        for _ in range(3):
            compared = walks.compare(subject, theirs)
            if not compared.differences:
                break
        print(f"{name}, {theirs.__name__}: {compared.row()}")
        assert not compared.differences, compared.differences
        assert set(compared.threads) == set(compared.theirs)
    assert {each["truncated"] for each in compared.threads.values()} == {None}
    return compared.threads


def check_both(name, argv, is_ready, threads, **options):
    """The program ARGV live, held, and then its core."""
    lib.need("gdb", "eu-stack")
    lib.need_cores()
    where = lib.temp_dir("core.")
    with lib.Process(argv, cwd=where, cores=True, **options) as process:
        lib.wait_for(lambda: is_ready(process), what="ready")
        walks.hold(process.pid)
        live = check(walks.Subject(process.pid), f"{name}, live")
        core = walks.core_of(process)
        dead = check(core, f"{name}, core")
    assert len(live) == len(dead) == threads, (len(live), len(dead))


def test_python():
    """python3 and its threads, live and as a core, are the same to all three"""
    check_both("python3", ["/usr/bin/python3", "-c", PYTHON],
               lambda process: b"ready" in process.output(), 11)


def test_bash():
    """bash that waits for a line is the same to all three"""
    wait = "f() { mkfifo f; exec 3<>f; echo ready; read x <&3; }; f; true"
    check_both("bash", ["bash", "-c", wait],
               lambda process: b"ready" in process.output(), 1)


@lib.deadline(240)
def test_hundred_threads():
    """A program of a hundred threads is the same to all three"""
    check_both("100 threads", [menu.PROGRAM, "wait", "100"],
               lambda process: b"waiting" in process.output(), 101)

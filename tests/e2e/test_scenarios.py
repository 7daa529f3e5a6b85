"""Crashes in awkward places and moments. docs/capture.md lists all of those
that a crash reporter is known to fail in, and where each is tested."""

import os
import pathlib
import re
import signal
import subprocess
import threading

import lib
import menu

SCENES = lib.CRASHERS / "scenes"
LIBRARY = lib.CRASHERS / "libscene.so"

# A scene, the signal it ends by, and functions that its stack has to show.
LOCKED = {
    "in-malloc": (signal.SIGSEGV, ["_int_malloc", "in_malloc"]),
    "corrupt-top": (signal.SIGABRT, ["__GI_abort", "corrupt_top"]),
    "in-constructor": (signal.SIGSEGV, ["crash_in_constructor",
                                        "main"]),
    "in-walk": (signal.SIGSEGV, ["null_write", "crash_in_walk"]),
    "in-stdio": (signal.SIGSEGV, ["null_write", "in_stdio"]),
    "huge-frames": (signal.SIGSEGV, ["deep", "huge_frames"]),
}


def crash(name, *argv, **options):
    """SCENE under the shim: (outcome, symbolized report)."""
    outcome = lib.run_under_shim([SCENES, name, *argv], **options)
    return outcome, lib.symbolize(outcome.report)


def test_locks_held():
    """With a lock of malloc, loader or stdio held: one report, no hang"""
    for name, (sig, functions) in LOCKED.items():
        outcome, report = crash(name, LIBRARY)
        assert outcome.signal == sig, f"{name}: {outcome.status}"
        assert report["tier"] == 1 and report["complete"], name
        names = lib.functions(lib.crashed_thread(report))
        for function in functions:
            assert function in names, f"{name}: {names}"


def test_libc_words():
    """What fortify, the stack protector and malloc say is the message"""
    for name, words in (("fortified", "buffer overflow detected"),
                        ("smashed", "stack smashing detected"),
                        ("corrupt-top", "malloc assertion failure")):
        outcome, report = crash(name)
        assert outcome.signal == signal.SIGABRT, name
        assert words in report["message"], f"{name}: {report['message']}"


@lib.deadline(300)
def test_two_at_once():
    """Two of a hundred threads crash at once, 200 times: one report each"""
    ends = {}
    for _ in range(200):
        outcome = lib.run_under_shim([SCENES, "two-at-once"])
        assert len(lib.spool_reports(pathlib.Path(
            outcome.report).parent)) == 1
        meta = lib.user_stream(outcome.report)
        assert meta["tier"] == 1, meta["tier_reason"]
        assert meta["signal"]["number"] == outcome.signal, meta["signal"]
        assert len(meta["threads"]) == 102, len(meta["threads"])
        ends[outcome.signal] = ends.get(outcome.signal, 0) + 1
    assert set(ends) <= {signal.SIGSEGV, signal.SIGFPE}, ends


def test_many_at_once():
    """32 threads crash at once of four signals: the death is the report's"""
    for _ in range(15):
        outcome = lib.run_under_shim([SCENES, "many-at-once"])
        lib.settle()
        assert len(lib.spool_reports(pathlib.Path(
            outcome.report).parent)) == 1
        report = lib.symbolize(outcome.report)
        assert report["signal"]["number"] == outcome.signal
        top = lib.functions(lib.crashed_thread(report))
        assert "die_of" in top, top


def test_sparse():
    """64 GiB of address space, touched here and there, cost no time"""
    frozen = []
    for argv in ([SCENES, "sparse"], [menu.PROGRAM, "null-write"]):
        best = min(lib.user_stream(lib.run_under_shim(argv).report)
                   ["timings_us"]["frozen"] for _ in range(5))
        frozen.append(best)
    sparse, small = frozen
    assert sparse < small * 1.1 + 100, frozen


def test_grandchild():
    """A grandchild whose parents are gone is reported as itself"""
    spool = lib.temp_dir("spool.")
    outcome = lib.run_under_shim([SCENES, "grandchild"], spool=spool,
                                 reports=1)
    assert outcome.exit == 7, outcome.status
    report = lib.symbolize(lib.spool_reports(spool)[0])
    assert "grandchild" in lib.functions(lib.crashed_thread(report))


def test_stopped():
    """A fatal signal sent to a stopped process waits, as without the shim"""
    with lib.start_under_shim([menu.PROGRAM, "wait", "3"]) as process:
        lib.wait_for(lambda: b"waiting" in process.output())
        process.kill(signal.SIGSTOP)
        lib.wait_for(lambda: lib.processes()[process.pid][1] == "T")
        process.kill(signal.SIGSEGV)
        assert process.is_alive()
        process.kill(signal.SIGCONT)
        outcome = process.wait()
    assert outcome.signal == signal.SIGSEGV
    meta = lib.user_stream(outcome.report)
    assert meta["tier"] == 1 and len(meta["threads"]) == 4


def test_no_core():
    """A process that may leave no core leaves none, and a report"""
    lib.need_cores()
    where = lib.temp_dir()
    outcome = lib.run_under_shim([menu.PROGRAM, "null-write", "2"], cwd=where)
    assert outcome.signal == signal.SIGSEGV
    assert not os.WCOREDUMP(outcome.status)
    assert os.listdir(where) == []


@lib.deadline(300)
def test_stampede():
    """800 processes crash, eight at a time: each counted, none mixed up"""
    with lib.Collector() as collector:
        env = lib.clean_env(lib.shim_env(
            lib.temp_dir("spool."), {"EPITAPH_URL": collector.url}))
        names = ["null-write", "divide", "abort", "thread-null"]
        wrong = []

        def crash_a_hundred(first):
            for i in range(100):
                name = names[(first + i) % len(names)]
                done = subprocess.run([menu.PROGRAM, name, "1"], env=env,
                                      timeout=60, check=False,
                                      stderr=subprocess.DEVNULL)
                if done.returncode >= 0:
                    wrong.append((name, done.returncode))

        before = lib.tree_rss_kib(collector.pid)
        threads = [threading.Thread(target=crash_a_hundred, args=(n,))
                   for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong, wrong
        lib.settle()
        lib.epitaph("flush", "-c", collector.url, "-s",
                    env["EPITAPH_SPOOL"])
        groups = collector.wait_count(800, 60)
        counts = sorted(group["count"] for group in groups)
        assert counts == [200] * 4, groups
        grown = lib.tree_rss_kib(collector.pid) - before
        assert grown < 200 << 10, f"{grown} KiB more"


def test_listed():
    """Each test that docs/capture.md names for a scenario is there"""
    text = (lib.ROOT / "docs/capture.md").read_text()
    table = text[text.index("| # |"):]
    named = set(re.findall(r"`(test_\w+)`", table))
    there = {name for path in (lib.ROOT / "tests").rglob("*.py")
             for name in re.findall(r"^def (test_\w+)\(|^(test_\w+) =",
                                    path.read_text(), re.M)
             for name in name if name}
    assert named and not named - there, named - there
    numbers = {int(n) for n in re.findall(r"^\| (\d+) \|", table, re.M)}
    missing = {1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19,
               20, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 34, 36, 37,
               38, 42, 43, 44, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56,
               58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 70} - numbers
    assert not missing, f"no word about {sorted(missing)}"

"""epitaph core: a report as an ELF core, that gdb and eu-stack read."""

import os
import pathlib
import re
import shutil
import subprocess

import lib
import test_symbolize

THREADS = r"""
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>

#define OUT_OF_LINE __attribute__((noinline))

static sem_t ready, never;
static volatile int sink;

OUT_OF_LINE static int wait_here(int n)
{
	sem_post(&ready);
	while (sem_wait(&never) != 0)
		;
	return n;
}

OUT_OF_LINE static int deeper(int n)
{
	int result = n > 0 ? deeper(n - 1) : wait_here(n);

	sink = result;
	return result + 1;
}

OUT_OF_LINE static int odd(int n) { return deeper(n) + sink; }
OUT_OF_LINE static int even(int n) { return deeper(n) - sink; }

static void *run(void *number)
{
	int n = (int)(long)number;

	sink = n % 2 ? odd(n) : even(n);
	return NULL;
}

OUT_OF_LINE static void fault(int *nowhere)
{
	*nowhere = sink;
}

int main(void)
{
	pthread_t thread;

	sem_init(&ready, 0, 0);
	sem_init(&never, 0, 0);
	for (long i = 0; i < 15; i++)
		pthread_create(&thread, NULL, run, (void *)i);
	for (int i = 0; i < 15; i++)
		while (sem_wait(&ready) != 0)
			;
	fault((int *)0x10);
}
"""


def compile_threads(name):
    pathlib.Path(f"{name}.c").write_text(THREADS, encoding="ascii")
    subprocess.run(["gcc", "-O1", "-g", "-pthread", "-o", name, f"{name}.c"],
                   check=True)
    return os.path.abspath(name)


def make_core(report, *options):
    core = lib.temp_dir("core.") / "core"
    lib.epitaph_ok("core", *options, report, "-o", core)
    return core


def same_stacks(report, core, exe):
    """All threads of REPORT's CORE have the frames that symbolize says."""
    ours = lib.symbolize(report)
    frames, info = lib.gdb_core(core, exe)
    assert set(frames) == {t["tid"] for t in ours["threads"]}, frames
    for thread in ours["threads"]:
        theirs = frames[thread["tid"]]
        assert lib.pcs(thread) == [f["pc"] for f in theirs], (thread, theirs)
        physical = filter(lib.is_physical, thread["frames"])
        for frame, other in zip(physical, theirs):
            name = (frame["function"] or "").split("@")[0]
            # Of several names of one function any may be said.
            ours_said, gdb_said = (
                (test_symbolize.short(n) or "").lstrip("_")
                for n in (name, other["function"]))
            assert ours_said == gdb_said, (frame, other)
    return ours, info


def test_threads():
    """gdb has the functions of sixteen threads, and the signal, as we do"""
    exe = compile_threads("program")
    report = lib.run_under_shim([exe], reports=1).reports[0]
    core = make_core(report)
    ours, _ = same_stacks(report, core, exe)
    assert len(ours["threads"]) == 16
    assert sum("deeper" in lib.functions(t) for t in ours["threads"]) == 15
    text = lib.run_plain(
        ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex",
         "p $_siginfo._sifields._sigfault.si_addr", exe, core]).stdout.decode()
    assert "$1 = (void *) 0x10\n" in text, text


def test_python():
    """gdb finds the libraries of python3 and all of its frames"""
    report = lib.run_under_shim(
        ["python3", "-c", "import ctypes; ctypes.string_at(0)"],
        reports=1).reports[0]
    ours = lib.symbolize(report)
    exe = ours["process"]["exe"]
    core = make_core(report)
    _, info = same_stacks(report, core, exe)
    assert info == {"signo": 11, "code": 1, "address": 0}, info
    text = lib.run_plain(
        ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off", "-ex",
         f"core-file {core}", "-ex", "info sharedlibrary", "-ex",
         "info registers rip rsp", "-ex", "info proc", exe]).stdout.decode()
    for module in ours["modules"]:
        if module["path"] not in (exe, "[vdso]"):
            assert re.search(f"^0x.* Yes .*{re.escape(module['path'])}$",
                             text, re.M), (module, text)
    crashed = lib.crashed_thread(ours)
    assert f"{crashed['registers']['rsp']}" in text, text
    assert "ctypes.string_at" in text, text


def test_own_reader():
    """our own reader of cores gets the same stacks back"""
    exe = compile_threads("program")
    report = lib.run_under_shim([exe], reports=1).reports[0]
    ours = lib.symbolize(report)
    again = lib.symbolize(make_core(report))
    for thread, other in zip(ours["threads"], again["threads"]):
        assert thread["tid"] == other["tid"]
        assert lib.pcs(thread) == lib.pcs(other), (
            lib.pcs(thread), lib.pcs(other), other["truncated"])
        assert lib.functions(thread) == lib.functions(other)
    assert lib.crashed_thread(again)["tid"] == \
        lib.crashed_thread(ours)["tid"]


def test_moved():
    """a program that is found by -S alone has its libraries, too"""
    exe = compile_threads("program")
    report = lib.run_under_shim([exe], reports=1).reports[0]
    os.mkdir("folder")
    moved = shutil.move(exe, "folder/other")
    core = make_core(report, "-S", "folder")
    frames, _ = lib.gdb_core(core, moved)
    names = {f["function"] for stack in frames.values() for f in stack}
    assert {"deeper", "wait_here", "fault", "start_thread"} <= names, names
    # Without it there is still a core, and gdb opens it.
    core = make_core(report)
    frames, _ = lib.gdb_core(core, moved)
    assert len(frames) == 16


def test_errors():
    """what is no report, and what cannot be written, is named"""
    pathlib.Path("text").write_text("none", encoding="ascii")
    done = lib.epitaph("core", "text", "-o", "core")
    assert done.exit == 1 and b"core text: " in done.stderr, done
    assert not os.path.exists("core")
    exe = compile_threads("program")
    report = lib.run_under_shim([exe], reports=1).reports[0]
    done = lib.epitaph("core", report, "-o", "nowhere/core")
    assert done.exit == 1 and b"nowhere/core: open" in done.stderr, done
    assert lib.epitaph("core", report).exit == 2
    core = make_core(report)
    assert core.stat().st_mode & 0o777 == 0o600

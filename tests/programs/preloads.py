#!/usr/bin/python3
"""Other libraries preloaded beside the shim, before it and after it:
allocators, a profiler with signals of its own, and one like glibc's
libSegFault.so, which is no more."""

import signal

import compare
import lib

LIBRARIES = "/usr/lib/x86_64-linux-gnu"
ALLOCATORS = ["libjemalloc.so.2", "libtcmalloc.so.4"]
PROFILER = f"{LIBRARIES}/libprofiler.so.0"


def null(meta):
    assert meta["reason"] == "null pointer write at 0x10", meta["reason"]


def orders(library):
    yield f"{library.rsplit('/', 1)[-1]} after the shim", ["SHIM", library]
    yield f"{library.rsplit('/', 1)[-1]} before the shim", [library, "SHIM"]


def allocators(victim):
    for name in ALLOCATORS:
        for order, preload in orders(f"{LIBRARIES}/{name}"):
            compare.case(f"{order}: a program", [victim], 0, exit=0,
                         preload=preload, says=["worked"])
            for word in ("main", "thread"):
                compare.case(f"{order}: a fault in {word}", [victim, word], 1,
                             sig=signal.SIGSEGV, preload=preload, check=null)
            compare.case(f"{order}: CPython", [
                "/usr/bin/python3", "-c", "import json, threading\n"
                "[threading.Thread(target=list, args=(range(9999),)).start()"
                " for _ in range(50)]\nprint('worked')"], 0, exit=0,
                preload=preload, says=["worked"])


def profiler(victim):
    """SIGPROF 1000 times a second, in every thread, all the time."""
    for order, preload in orders(PROFILER):
        env = {"CPUPROFILE": "profile", "CPUPROFILE_FREQUENCY": "1000"}
        compare.case(f"{order}: a program", [victim], 0, exit=0, env=env,
                     preload=preload, says=["PROFILE: interrupts"],
                     files=["profile*"])
        compare.case(f"{order}: a fault", [victim, "main"], 1,
                     sig=signal.SIGSEGV, env=env, preload=preload, check=null)


def segfault(victim, library):
    for order, preload in orders(str(library)):
        for word in ("main", "thread"):
            compare.case(f"{order}: a fault in {word}", [victim, word], 1,
                         sig=signal.SIGSEGV, preload=preload, check=null,
                         says=[r"\*\*\* signal", "victim"])
        compare.case(f"{order}: a bad free", [victim, "free"], 1,
                     sig=signal.SIGABRT, preload=preload,
                     says=[r"\*\*\* signal", "free\\(\\)"])


compare.need("gcc")
where = lib.temp_dir("c.")
compare.build("gcc", "-O1", "-g", "-w", "-pthread", "-o", where / "victim",
              compare.HERE / "c/victim.c")
compare.build("gcc", "-O1", "-g", "-shared", "-fPIC", "-o",
              where / "libsegfault.so", compare.HERE / "c/segfault.c")
allocators(where / "victim")
profiler(where / "victim")
segfault(where / "victim", where / "libsegfault.so")

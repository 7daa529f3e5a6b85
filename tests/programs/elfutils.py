#!/usr/bin/python3
"""The cores that elfutils tests its own unwinder with, from Debian's source
package of the eu-stack that is installed: what its tests expect of them is
expected of `epitaph stack`, and the same frames as eu-stack finds. Cores of
other machines than x86-64 are for an epitaph that is built for those."""

import bz2
import json
import re
import subprocess
import sys

import compare
import debian
import lib

# Their names, and files that belong to them.
CORES = {
    "backtrace.x86_64": ["backtrace.x86_64.exec"],
    "backtrace.x86_64.fp": ["backtrace.x86_64.fp.exec"],
    "linkmap-cut": ["linkmap-cut", "linkmap-cut-lib.so"],
    "test-core": ["test-core.exec"],
    "testfile-backtrace-demangle": ["testfile-backtrace-demangle"],
    "testfiledwarfinlines": ["testfiledwarfinlines"],
}
CPP = "/home/mark/src/tests/dwarfinlines.cpp"

# What run-backtrace-core-x86_64.sh and its like, run-stack-i-test.sh and
# run-backtrace-demangle.sh look for: functions, in this order, of one thread;
# with the line where they say one.
EXPECTED = {
    "backtrace.x86_64": [["raise", "sigusr2", "stdarg", "backtracegen",
                          "start"], ["pthread_join", "main"]],
    "testfile-backtrace-demangle": [["cxxfunc(int)", "f", "main"]],
    "testfiledwarfinlines": [[
        ("fubar", CPP, 6), ("foobar", CPP, 14), ("bar", CPP, 21),
        ("foo", CPP, 27), ("fu(int)", CPP, 33), ("main", CPP, 39)]],
    "linkmap-cut": [["libfunc", "main"]],
    # A core without the pages of files: nothing says which build they are of.
    "test-core": [[None, None, None]],
}
MODULES = {"test-core": ["test-core-lib.so", "test-core-main",
                         "libc-2.16.so"]}
EXPECTED["backtrace.x86_64.fp"] = EXPECTED["backtrace.x86_64"]


def unpack(tests, where):
    for name, files in CORES.items():
        for file in [f"{name}.core", *files]:
            packed = tests / f"{file}.bz2"
            if packed.exists():
                (where / file).write_bytes(bz2.decompress(
                    packed.read_bytes()))


def by_epitaph(where, core):
    text = lib.epitaph_ok("stack", "--json", "-S", where, where / core)
    return {thread["tid"]: thread for thread in json.loads(text)["threads"]}


def by_elfutils(where, core, exe):
    """{tid: [pc, ...]}; it says so where it comes to a library that it has
    not got, and ends there."""
    text = subprocess.run(
        ["eu-stack", "-q", f"--core={where / core}", "-e", where / exe],
        capture_output=True, text=True, check=False).stdout
    threads = {}
    for line in text.splitlines():
        if match := re.match(r"TID (\d+):", line):
            frames = threads.setdefault(int(match[1]), [])
        elif match := re.match(r"#\d+\s+(0x[0-9a-f]+)", line):
            frames.append(int(match[1], 16))
    return threads


def is_as_expected(frames, wanted):
    for frame, want in zip(frames, wanted):
        seen = frame["function"], frame["file"], frame["line"]
        if want != (seen if isinstance(want, tuple) else seen[0]):
            return False
    return len(frames) >= len(wanted)


def judge(where, name, files):
    ours = by_epitaph(where, f"{name}.core")
    stacks = [thread["frames"] for thread in ours.values()]
    for wanted in EXPECTED[name]:
        what = f"{name}: the stack of {wanted[0] or 'a library'}"
        if any(is_as_expected(frames, wanted) for frames in stacks):
            compare.ok(what)
        else:
            compare.failed(what, f"not {wanted}: {stacks}")
    modules = [frame["module"] for frame in stacks[0]]
    if name in MODULES and modules != MODULES[name]:
        compare.failed(f"{name}: modules", f"{modules}")
    # An alias of raise's at the same address, that its tests warn of.
    if any(frame["function"] == "gsignal" for frames in stacks
           for frame in frames):
        compare.failed(f"{name}: names", "gsignal is the weak name of raise")
    physical = {tid: [int(frame["pc"], 16) for frame in thread["frames"]
                      if lib.is_physical(frame)]
                for tid, thread in ours.items()}
    theirs = by_elfutils(where, f"{name}.core", files[0])
    what = f"{name}: {sum(map(len, theirs.values()))} frames as eu-stack's"
    if theirs and physical == theirs:
        compare.ok(what)
    else:
        compare.failed(what, f"{physical}, not {theirs}")


compare.need("eu-stack", "dpkg-source")
scratch = lib.temp_dir("elfutils.")
unpack(debian.source("elfutils") / "tests", scratch)
for core, belongs in CORES.items():
    judge(scratch, core, belongs)
sys.exit(0)

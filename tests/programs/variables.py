#!/usr/bin/python3
"""Arguments and variables of many frames against gdb's: of programs that the
dice have made, each built in many ways, and of Debian's python3 with its own
debug files. What both show is the same; what only we show, or where gdb shows
something else, is what the same program holds at -O0."""

import re
import shutil
import subprocess

import compare  # finds the others
import calls
import lib
import values

SEEDS = range(100, 106)
FUNCTIONS = 24
BUILDS = [
    ("gcc", "-g", "-O0"), ("gcc", "-gdwarf-4", "-O0"),
    ("gcc", "-g", "-Og"), ("gcc", "-g", "-O1"), ("gcc", "-g", "-O2"),
    ("gcc", "-gdwarf-4", "-O2"), ("gcc", "-gdwarf-3", "-O2"),
    ("gcc", "-g", "-O3"), ("gcc", "-g", "-Os"),
    ("gcc", "-g", "-O2", "-flto"), ("gcc", "-g", "-O2", "-gsplit-dwarf"),
    ("gcc", "-gdwarf-4", "-O2", "-gsplit-dwarf"),
    ("gcc", "-g", "-O2", "-gz"), ("gcc", "-g", "-O2", "-no-pie"),
    ("clang", "-g", "-O0"), ("clang", "-g", "-O1"), ("clang", "-g", "-O2"),
    ("clang", "-gdwarf-4", "-O2"), ("clang", "-g", "-O3"),
    ("clang", "-g", "-O2", "-gsplit-dwarf"),
]
LEAST_FRAMES = 500
PYTHON = """
import ctypes
def deeper(n):
    return deeper(n - 1) if n else sorted([1, 2], key=die)
def die(_):
    ctypes.string_at(16)
deeper(6)
"""


def known(seen):
    """What a value is wherever the program lies."""
    return re.sub(r"0x[0-9a-f]+", "0x", values.plain(seen))


class Truth:
    """What a program holds: at -O0 gdb can see all of it. Where its compiler
    has told something else of the same code, but in a form that gdb knows, that
    is as good."""

    def __init__(self):
        self.of = []

    def add(self, gdbs):
        self.of.append({(function["function"], name): text
                        for frame in gdbs
                        for function in filter(None, frame["functions"])
                        for name, text in function["args"] +
                        function["locals"]})

    def confirms(self, seen, text, by=None):
        """By all there is, or the first BY."""
        told = [of[seen.function, seen.name] for of in self.of[:by]
                if (seen.function, seen.name) in of]
        if not told or seen.name == "argv":
            return None
        return any(values.agrees(known(text), known(each)) for each in told)


class Result:
    def __init__(self):
        self.tally = values.Tally()
        self.gdb_is_wrong = self.unconfirmed = 0
        self.ours_is_wrong = []

    def judge(self, tally, truth):
        """Where the two differ, and where only we have a value."""
        for seen in tally.wrong:
            if truth.confirms(seen, seen.ours, 1) and \
                    not truth.confirms(seen, seen.gdbs, 1):
                self.gdb_is_wrong += 1
            else:
                self.ours_is_wrong.append(seen)
        for seen in tally.only_ours:
            confirmed = truth.confirms(seen, seen.ours)
            if confirmed is False:
                self.ours_is_wrong.append(seen)
            self.unconfirmed += confirmed is None


def one_crash(argv, program, result, truth):
    """What gdb says of it."""
    where = lib.temp_dir()
    core, report = values.cored(argv, where)
    gdbs = values.gdb_frames(program, core)
    for path in core, report:
        tally = values.Tally()
        tally.add(values.frames_of(values.our_frames(path), gdbs),
                  whole=path == core)
        result.judge(tally, truth)
        result.tally.merge(tally)
    shutil.rmtree(where)
    return gdbs


def build(compiler, options, sources, where):
    program = where / "program"
    done = subprocess.run([compiler, "-w", *options, "-o", program, *sources],
                          cwd=where, capture_output=True, text=True,
                          check=False)
    return program if done.returncode == 0 else None


def verdict(name, result):
    text = (f"{name}: {result.tally}; where they differ gdb is wrong "
            f"{result.gdb_is_wrong} times; {result.unconfirmed} of ours alone "
            "are not confirmed")
    if result.ours_is_wrong:
        compare.failed(name, f"{text}: {result.ours_is_wrong[:5]}")
    else:
        compare.ok(text)


def made_up():
    totals = Result()
    truths = {}
    for compiler, *options in BUILDS:
        result = Result()
        twin = compiler, *(o for o in options if o != "-gsplit-dwarf")
        for seed in SEEDS:
            truth = Truth()
            for other in BUILDS[0], twin:
                if (seed, other) in truths:
                    truth.add(truths[seed, other])
            where = lib.temp_dir()
            program = build(compiler, options,
                            calls.write(where, seed, FUNCTIONS), where)
            assert program, (compiler, options)
            truths[seed, (compiler, *options)] = one_crash(
                [program], program, result, truth)
            shutil.rmtree(where)
        verdict(f"{compiler} {' '.join(options)}", result)
        totals.tally.merge(result.tally)
    if totals.tally.frames < LEAST_FRAMES:
        compare.failed("frames", f"only {totals.tally}")
    compare.say(f"all: {totals.tally}")


def python():
    for program in "/usr/bin/python3.11", "/usr/bin/python3.11d":
        result = Result()
        one_crash([program, "-c", PYTHON], program, result, Truth())
        verdict(program, result)


compare.need("gdb", "gcc", "clang", "/usr/bin/python3.11")
made_up()
python()

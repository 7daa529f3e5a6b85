"""What runs in a process that has crashed, instruction by instruction: none of
it is libc's, and every system call is on the list in shim/signal/CALLS."""

import importlib.machinery
import importlib.util
import os
import pathlib
import re
import signal
import subprocess

import lib
import menu

TRAP = lib.BUILD / "test/trap"
ROLES = ("handler", "witness", "exec")
SECONDS = 60


def load_script(path):
    """The module of a script that has no .py."""
    loader = importlib.machinery.SourceFileLoader(path.name, str(path))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(path.name, loader))
    loader.exec_module(module)
    return module


CHECK_ZONE = load_script(lib.ROOT / "scripts/check-zone")


def call_names():
    """{number: name} of system calls, by the kernel's header."""
    text = subprocess.run(
        ["gcc", "-E", "-dM", "-include", "asm/unistd.h", "-x", "c",
         "/dev/null"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {int(number): name for name, number in
            re.findall(r"#define __NR_(\w+) (\d+)", text)}


def listed_calls():
    """{role: names} of shim/signal/CALLS and its machine's."""
    found = {role: set() for role in ROLES}
    for name, roles in CHECK_ZONE.listed_calls().items():
        for role in roles:
            found[role].add(name)
    return found


class Map:
    """Which function of a shim an offset belongs to, and which are the
    zone's."""

    def __init__(self, shim, objects):
        text = subprocess.run(["nm", "-n", shim], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        self.symbols = [(int(at, 16), name) for at, name in
                        re.findall(r"^([0-9a-f]+) [tT] (\S+)$", text, re.M)]
        text = subprocess.run(["nm", *objects], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        self.zone = set(re.findall(r" [tT] (\S+)$", text, re.M))

    def function(self, offset):
        below = [name for at, name in self.symbols if at <= offset]
        return below[-1] if below else "?"


def step_through(entry, shim, spool, threads=2):
    """The trap's log of ENTRY with THREADS others under SHIM, as
    [[word, ...], ...]."""
    log = lib.temp_dir() / "log"
    argv = [TRAP, shim, spool, log, menu.PROGRAM, entry.name,
            str(threads)]
    # Finding a crash's place in the text of its maps takes a million steps: one
    # death shows that for all.
    env = {"EPITAPH_DEADLINE_MS": "20000"}
    if entry.name != "null-write":
        env["EPITAPH_BUDGET"] = "0"
    with lib.start_plain(argv, env) as process:
        if "sent" in entry.traits:
            lib.wait_for(lambda: b"waiting" in process.output())
            children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}"
                                    "/children").read_text()
            os.kill(int(children), signal.SIGABRT)
        outcome = process.wait(SECONDS)
    assert outcome.exit == 0, f"{entry.name}: the trap: {outcome}"
    return [line.split() for line in log.read_text().splitlines()]


def complaints(lines, where, calls, names):
    """What in the log LINES the zone may not do."""
    found = set()
    for what, *words in lines:
        if what == "pc" and where.function(int(words[1], 16)) \
                not in where.zone:
            found.add(f"{words[0]} runs "
                      f"{where.function(int(words[1], 16))}, not the zone's")
        if what == "call":
            name = names.get(int(words[1]), words[1])
            if name not in calls[words[0]]:
                found.add(f"{words[0]} calls {name}, which is not listed")
        if what == "out":
            left = where.function(int(words[1], 16))
            if words[0] != "handler" or \
                    left not in CHECK_ZONE.MAY_CALL_INDIRECTLY:
                found.add(f"{words[0]} leaves the shim in {left}")
    return sorted(found)


def runs(lines):
    """{role: how many tasks were stepped}."""
    return {role: int(count) for what, role, count in
            (line for line in lines if line[0] == "run")}


@lib.deadline(240)
def test_zone_alone():
    """Every death on the menu, stepped: no libc, no unlisted system call"""
    where = Map(lib.SHIM, CHECK_ZONE.zone_objects())
    calls, names = listed_calls(), call_names()
    used = {role: set() for role in ROLES}
    wrong, whole = [], 0
    for entry in menu.entries():
        spool = lib.temp_dir("spool.")
        lines = step_through(entry, lib.SHIM, spool)
        wrong += [f"{entry.name}: {text}" for text in
                  complaints(lines, where, calls, names)]
        for _, role, number in (line for line in lines if line[0] == "call"):
            used[role].add(names[int(number)])
        if "plain" in entry.traits:
            assert runs(lines) == dict.fromkeys(ROLES, 1), \
                f"{entry.name}: {runs(lines)}"
            status = int(lines[-1][1])
            assert os.WTERMSIG(status) == entry.signal, \
                f"{entry.name}: {status:#x}"
            whole += 1
    lib.settle()
    for role in ROLES:
        print(f"{role} may also call:", *sorted(calls[role] - used[role]))
    assert not wrong, "\n".join(wrong)
    assert whole > 15, f"only {whole} deaths were stepped to the end"


@lib.deadline(120)
def test_zone_crowd():
    """With so many threads that another task keeps the memory, too"""
    where = Map(lib.SHIM, CHECK_ZONE.zone_objects())
    calls, names = listed_calls(), call_names()
    entry = next(e for e in menu.entries() if e.name == "abort")
    lines = step_through(entry, lib.SHIM, lib.temp_dir("spool."), 300)
    wrong = complaints(lines, where, calls, names)
    assert not wrong, "\n".join(wrong)
    assert runs(lines) == {"handler": 1, "witness": 2, "exec": 1}, runs(lines)
    lib.settle()


def test_zone_planted():
    """A malloc planted in handler or witness trips it, and so does a call"""
    calls, names = listed_calls(), call_names()
    entry = next(e for e in menu.entries() if e.name == "null-write")
    for plant, complaint in (
            ("handler", "handler leaves the shim in __wrap_complete_record"),
            ("witness", "witness leaves the shim in __wrap_collect_threads"),
            ("call", "witness calls getcpu, which is not listed")):
        shim = lib.BUILD / f"test/plant_{plant}.so"
        where = Map(shim, [*CHECK_ZONE.zone_objects(),
                           lib.BUILD / f"obj/tests/zone/plant_{plant}.o"])
        # Beside the shim, where it looks for its helper.
        here = lib.temp_dir("lib.")
        for file in (shim, lib.HELPER):
            (here / file.name).symlink_to(file)
        lines = step_through(entry, shim, lib.temp_dir("spool."))
        found = complaints(lines, where, calls, names)
        assert found == [complaint], f"{plant}: {found}"
    lib.settle()

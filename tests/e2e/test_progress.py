"""A bar on the terminal for what takes more than a second, whichever verb it
is, and none where nobody looks."""

import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import time

import lib
import symfiles
from test_symbolize import build_id, compile_names, crash, objcopy

STOPPED_S = 1.4  # more than the second that nobody needs a bar for
BAR = re.compile(r"(\w+) \[[# ]{30}\] +\d+ %, \d+ s\b")
TRIES = 5  # to come upon a child before it is done


def stop_child(process):
    """Stop the child of PROCESS as soon as there is one; its pid, or None
    where all was over before."""
    while process.poll() is None:
        for pid in lib.descendants(process.pid):
            os.kill(pid, signal.SIGSTOP)
            return pid
    return None


def read_all(terminal, process):
    """What PROCESS, and nobody else, writes to TERMINAL until it ends."""
    said = b""
    while select.select([terminal], [], [], lib.RUN_S)[0]:
        try:
            said += os.read(terminal, 1 << 16)
        except OSError:  # nobody has the other end any more
            return said.decode()
    raise AssertionError(f"it does not end: {process.args}")


def held_up(*argv, on_terminal=True):
    """(status, stdout, stderr) of the command line, whose child is stopped for
    a while; stderr is a terminal. What it makes has to be made each time."""
    for _ in range(TRIES):
        lib.forget_symbols()
        terminal, far_end = pty.openpty()
        process = subprocess.Popen(
            [lib.EPITAPH, *argv], stdout=subprocess.PIPE,
            stderr=far_end if on_terminal else subprocess.PIPE,
            env=lib.clean_env())
        os.close(far_end)
        pid = stop_child(process)
        if pid:
            time.sleep(STOPPED_S)
            os.kill(pid, signal.SIGCONT)
        if on_terminal:
            said = read_all(terminal, process)
        else:
            said = process.communicate(timeout=lib.RUN_S)[1].decode()
        os.close(terminal)
        if pid:
            out = process.stdout.read().decode() if on_terminal else ""
            return process.wait(), out, said
    raise AssertionError(f"its child cannot be caught: {argv}")


def slow_symbols(program):
    """A symbol file that it takes a while to read, where PROGRAM's is looked
    for below the folder symbols."""
    identity = build_id(program)
    place = pathlib.Path("symbols/program", symfiles.debug_id(identity))
    place.mkdir(parents=True)
    path = place / "program.sym"
    symfiles.write(path, identity, "program",
                   ["FILE 0 a.c\nFUNC 10 10 0 f\n", "10 4 1 0\n" * 2000000])
    return path


@lib.deadline(300)
def test_bar():
    """each verb that reads symbols shows a bar while it does"""
    program = compile_names("program", "-O2")
    report = crash(program)
    objcopy("--strip-all", program)
    slow = slow_symbols(program)
    for words, name in (
            (("symbolize", "-S", "symbols", report), "symbolizing"),
            (("symbols", "index", slow), "indexing"),
            (("symbols", "dump", slow, "-o", "out"), "writing"),
            (("symbols", "missing", "-S", "symbols", report), "looking"),
            (("addr2line", "-e", slow, "10"), "reading")):
        status, _, said = held_up(*words)
        assert status == 0, (words, said)
        assert BAR.search(said) and BAR.search(said)[1] == name, (words, said)
        assert said.endswith("\r\x1b[K"), (words, said)


@lib.deadline(300)
def test_no_bar():
    """nothing is shown where stderr is no terminal"""
    program = compile_names("program", "-O2")
    slow = slow_symbols(program)
    status, _, said = held_up("symbols", "index", slow, on_terminal=False)
    assert (status, said) == (0, ""), said

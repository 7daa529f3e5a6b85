"""The menu of deaths, as tests/crashers/menu.c describes it: adding a death
there adds it to the tests that go through all of them. Other crashers that
list their names when run without one are dishes too, without a description."""

import functools
import pathlib
import re
import subprocess
import time
from typing import NamedTuple

import lib

PROGRAM = lib.CRASHERS / "menu"


class Entry(NamedTuple):
    """SIGNAL ends it, 0 where it exits by itself; TRAITS are of {"plain",
    "address", "sent"}, enum trait of menu.c in words. REPORTS is None where
    nothing says how many there have to be."""

    name: str
    signal: int
    reports: int | None
    traits: frozenset
    program: pathlib.Path = PROGRAM


@functools.cache
def entries():
    """All that is on the menu."""
    text = subprocess.run([PROGRAM, "--list"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    found = []
    for line in text.splitlines():
        name, signal, reports, *traits = line.split()
        found.append(Entry(name, int(signal), int(reports),
                           frozenset(traits)))
    return found


def others(seconds=2):
    """(entries, left out) of the other crashers that list theirs; left out is
    what does not end by itself within SECONDS."""
    found = []
    for program in sorted(lib.CRASHERS.iterdir()):
        if program == PROGRAM or program.suffix or program.is_dir():
            continue
        done = lib.run_plain([program])
        if b"NAME is one of:" not in done.stderr:
            continue
        for name in re.findall(r"^  (\S+)$", done.stderr.decode(), re.M):
            found.append(Entry(name, 0, None, frozenset(), program))
    started = [lib.start_plain([entry.program, entry.name])
               for entry in found]
    end = time.monotonic() + seconds
    for process in started:
        while process.is_alive() and time.monotonic() < end:
            time.sleep(0.01)
    waits = [process.is_alive() for process in started]
    for process in started:
        process.end()
    return ([entry for entry, waiting in zip(found, waits) if not waiting],
            [entry for entry, waiting in zip(found, waits) if waiting])

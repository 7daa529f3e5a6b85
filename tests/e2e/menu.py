"""The menu of deaths, as tests/crashers/menu.c describes it: adding a death
there adds it to the tests that go through all of them."""

import functools
import subprocess
from typing import NamedTuple

import lib

PROGRAM = lib.CRASHERS / "menu"


class Entry(NamedTuple):
    """SIGNAL ends it, 0 where it exits by itself; TRAITS are of {"plain",
    "address", "sent"}, enum trait of menu.c in words."""

    name: str
    signal: int
    reports: int
    traits: frozenset


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

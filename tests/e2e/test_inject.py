"""Some of the system calls of a crash fail, and that it is noticed what comes
of it. `make inject` lets all of them fail."""

import re

import lib

INJECT = lib.ROOT / "tests/inject"


def inject(*args, env=None):
    """(exit status, last line) of a run; what it said is in the log."""
    outcome = lib.run_plain([INJECT, *args], {"B": lib.BUILD, **(env or {})},
                            seconds=280)
    text = outcome.stdout.decode()
    print(text, outcome.stderr.decode())
    return outcome.exit, text.splitlines()[-1]


@lib.deadline(300)
def test_inject():
    """300 times a call of a crash fails: the death is the same, and in time"""
    status, last = inject("--runs", "300", "--seed", "1")
    assert status == 0, last
    missed = int(re.search(r"(\d+) never made", last).group(1))
    assert last.startswith("300 runs in ") and missed < 60, last


@lib.deadline(300)
def test_inject_notices():
    """It is called wrong where there is less of a report than could be"""
    status, last = inject("--runs", "6", "--strict", "--only",
                          "every clone of witness")
    assert status == 1 and last.endswith("6 wrong"), last

"""A short soak, and that a soak notices what is wrong. `make soak` is the long
one."""

import re

import lib

SOAK = lib.ROOT / "tests/soak"


def soak(crashes, *args, env=None):
    """(exit status, last line) of a soak; what it said is in the log."""
    outcome = lib.run_plain([SOAK, "--crashes", crashes, *args],
                            {"B": lib.BUILD, **(env or {})}, seconds=280)
    text = outcome.stdout.decode()
    print(text, outcome.stderr.decode())
    return outcome.exit, text.splitlines()[-1]


@lib.deadline(300)
def test_soak():
    """600 crashes of all kinds, in random order: nothing hangs or differs"""
    status, last = soak(600, "--seed", 1)
    assert status == 0, last
    assert last.startswith("600 crashes in "), last
    assert not re.search(r"[1-9]\d* (hung|other|report|bad|stray|left)", last)


def test_soak_notices():
    """A soak fails where the reports do not come"""
    status, last = soak(60, "--seed", 7, env={"EPITAPH_DISABLE": "1"})
    missing = int(re.search(r"(\d+) report missing", last).group(1))
    assert status == 1, last
    assert 5 < missing <= 60, last

"""On a kernel before 5.16, where a core dump kills all that share the memory,
so that the helper has to hold what it needs before the death."""

import os

import lib
import menu
import vm

DEATHS = ("null-write", "abort", "breakpoint", "thread-null", "overflow",
          "together", "past-end", "raise-segv", "no-descriptors")


@lib.deadline(400)
def test_menu():
    """Before 5.16, a user: every death its own, tier 1"""
    vm.check_menu(1, "tester")


@lib.deadline(400)
def test_menu_untraced():
    """Before 5.16 and where nobody may trace: every death its own, tier 2"""
    vm.check_menu(2, "tester")


@lib.deadline(300)
def test_cores():
    """Before 5.16 core and report are both made, with the same siginfo"""
    for name in DEATHS:
        found = []
        for run in (lib.run_plain, lib.run_under_shim):
            where = vm.make_dir()
            outcome = run([menu.PROGRAM, name, "3"], cores=True, cwd=where)
            assert os.WCOREDUMP(outcome.status), f"{name}: {outcome.status}"
            cores = list(where.glob("core*"))
            assert len(cores) == 1, f"{name}: {cores}"
            found.append((outcome.status, vm.core_siginfo(cores[0])))
        (plain, theirs), (shim, ours) = found
        assert shim == plain, f"{name}: {shim} for {plain}"
        assert ours[:2] == theirs[:2], f"{name}: {ours} for {theirs}"
        meta = lib.user_stream(outcome.report)
        assert meta["tier"] == 1 and meta["complete"], \
            f"{name}: {meta['tier']} {meta['tier_reason']}"

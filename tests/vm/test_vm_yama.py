"""The menu in those scopes of Yama that can be left again."""

import lib
import vm


@lib.deadline(400)
def test_scope_0_root():
    """Yama 0, root: every death its own, tier 1"""
    vm.check_menu(0, "root")


@lib.deadline(400)
def test_scope_0_user():
    """Yama 0, a user: every death its own, tier 1"""
    vm.check_menu(0, "tester")


@lib.deadline(400)
def test_scope_1_root():
    """Yama 1, root: every death its own, tier 1"""
    vm.check_menu(1, "root")


@lib.deadline(400)
def test_scope_1_user():
    """Yama 1, a user: every death its own, tier 1"""
    vm.check_menu(1, "tester")


@lib.deadline(400)
def test_scope_2_root():
    """Yama 2, root: every death its own, tier 1"""
    vm.check_menu(2, "root")


@lib.deadline(400)
def test_scope_2_user():
    """Yama 2, a user: every death its own, tier 2"""
    vm.check_menu(2, "tester")


@lib.deadline(400)
def test_others_scope_1():
    """Yama 1, a user: other crashers die as without the shim"""
    vm.check_others(1, "tester")


@lib.deadline(400)
def test_others_scope_2():
    """Yama 2, a user: other crashers die as without the shim"""
    vm.check_others(2, "tester")

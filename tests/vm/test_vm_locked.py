"""The menu in Yama's scope 3, where nobody traces until the next boot."""

import lib
import vm


@lib.deadline(400)
def test_scope_3_root():
    """Yama 3, root: every death its own, tier 2"""
    vm.check_menu(3, "root")


@lib.deadline(400)
def test_scope_3_user():
    """Yama 3, a user: every death its own, tier 2"""
    vm.check_menu(3, "tester")

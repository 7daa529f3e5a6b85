"""The unwinder against the true stack, at every instruction of some programs of
the oracle's corpus. `make oracle` takes all of them."""

import importlib.machinery
import importlib.util
import re
import subprocess

import lib

RIGHT = ["asm.clang.O2", "asm.gcc.O2", "calls.clang.O0", "calls.clang.O3",
         "calls.gcc.O0", "calls.gcc.O2.cet.lazy", "calls.gcc.O2.debugframe",
         "calls.gcc.O2.lto", "calls.gcc.O2.static", "calls.gcc.O3",
         "thrown.gcc.O2"]
NONE = ["asm.gcc.O2.nocfi", "calls.gcc.O0.nocfi", "calls.gcc.O2.nocfi",
        "calls.musl.O2"]
WRONG = ["asm.clang.O2.wrongcfi", "asm.gcc.O2.wrongcfi"]


def oracle():
    """The module tests/oracle/run."""
    loader = importlib.machinery.SourceFileLoader(
        "oracle_run", str(lib.ROOT / "tests/oracle/run"))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def judged(programs, shadow=False):
    """What the oracle counted in PROGRAMS, promises held. With SHADOW the
    unwinder has a shadow stack."""
    total, broken = oracle().judge_all(programs, shadow=shadow)
    for kind, stacks in total.items():
        print(kind, stacks.line())
    assert not broken, "\n".join(broken)
    return total


@lib.deadline(300)
def test_right_tables():
    """Where CFI is right, the stack is the true one at every instruction"""
    total = judged(RIGHT)
    assert total["right"].stacks > 400_000
    assert total["right"].exact >= 0.999 * total["right"].stacks
    assert total["right"].level("sigframe").frames > 1000
    assert total["right"].level("plt").frames > 100


@lib.deadline(300)
def test_no_tables():
    """Without CFI, what is called certain is true"""
    total = judged(NONE)
    assert total["none"].stacks > 50_000


@lib.deadline(300)
def test_wrong_tables():
    """Where CFI is wrong, no level but those that read it is misled"""
    total = judged(WRONG)
    assert total["wrong"].stacks > 10_000


@lib.deadline(300)
def test_shadow_stack():
    """With a shadow stack every pc is true, whatever the tables say"""
    total = judged(WRONG + ["calls.gcc.O0.nocfi", "calls.gcc.O2.nocfi",
                            "thrown.gcc.O2"], shadow=True)
    for kind, stacks in total.items():
        assert stacks.pcs == stacks.stacks > 1000, kind
    assert total["none"].exact > 0.98 * total["none"].stacks


def wrong_places(program):
    """{pc: (sp, number, caller, its sp)} of the first frames that are missed in
    PROGRAM, by CFI that two interpreters find wrong."""
    text = subprocess.run(
        ["nice", "-n", "15", lib.BUILD / "test/oracle", "-s", "100000",
         program], check=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, env={"PATH": "/usr/bin"}, text=True).stderr
    found = {}
    for kind, number, caller, at, pc, sp in re.findall(
            r"mistake \((\w+)\): (\d+) of \d+ frames, next is (\w+) at "
            r"(\w+)\n"
            r"(?:  (?:true|ours) .*\n)*  pc (\w+) sp (\w+)\n", text):
        if kind == "wrong" and caller != "0":
            found.setdefault(pc, (sp, number, caller, at))
    return found


@lib.deadline(300)
def test_gdb_agrees():
    """Where two interpreters find CFI wrong, gdb misses the caller as well"""
    lib.need("gdb")
    program = lib.BUILD / "oracle/calls.gcc.O0"
    places = wrong_places(program)
    assert len(places) > 5, places
    listed = lib.temp_dir() / "places"
    listed.write_text("".join(f"{pc} {' '.join(rest)}\n"
                              for pc, rest in places.items()))
    text = subprocess.run(
        ["nice", "-n", "15", "gdb", "-q", "-nx", "-batch", "-x",
         lib.ROOT / "tests/oracle/gdb_side.py", program], check=True,
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        env={"PATH": "/usr/bin", "ORACLE_PLACES": str(listed)}).stdout
    seen = re.findall(r"place (\w+) \w+ (\d+) (\d+)", text)
    assert len(seen) == len(places), text[-2000:]
    asked = [(pc, int(times), int(right)) for pc, times, right in seen
             if times != "0"]
    assert len(asked) >= len(places) - 2, seen
    right = [pc for pc, times, right in asked if times == right]
    assert not right, f"gdb finds the true caller at {right}"

"""An uncaught exception: its type, and what it says, from programs that know
nothing of Epitaph."""

import re
import signal

import lib

SOURCE = lib.ROOT / "tests/crashers/thrown.cc"
COMMON = ["-std=c++11", "-pthread", "-w", SOURCE]

# Ways to build it; each has its runtime in another place.
WAYS = {
    "optimized": ["g++", "-O2"],
    "unoptimized": ["g++", "-O0"],
    "clang": ["clang++", "-O1"],
    "runtime inside": ["g++", "-O2", "-static-libstdc++", "-static-libgcc"],
    "runtime inside, non-PIE": ["g++", "-O1", "-no-pie", "-static-libstdc++"],
    "libc++": ["clang++", "-O1", "-stdlib=libc++"],
    "libc++, unoptimized": ["clang++", "-O0", "-stdlib=libc++"],
}

TYPED = "uncaught exception of type "
SAID = {
    "after": "std::terminate() was called",
    "bad-alloc": TYPED + "std::bad_alloc: std::bad_alloc",
    "bool": TYPED + "bool: true",
    "caught": None,
    "char-pointer": TYPED + "char const*: a literal",
    # What its code computes cannot be had without running it.
    "computed": TYPED + "shop::Computed",
    "constant": TYPED + "shop::Constant: always this",
    "derived": TYPED + "shop::Derived: derived from derived",
    "destroy": TYPED + "std::runtime_error: from a destructor",
    "double": TYPED + "double: 2.5",
    "enum": TYPED + "shop::Code",
    "failure": TYPED + "std::ios_base::failure[abi:cxx11]: "
               "no stream: iostream error",
    "int": TYPED + "int: -42",
    "long-text": TYPED + "std::logic_error: " + "x" * 1023,
    "member": TYPED + "shop::Member: a text long enough for heap",
    "member-short": TYPED + "shop::Member: short",
    "nested": TYPED + "std::runtime_error: the second",
    "noexcept": TYPED + "std::runtime_error: past a noexcept",
    "none": "std::terminate() was called",
    "odd-text": TYPED + "std::runtime_error",
    "pass-on": TYPED + "std::invalid_argument: kept for later",
    "plain": TYPED + "shop::Plain",
    "pointer": TYPED + "shop::Pointer: by pointer",
    "pure": "pure virtual method called",
    "rethrow": TYPED + "std::range_error: once more",
    "runtime": TYPED + "std::runtime_error: it broke",
    "second": TYPED + "shop::Second: the second base",
    "string": TYPED + "std::string: a string that is on the heap",
    "system": TYPED + "std::system_error: x: No such file or directory",
    "thread": TYPED + "std::out_of_range: in a thread",
    "unsigned": TYPED + "unsigned int: 42",
    "virtual": TYPED + "shop::Virtual: a virtual base",
}

# Where the runtime is inside a program that exports nothing, std::terminate()
# has no name. libc++ inlines c_str() as a condition, which is not followed.
LESS = {
    "runtime inside": {"after": None, "none": None},
    "libc++": {
        "failure": TYPED + "std::__1::ios_base::failure: "
                   "no stream: unspecified iostream_category error",
        "member": TYPED + "shop::Member",
        "member-short": TYPED + "shop::Member",
        "system": TYPED + "std::__1::system_error: "
                  "x: No such file or directory",
    },
}


def thrown(*how):
    """The program of the tests, compiled HOW."""
    lib.need(how[0])
    program = lib.temp_dir() / "thrown"
    built = lib.run_plain([*how, *COMMON, "-o", program])
    assert built.exit == 0, built.stderr.decode()
    return program


def less(way):
    found = {}
    for name, messages in LESS.items():
        if way.startswith(name):
            found.update(messages)
    return found


def check(way):
    program = thrown(*WAYS[way])
    for name, message in {**SAID, **less(way)}.items():
        if name == "pure" and way.startswith("runtime inside"):
            continue  # nothing pulls the function in: a call to null
        outcome = lib.run_under_shim([program, name])
        assert outcome.signal == signal.SIGABRT, f"{name}: {outcome}"
        found = lib.user_stream(outcome.report)["message"]
        assert found == message, f"{way}, {name}: {found}"


@lib.deadline(240)
def test_gnu():
    """An uncaught exception of libstdc++ has its type and its text"""
    check("optimized")


@lib.deadline(240)
def test_unoptimized():
    """It has them also where nothing was optimized"""
    check("unoptimized")


@lib.deadline(240)
def test_clang():
    """It has them in a program that clang compiled"""
    check("clang")


@lib.deadline(300)
def test_inside():
    """It has them where the runtime is linked into the program"""
    check("runtime inside")
    check("runtime inside, non-PIE")


@lib.deadline(300)
def test_llvm():
    """An uncaught exception of libc++ has its type and its text"""
    check("libc++")
    check("libc++, unoptimized")


def test_as_printed():
    """What a report says is what the runtime itself has printed"""
    program = thrown(*WAYS["optimized"])
    for name in ("bad-alloc", "constant", "derived", "failure", "member",
                 "nested", "pointer", "second", "system", "virtual"):
        outcome = lib.run_under_shim([program, name])
        printed = re.fullmatch(
            r"terminate called after throwing an instance of '(.*)'\n"
            r"  what\(\):  (.*)\n", outcome.stderr.decode())
        assert printed, f"{name}: {outcome.stderr}"
        message = lib.user_stream(outcome.report)["message"]
        assert message == f"{TYPED}{printed[1]}: {printed[2]}", \
            f"{name}: {message}"


def test_handler_of_its_own():
    """A program's own terminate handler hides nothing"""
    source = lib.temp_dir() / "own.cc"
    source.write_text(
        "#include <cstdlib>\n#include <exception>\n#include <stdexcept>\n"
        "static void end() { __builtin_trap(); }\n"
        "int main() { std::set_terminate(end);\n"
        "throw std::overflow_error(\"too much\"); }\n")
    program = source.with_suffix("")
    built = lib.run_plain(["g++", "-O2", source, "-o", program])
    assert built.exit == 0, built.stderr.decode()
    outcome = lib.run_under_shim([program])
    assert outcome.signal == signal.SIGILL, outcome
    assert lib.user_stream(outcome.report)["message"] == \
        TYPED + "std::overflow_error: too much"


def test_look_alikes():
    """A program that catches, says what the runtime says, and aborts, caught"""
    source = lib.temp_dir() / "alike.cc"
    source.write_text(
        "#include <cstdio>\n#include <cstdlib>\n#include <stdexcept>\n"
        "int main() { try { throw std::runtime_error(\"x\"); }\n"
        "catch (const std::exception &e) {\n"
        "std::printf(\"terminating with %s error\\n\", e.what());\n"
        "std::puts(\"  what():  \"); std::abort(); } }\n")
    program = source.with_suffix("")
    built = lib.run_plain(["g++", "-O2", source, "-o", program])
    assert built.exit == 0, built.stderr.decode()
    outcome = lib.run_under_shim([program])
    assert outcome.signal == signal.SIGABRT, outcome
    message = lib.user_stream(outcome.report)["message"]
    assert message is None, message


def test_plugin():
    """An exception out of a library that was loaded later is found as well"""
    where = lib.temp_dir()
    source = where / "plugin.cc"
    source.write_text(
        "#include <stdexcept>\nextern \"C\" void go() {\n"
        "throw std::domain_error(\"from a plugin\"); }\n")
    built = lib.run_plain(["g++", "-O2", "-shared", "-fPIC", source, "-o",
                           where / "plugin.so"])
    assert built.exit == 0, built.stderr.decode()
    outcome = lib.run_under_shim(
        ["/usr/bin/python3", "-c",
         f"import ctypes; ctypes.CDLL('{where}/plugin.so').go()"])
    assert outcome.signal == signal.SIGABRT, outcome
    assert lib.user_stream(outcome.report)["message"] == \
        TYPED + "std::domain_error: from a plugin"

#!/usr/bin/python3
"""What a Rust program panicked with, where that is what ended it: the report's
message is what Rust itself says on stderr. Debian's rustc."""

import re
import signal

import compare
import lib

RUSTC = "/usr/bin/rustc"
SOURCE = compare.HERE / "rust/panics.rs"

# Name: words that are in its line, and what it says, if that can be had.
SAID = {
    "any": ("panic_any(42", None),
    "cross": ("crossed with", "crossed with 2"),
    "expect": (".expect(", "there has to be one"),
    "format": ("the number is", "the number is 42"),
    "index": ("list[n]", "index out of bounds: the len is 3 but the index "
              "is 42"),
    "literal": ("a literal text", "a literal text"),
    "long": ("repeat(", "ä" * 511),
    "string": ("an owned string", "an owned string"),
    "thread": ("in a thread", "in a thread"),
    "unwrap": ("result.unwrap", 'called `Result::unwrap()` on an `Err` '
               'value: "no luck"'),
}


def line_of(text):
    """The number of the line of the source that holds TEXT."""
    lines = SOURCE.read_text().splitlines()
    return 1 + next(i for i, line in enumerate(lines) if text in line)


def panics(*flags):
    program = lib.temp_dir("panics.") / "panics"
    compare.build(RUSTC, *flags, "-o", program, SOURCE)
    return program


def says(place, said):
    """A check that the message is PLACE, and SAID where it is not None."""
    pattern = place + (f": {re.escape(said)}" if said else "")

    def check(meta):
        assert re.fullmatch(pattern, meta["message"] or ""), meta["message"]

    return check


def says_nothing(meta):
    assert meta["message"] is None, meta["message"]


def place_of(words):
    return rf"panicked at {SOURCE}:{line_of(words)}:\d+"


def cases(how, *flags):
    program = panics("-C", "panic=abort", *flags)
    for name, (words, said) in SAID.items():
        compare.case(f"{name}, {how}", [program, name], 1,
                     sig=signal.SIGABRT, says=["panicked at"],
                     check=says(place_of(words), said))
    compare.case(f"abort() without a panic, {how}", [program, "abort"], 1,
                 sig=signal.SIGABRT, check=says_nothing)


compare.need(RUSTC)
cases("optimized", "-O")
cases("not optimized", "-g")
compare.case("abort() after a panic that was caught",
             [panics("-O"), "caught"], 1, sig=signal.SIGABRT,
             check=says_nothing)


def sanitized(meta):
    assert re.fullmatch(place_of("the number is"), meta["message"]), meta


compare.case("sanitized: the place, and not the text",
             [panics("-C", "panic=abort"), "format"], 1,
             env={"EPITAPH_SANITIZE": "1"}, check=sanitized)

"""What a Rust program panicked with, where that is what ended it."""

import re
import signal

import lib

SOURCE = lib.ROOT / "tests/crashers/panics.rs"


def line_of(text):
    """The number of the line of the source that holds TEXT."""
    lines = SOURCE.read_text().splitlines()
    return 1 + next(i for i, line in enumerate(lines) if text in line)


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


def panics(*options):
    lib.need("rustc")
    program = lib.temp_dir() / "panics"
    built = lib.run_plain(["rustc", *options, SOURCE, "-o", program])
    assert built.exit == 0, built.stderr.decode()
    return program


def check(*options):
    program = panics("-C", "panic=abort", *options)
    for name, (words, said) in SAID.items():
        outcome = lib.run_under_shim([program, name])
        assert outcome.signal == signal.SIGABRT, f"{name}: {outcome}"
        assert b"panicked at" in outcome.stderr, f"{name}: {outcome.stderr}"
        message = lib.user_stream(outcome.report)["message"]
        place = rf"panicked at {SOURCE}:{line_of(words)}:\d+"
        found = re.fullmatch(place + (f": {re.escape(said)}" if said else ""),
                             message or "")
        assert found, f"{name}: {message}"


@lib.deadline(240)
def test_optimized():
    """A panic that aborts says where it was, and what it said"""
    check("-O")


@lib.deadline(240)
def test_unoptimized():
    """It says so where the program was not optimized"""
    check("-g")


def test_no_panic():
    """abort() without a panic, or after one that was caught, has no text"""
    aborting = panics("-C", "panic=abort", "-O")
    unwinding = panics("-O")
    for program, name in ((aborting, "abort"), (unwinding, "abort"),
                          (unwinding, "caught")):
        outcome = lib.run_under_shim([program, name])
        assert outcome.signal == signal.SIGABRT, f"{name}: {outcome}"
        message = lib.user_stream(outcome.report)["message"]
        assert message is None, f"{name}: {message}"


def test_sanitized():
    """Sanitized, a panic has its place, and not its text"""
    outcome = lib.run_under_shim([panics("-C", "panic=abort"), "format"],
                                 {"EPITAPH_SANITIZE": "1"})
    message = lib.user_stream(outcome.report)["message"]
    assert re.fullmatch(r"panicked at \S+panics\.rs:\d+:\d+", message), message

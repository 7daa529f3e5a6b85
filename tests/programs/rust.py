#!/usr/bin/python3
"""Rust: its own handler for SIGSEGV and SIGBUS knows stack overflows and says
so, panics that unwind or abort. Debian's rustc."""

import signal

import compare
import lib

RUSTC = "/usr/bin/rustc"
OVERFLOWED = ["has overflowed its stack"]


def overflow(meta):
    assert "stack overflow" in meta["reason"], meta["reason"]
    assert meta["signal"]["number"] == signal.SIGSEGV, meta["signal"]


def null(meta):
    assert meta["reason"] == "null pointer write at 0x10", meta["reason"]


def cases(how, *flags):
    program = lib.temp_dir("rust.") / "faults"
    compare.build(RUSTC, "-O", "-g", *flags, "-o", program,
                  compare.HERE / "rust/faults.rs")
    abrt, segv = signal.SIGABRT, signal.SIGSEGV
    aborts = "panic=abort" in flags

    def case(name, word, reports, **expected):
        compare.case(f"{name}, {how}", [program, word], reports, **expected)

    if aborts:
        case("a panic", "panic", 1, sig=abrt, says=["told to"])
        case("a panic out of extern \"C\"", "extern", 1, sig=abrt,
             says=["no order"])
    else:
        case("a panic", "panic", 0, exit=101, says=["told to"])
        case("100 panics of threads, caught", "caught", 0, exit=0,
             says=["all caught"])
        # Before 1.81 Rust unwinds through C there, up to main.
        case("a panic out of extern \"C\"", "extern", 0, exit=101,
             says=["no order"])
    case("a stack overflow of the main thread", "overflow", 1, sig=abrt,
         says=OVERFLOWED, check=overflow)
    case("a stack overflow of a thread", "thread", 1, sig=abrt,
         says=OVERFLOWED + ["deep one"], check=overflow)
    case("a null pointer", "null", 1, sig=segv, check=null)
    case("process::abort", "abort", 1, sig=abrt)


compare.need(RUSTC)
cases("that unwinds")
cases("that aborts", "-C", "panic=abort")

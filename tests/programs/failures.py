#!/usr/bin/python3
"""Failure handlers that programs bring along: glog's, abseil's and Python's
faulthandler. They print what they print, and the report is about the fault."""

import signal
import subprocess

import compare
import lib

PYTHON = "/usr/bin/python3"
FAULTS = {
    "fault": ("SIGSEGV", signal.SIGSEGV),
    "thread": ("SIGSEGV", signal.SIGSEGV),
    "throw": ("SIGABRT", signal.SIGABRT),
    "abort": ("SIGABRT", signal.SIGABRT),
}


def null(meta):
    assert meta["reason"] == "null pointer write at 0x10", meta["reason"]


def flags(*packages):
    done = subprocess.run(["pkg-config", "--cflags", "--libs", *packages],
                          capture_output=True, text=True, check=True)
    return done.stdout.split()


def handler(name, program, in_thread):
    for word, (text, sig) in FAULTS.items():
        check = null if sig == signal.SIGSEGV else None
        compare.case(f"{name}: {word}", [program, word], 1, sig=sig,
                     says=[f"{text}.* received"],
                     check=in_thread if word == "thread" else check)


def glog(where):
    program = where / "glog"
    compare.build("g++", "-O1", "-g", "-w", "-DUSE_GLOG", "-o", program,
                  compare.HERE / "c/failures.cc", *flags("libglog"),
                  "-pthread")
    # It kills its process, which the main thread receives, if that is faster
    # than the thread itself: docs/limits.md.
    handler("glog", program, None)
    compare.case("glog: a check that fails", [program, "check"], 1,
                 sig=signal.SIGABRT, says=["Check failed.*a check"])


def abseil(where):
    program = where / "abseil"
    compare.build("g++", "-O1", "-g", "-w", "-o", program,
                  compare.HERE / "c/failures.cc",
                  *flags("absl_failure_signal_handler", "absl_symbolize"),
                  "-pthread")
    handler("abseil", program, null)
    compare.case("abseil: a stack overflow", [program, "deep"], 1,
                 sig=signal.SIGSEGV, says=["SIGSEGV received"],
                 check=overflow)


def overflow(meta):
    assert "stack overflow" in meta["reason"], meta["reason"]


def faulthandler():
    for how, text, reports in (
            ("ctypes.string_at(0)", "Segmentation fault", 1),
            ("ctypes.string_at(1)", "Segmentation fault", 1),
            ("__import__('os').abort()", "Aborted", 1),
            ("__import__('signal').raise_signal(8)", "Floating point", 1)):
        compare.case(f"faulthandler: {how}", [
            PYTHON, "-X", "faulthandler", "-c", f"import ctypes; {how}"],
            reports, says=[f"Fatal Python error: {text}",
                           'File "<string>", line 1 in <module>'])


compare.need("g++", "pkg-config")
base = lib.temp_dir("cc.")
glog(base)
abseil(base)
faulthandler()

#!/usr/bin/python3
"""Programs built with AddressSanitizer, ThreadSanitizer and UBSan, by gcc (a
shared runtime, which insists on being loaded first) and by clang (a static
one): they start, say what they found, and end as without the shim. A sanitizer
that exits by a system call of its own leaves no report; one that is told to
abort does."""

import signal

import compare
import lib

BUILDS = {
    "gcc's ASan": ["gcc", "-fsanitize=address"],
    "clang's ASan": ["clang", "-fsanitize=address"],
    "gcc's TSan": ["gcc", "-fsanitize=thread"],
    "clang's TSan": ["clang", "-fsanitize=thread"],
    "gcc's UBSan": ["gcc", "-fsanitize=undefined"],
}
ABORT = {f"{name}_OPTIONS": "abort_on_error=1:disable_coredump=0"
         for name in ("ASAN", "TSAN", "UBSAN")}


def address(name, program):
    for word, text in (("overflow", "heap-buffer-overflow"),
                       ("after-free", "heap-use-after-free"),
                       ("fault", "SEGV on unknown address 0x0*10 "),
                       ("thread", "SEGV on unknown address 0x0*10 "),
                       ("deep", "stack-overflow")):
        compare.case(f"{name}: {word}", [program, word], 0, exit=1,
                     says=[text, "ABORTING|SUMMARY"])
        compare.case(f"{name}: {word}, told to abort", [program, word], 1,
                     sig=signal.SIGABRT, says=[text], env=ABORT)


    compare.case(f"{name}: leak", [program, "leak"], 0, exit=1,
                 says=["detected memory leaks"])


def thread(name, program):
    compare.case(f"{name}: race", [program, "race"], 0, exit=66,
                 says=["data race"])
    compare.case(f"{name}: fault", [program, "fault"], 0, exit=66,
                 says=["SEGV on unknown address 0x0*10 "])


def undefined(name, program):
    compare.case(f"{name}: fault", [program, "fault"], 1, sig=signal.SIGSEGV)


def cases():
    where = lib.temp_dir("san.")
    for number, (name, compiler) in enumerate(BUILDS.items()):
        compare.need(compiler[0])
        program = where / f"program{number}"
        compare.build(*compiler, "-O1", "-g", "-fno-omit-frame-pointer",
                      "-pthread", "-w", "-o", program,
                      compare.HERE / "c/sanitized.c")
        compare.case(f"{name}: nothing wrong", [program, "none"], 0, exit=0,
                     says=["to the end"])
        compare.case(f"{name}: abort", [program, "abort"], 1,
                     sig=signal.SIGABRT)
        if "ASan" in name:
            address(name, program)
        elif "TSan" in name:
            thread(name, program)
        else:
            undefined(name, program)


cases()

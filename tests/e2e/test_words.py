"""A report says in words what happened: the reason of a fault, who sent a
signal, and what an exception said."""

import os
import re
import signal

import lib

WORDS = lib.CRASHERS / "words"

# Name of the death: signal, what the reason says all of, and the innermost
# functions, "" for a frame in no function.
DEATHS = {
    "bad-opcode": ("SIGILL", r"illegal instruction at 0x[0-9a-f]+",
                   ["bad_opcode"]),
    "breakpoint": ("SIGTRAP", "breakpoint", ["breakpoint"]),
    "call-null": ("SIGSEGV", "call to null", ["", "jump", "call_null"]),
    "call-small": ("SIGSEGV", "null pointer call at 0x18",
                   ["", "jump", "call_small"]),
    "divide-memory": ("SIGFPE",
                      "integer divide by zero( or quotient overflow)?",
                      ["divide_memory"]),
    "divide-overflow": ("SIGFPE", "integer quotient overflow",
                        ["divide_overflow"]),
    "divide-register": ("SIGFPE", "integer divide by zero",
                        ["divide_register"]),
    "first-byte": ("SIGSEGV", "privileged instruction hlt",
                   ["", "jump", "first_byte"]),
    "forbidden-call": ("SIGSYS", r"system call 140 \(getpriority\) refused by "
                       "seccomp", ["syscall", "forbidden_call"]),
    "jump-data": ("SIGSEGV", r"jump to non-executable address 0x\w+ in "
                  r"\S+/words", ["", "jump", "jump_data"]),
    "jump-heap": ("SIGSEGV", r"jump to non-executable address 0x\w+ in "
                  r"\[heap\]", ["", "jump", "jump_heap"]),
    "jump-stack": ("SIGSEGV", r"jump to non-executable address 0x\w+ in "
                   r"\[stack\]", ["", "jump", "jump_stack"]),
    "jump-unmapped": ("SIGSEGV", r"jump to unmapped address 0x\w+123",
                      ["", "jump", "jump_unmapped"]),
    "jump-wild": ("SIGSEGV", "jump to non-canonical address "
                  "0x4141414141414141", None),
    "last-byte": ("SIGSEGV", "privileged instruction hlt",
                  ["", "jump", "last_byte"]),
    "misaligned-checked": ("SIGBUS", r"misaligned access at 0x\w+",
                           ["misaligned_checked"]),
    "misaligned-vector": ("SIGSEGV", r"misaligned access at 0x\w+1",
                          ["misaligned_vector"]),
    "overflow": ("SIGSEGV", r"stack overflow at 0x\w+", ["recurse"]),
    "overflow-thread": ("SIGSEGV", r"stack overflow at 0x\w+", ["recurse"]),
    "overflow-wide": ("SIGSEGV", r"stack overflow at 0x\w+",
                      ["recurse_wide"]),
    "past-end": ("SIGBUS", r"access past the end of mapped file "
                 r"\S+/past-end\.\w+ \(deleted\) at 0x\w+000", ["past_end"]),
    "port": ("SIGSEGV", "privileged instruction out", ["port"]),
    "privileged": ("SIGSEGV", "privileged instruction cli", ["privileged"]),
    "read-guarded": ("SIGSEGV", "read from protected mapping anonymous "
                     r"memory at 0x\w+", ["read_guarded"]),
    "read-wild": ("SIGSEGV", "access to non-canonical address "
                  "0x4141414141414141", ["read_wild"]),
    "return-wild": ("SIGSEGV", "jump to non-canonical address "
                    "0x4242424242424242", None),
    "trap": ("SIGILL", r"illegal instruction ud2 at 0x\w+, put there on "
             "purpose", ["trap"]),
    "write-code": ("SIGSEGV", r"write to read-only mapping \S+/words at "
                   r"0x\w+", ["write_code"]),
    "write-constant": ("SIGSEGV", r"write to read-only mapping \S+/words at "
                       r"0x\w+", ["write_constant"]),
    "write-unmapped": ("SIGSEGV", r"write to unmapped address 0x\w+",
                       ["write_unmapped"]),
}


def innermost(symbolized, n):
    """Names of the N innermost functions, inlined ones left out."""
    frames = lib.crashed_thread(symbolized)["frames"]
    return [frame["function"] or "" for frame in frames
            if not frame["inline"]][:n]


@lib.deadline(300)
def test_reasons():
    """Each kind of fault has its words, and the frames that led to it"""
    for name, (sig, reason, functions) in DEATHS.items():
        outcome = lib.run_under_shim([WORDS, name])
        symbolized = lib.symbolize(outcome.report)
        assert symbolized["signal"]["name"] == sig, f"{name}: {symbolized}"
        assert outcome.signal == getattr(signal, sig), f"{name}: {outcome}"
        assert re.fullmatch(reason, symbolized["reason"]), \
            f"{name}: {symbolized['reason']}"
        if functions is not None:
            found = innermost(symbolized, len(functions))
            assert found == functions, f"{name}: {found}"
            names = lib.functions(lib.crashed_thread(symbolized))
            first = "overflow_there" if "thread" in name else "main"
            assert first in names, f"{name}: {names[-5:]}"


def test_no_address():
    """A fault that has no address is not given one"""
    for name in ("read-wild", "privileged", "misaligned-vector"):
        symbolized = lib.symbolize(lib.run_under_shim([WORDS, name]).report)
        assert symbolized["signal"]["address"] is None, name


def test_code_window():
    """At the first and the last byte of a mapping no code beyond is kept"""
    for name in ("first-byte", "last-byte"):
        report = lib.run_under_shim([WORDS, name]).report
        frame = lib.crashed_thread(lib.symbolize(report))["frames"][0]
        pc = int(frame["pc"], 16)
        ranges = lib.memory_ranges(lib.unpack(report))
        start, code = next((start, code) for start, code in ranges
                           if start <= pc < start + len(code))
        assert code[pc - start] == 0xf4, f"{name}: {code.hex()}"
        if name == "first-byte":
            assert start == pc, hex(start)
        else:
            assert start + len(code) == pc + 1, hex(start)


def test_both_ends():
    """After an overflow the top of the stack is kept, and its base"""
    report = lib.run_under_shim([WORDS, "overflow"]).report
    symbolized = lib.symbolize(report)
    names = lib.functions(lib.crashed_thread(symbolized))
    assert names[0] == "recurse" and "main" in names, names[-5:]
    sp = int(lib.crashed_thread(symbolized)["registers"]["rsp"], 16)
    ranges = [(start, start + len(code)) for start, code in
              lib.memory_ranges(lib.unpack(report))]
    # The push that was too much is below the stack's mapping.
    assert any(start - 4096 <= sp < end for start, end in ranges), ranges
    # Eight MiB higher, where main's frame is.
    assert any(start > sp + (7 << 20) for start, _ in ranges), ranges


def test_sender():
    """A signal that was sent says by whom: number, name and user"""
    with lib.start_under_shim([WORDS, "wait"]) as process:
        lib.wait_for(lambda: b"waiting" in process.output())
        process.kill(signal.SIGSEGV)
        outcome = process.wait()
    symbolized = lib.symbolize(outcome.report)
    with open("/proc/self/comm", encoding="utf-8") as comm:
        name = comm.read().strip()
    sender = {"pid": os.getpid(), "uid": os.getuid(), "name": name}
    assert symbolized["signal"]["sender"] == sender, symbolized["signal"]
    assert symbolized["reason"] == \
        f"sent by pid {os.getpid()} ({name}, uid {os.getuid()})"
    assert f"sent by process {os.getpid()} ({name}) of user {os.getuid()}" \
        in lib.epitaph_ok("symbolize", outcome.report)


def test_sender_gone():
    """A sender that is gone has a number, and no name that is another's"""
    with lib.start_under_shim([WORDS, "wait"]) as process:
        lib.wait_for(lambda: b"waiting" in process.output())
        killer = lib.run_plain(["/bin/sh", "-c",
                                f"echo $$; kill -SEGV {process.pid}"])
        outcome = process.wait()
    sender = lib.symbolize(outcome.report)["signal"]["sender"]
    assert sender["pid"] == int(killer.stdout), sender
    assert sender["name"] in (None, "sh"), sender

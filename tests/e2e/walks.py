"""The stacks of one process, live or as a core, by `epitaph stack`, by gdb and
by eu-stack, and what one has that another has not, thread by thread."""

import collections
import difflib
import json
import os
import pathlib
import re
import signal
import struct
from typing import NamedTuple

import lib

GDB_S = 300       # with 100 threads, on a busy machine
LOWEST_PC = 4096  # nothing is mapped below

_GDB_SCRIPT = r"""
import gdb, json
threads = {}
for thread in gdb.selected_inferior().threads():
    thread.switch()
    pcs, frame = [], gdb.newest_frame()
    try:
        while frame is not None and frame.is_valid():
            if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
                pcs.append(frame.pc())
            frame = frame.older()
    except gdb.error:
        pass
    threads[thread.ptid[1] or thread.ptid[2]] = pcs
print("FRAMES " + json.dumps(threads))
"""


class Subject(NamedTuple):
    """What to look at: a process, or a CORE of the program EXE."""

    pid: int | None
    core: pathlib.Path | None = None
    exe: str | None = None


def by_epitaph(subject):
    """{tid: thread} of `epitaph stack --json`."""
    return {thread["tid"]: thread for thread in _document(subject)["threads"]}


def _document(subject):
    where = ["-p", subject.pid] if not subject.core else [subject.core]
    return json.loads(lib.epitaph_ok("stack", "--json", *where, seconds=120))


def by_gdb(subject):
    """{tid: [pc, ...]}: physical frames, out to the very first one."""
    lib.need("gdb")
    script = lib.temp_dir("gdb.") / "frames.py"
    script.write_text(_GDB_SCRIPT)
    where = ["-p", subject.pid]
    if subject.core:
        where = [subject.exe, subject.core]
    text = lib.run_plain(
        ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off",
         "-ex", "set backtrace limit unlimited",
         "-ex", "set backtrace past-main on",
         "-ex", "set auto-load no", *where, "-x", script],
        seconds=GDB_S).stdout.decode(errors="replace")
    frames = re.search(r"^FRAMES (.*)$", text, re.M)
    assert frames, f"gdb printed no frames: {text[-2000:]}"
    return {int(tid): pcs for tid, pcs in json.loads(frames[1]).items()}


def by_eu_stack(subject):
    """{tid: [pc, ...]}, as far as it comes: it may fail for a thread."""
    lib.need("eu-stack")
    where = ["-p", subject.pid]
    if subject.core:
        where = [f"--core={subject.core}", f"--executable={subject.exe}"]
    text = lib.run_plain(["eu-stack", "-n", "0", "-q", *where],
                         seconds=120).stdout.decode(errors="replace")
    found = {}
    for line in text.splitlines():
        match = re.match(r"TID (\d+):|#\d+ +0x([0-9a-f]+)", line)
        if match and match[1]:
            pcs = found[int(match[1])] = []
        elif match:
            pcs.append(int(match[2], 16))
    return found


# What is code


def code_of(subject):
    """[(start, end)] of the executable memory."""
    if subject.core:
        return _code_in_core(subject.core.read_bytes()[:1 << 20])
    maps = pathlib.Path(f"/proc/{subject.pid}/maps").read_text()
    return [(int(start, 16), int(end, 16)) for start, end in re.findall(
        r"^([0-9a-f]+)-([0-9a-f]+) ..x", maps, re.M)]


def _code_in_core(head):
    at, = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    found = []
    for i in range(count):
        kind, flags, _, start, _, _, length = struct.unpack_from(
            "<IIQQQQQ", head, at + i * size)
        if kind == 1 and flags & 1:
            found.append((start, start + length))
    return found


# Comparison


class Difference(NamedTuple):
    """Of one thread: what the other tool has that we have not, each with a
    reason or None, and what we have that it has not, each with its trust."""

    tid: int
    missing: list
    extra: list


class Place(NamedTuple):
    """Where code is: ranges of (start, end)."""

    code: list
    modules: list

    def is_code(self, pc):
        return any(start <= pc <= end for start, end in self.code)

    def has_table(self, pc):
        """False where no table can describe code, for it is in no file."""
        return any(start <= pc <= end for start, end in self.modules)


def _reason(theirs, at, thread, pcs, is_behind_all, place):
    """Why THEIRS[AT] is not among PCS, ours of THREAD; None where nothing says
    so. A tool that has come to code without a table takes some word of the
    stack for the next frame. It was none where no code is there, nor are those
    behind it; or where we have come to the end of the stack without it."""
    pc = theirs[at]
    if pc < LOWEST_PC and at == len(theirs) - 1:
        return "end marks"
    if not place.is_code(pc):
        return "not code"
    if is_behind_all and thread["truncated"]:
        return thread["truncated"]
    if any(not place.is_code(pc) and pc not in pcs for pc in theirs[:at]):
        return "guessed by it"
    if at > 0 and not place.has_table(theirs[at - 1]) and pcs and \
            not thread["truncated"]:
        return "guessed by it"
    return None


def difference(tid, thread, theirs, place):
    ours = [frame for frame in thread["frames"] if lib.is_physical(frame)]
    pcs = [int(frame["pc"], 16) for frame in ours]
    missing, extra = [], []
    for what, i, j, k, n in difflib.SequenceMatcher(
            None, pcs, theirs, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        extra += [(pc, frame["trust"])
                  for pc, frame in zip(pcs[i:j], ours[i:j])]
        missing += [(theirs[at], _reason(theirs, at, thread, pcs,
                                         j == len(pcs), place))
                    for at in range(k, n)]
    return Difference(tid, missing, extra)


class Comparison(NamedTuple):
    """Of one subject with one other tool: our THREADS, THEIRS as it gave them,
    and DIFFERENCES of those threads that have one."""

    threads: dict
    theirs: dict
    differences: list

    @property
    def frames(self):
        return sum(len(lib.pcs(each)) for each in self.threads.values())

    def unexplained(self):
        """[(tid, pc)] that is missing in ours for no reason."""
        return [(each.tid, hex(pc)) for each in self.differences
                for pc, why in each.missing if not why]

    def row(self):
        """How many threads and frames we have, how many of the other's we
        lack by reason, and how many it lacks by their trust."""
        missing = collections.Counter(
            why or "UNEXPLAINED" for each in self.differences
            for _, why in each.missing)
        extra = collections.Counter(
            trust for each in self.differences for _, trust in each.extra)

        def words(counts):
            return ", ".join(f"{n} {what}" for what, n in counts.items())

        return (f"{len(self.threads)} threads, {self.frames} frames; "
                f"we lack {words(missing) or 'none'}; "
                f"it lacks {words(extra) or 'none'}")


def compare(subject, theirs):
    """Comparison of SUBJECT with THEIRS, a function like by_gdb."""
    document, others = _document(subject), theirs(subject)
    threads = {thread["tid"]: thread for thread in document["threads"]}
    place = Place(code_of(subject), [
        (int(module["base"], 16), int(module["base"], 16) + module["size"])
        for module in document["modules"]])
    none = {"frames": [], "truncated": None}
    found = [difference(tid, threads.get(tid, none), pcs, place)
             for tid, pcs in others.items()]
    return Comparison(threads, others,
                      [each for each in found if each.missing or each.extra])


def hold(pid):
    """Stop PID, so that all who look see the same."""
    os.kill(pid, signal.SIGSTOP)
    lib.wait_for(lambda: lib.processes()[pid][1] in "Tt", what="a stop")


def core_of(process, sig=signal.SIGABRT):
    """The core that PROCESS leaves when SIG ends it: a Subject. It was started
    with cores=True, in a directory of its own."""
    exe = os.readlink(f"/proc/{process.pid}/exe")
    where = os.readlink(f"/proc/{process.pid}/cwd")
    process.kill(sig)
    process.kill(signal.SIGCONT)
    process.wait(reports=0)
    return Subject(None, lib.core_in(where), exe)


def is_whole_core(path):
    """True where PATH is a core that is written to its end."""
    if not path.is_file() or not lib.is_core(path):
        return False
    head = path.read_bytes()[:1 << 20]
    at, = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    kind, _, offset, _, _, length = struct.unpack_from(
        "<IIQQQQ", head, at + (count - 1) * size)
    return path.stat().st_size >= offset + length

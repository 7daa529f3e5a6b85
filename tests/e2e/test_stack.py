"""`epitaph stack` against gdb, on the same live processes and cores of real
programs, and what it says when it cannot."""

import json
import re
import signal
import time

import lib

STACKS = lib.CRASHERS / "stacks"

PYTHON_THREADS = """
import threading, time

def down(levels):
    if levels:
        down(levels - 1)
    time.sleep(1000)

for n in range(30):
    threading.Thread(target=down, args=(n,), daemon=True).start()
time.sleep(0.3)
print("ready", flush=True)
down(3)
"""


def stack(*args):
    """`epitaph stack --json`, parsed."""
    return json.loads(lib.epitaph_ok("stack", "--json", *args))


def by_tid(document):
    return {thread["tid"]: lib.pcs(thread) for thread in document["threads"]}


def gdb_live(pid):
    """{tid: [pc, ...]} by gdb of a live process; see lib.gdb_core()."""
    lib.need("gdb")
    script = lib.temp_dir("gdb.") / "frames.py"
    script.write_text(lib._GDB_SCRIPT)
    text = lib.run_plain(
        ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off",
         "-ex", "set backtrace limit unlimited",
         "-ex", "set backtrace past-main on",
         "-p", str(pid), "-x", script]).stdout.decode()
    frames = re.search(r"^FRAMES (.*)$", text, re.M)
    assert frames, f"gdb printed no frames: {text}"
    return {int(tid): [frame["pc"] for frame in found]
            for tid, found in json.loads(frames.group(1)).items()}


def is_ready(process):
    assert process.is_alive(), process.errors()
    return b"ready" in process.output()


def hexes(found):
    return {tid: [hex(pc) for pc in pcs] for tid, pcs in found.items()}


def compare_live(process):
    """What epitaph says of PROCESS, once it says what gdb says. A program may
    wake up between the two looks, so there are a few tries."""
    for _ in range(5):
        document = stack("-p", process.pid)
        ours, theirs = by_tid(document), gdb_live(process.pid)
        if ours == theirs:
            return document
        time.sleep(0.1)
    raise AssertionError(f"epitaph: {hexes(ours)}\ngdb: {hexes(theirs)}")


def compare_stacks(name, *args):
    with lib.Process([STACKS, name, *args]) as process:
        lib.wait_for(lambda: is_ready(process), what="ready")
        return compare_live(process)


def trusts(document):
    return [frame["trust"] for frame in document["threads"][0]["frames"]
            if lib.is_physical(frame)]


def names(thread):
    return [name for name in lib.functions(thread) if name]


def test_sleep():
    """A sleeping program's stack is gdb's, to _start"""
    with lib.Process(["sleep", "100"]) as process:
        lib.wait_for(lambda: "nanosleep" in lib.run_plain(
            ["cat", f"/proc/{process.pid}/wchan"]).stdout.decode(),
            what="sleep")
        document = compare_live(process)
    assert len(document["threads"]) == 1
    assert document["threads"][0]["name"] == "sleep"
    assert document["threads"][0]["truncated"] is None
    assert document["stopped_us"] > 0


@lib.deadline(240)
def test_python_threads():
    """Thirty-one Python threads of different depth are as gdb sees them"""
    with lib.Process(["/usr/bin/python3", "-c", PYTHON_THREADS]) as process:
        lib.wait_for(lambda: is_ready(process), what="ready")
        document = compare_live(process)
    assert len(document["threads"]) == 31
    for thread in document["threads"]:
        assert thread["truncated"] is None, thread
        assert any("_PyEval_EvalFrameDefault" in name
                   for name in names(thread)), names(thread)


def test_redis():
    """redis and its background threads are as gdb sees them"""
    lib.need("redis-server")
    port = lib.free_port()
    with lib.Process(["redis-server", "--port", port, "--bind", "127.0.0.1",
                      "--save", "", "--hz", "1"]) as process:
        lib.wait_for(lambda: b"eady to accept" in process.output(),
                     what="redis")
        document = compare_live(process)
    assert len(document["threads"]) >= 4
    assert {thread["truncated"] for thread in document["threads"]} == {None}


def test_recursion():
    """Four hundred frames of recursion are as gdb sees them"""
    document = compare_stacks("deep", "400")
    thread = document["threads"][0]
    assert thread["depth"] == len(lib.pcs(thread)) > 400


def test_deep_recursion():
    """Of forty thousand frames both ends are kept, and the true depth"""
    with lib.Process([STACKS, "deep", "40000"]) as process:
        lib.wait_for(lambda: is_ready(process), what="ready")
        thread = stack("-p", process.pid)["threads"][0]
        text = lib.epitaph_ok("stack", "-p", process.pid)
        shallow = [STACKS, "deep", "10"]
        with lib.Process(shallow) as other:
            lib.wait_for(lambda: is_ready(other), what="ready")
            few = stack("-p", other.pid)["threads"][0]
    assert thread["depth"] == few["depth"] + 39990, thread["depth"]
    assert thread["truncated"] is None
    assert len(lib.pcs(thread)) == 1024
    # wait_here is called out of the innermost, elsewhere than all others are.
    repeat, = thread["repeat"]
    assert repeat["length"] == 1 and repeat["times"] == 40000, repeat
    first = [frame for frame in thread["frames"]
             if lib.is_physical(frame)][repeat["first"]]
    assert first["function"] == "recurse", first
    assert f"#{first['index']} 40000 times in a row" in text, text[-400:]
    assert few["repeat"] == [], few["repeat"]
    assert names(thread)[-1] == "_start"
    assert names(thread)[-5:] == names(few)[-5:]


def test_handler():
    """The walk leaves a signal handler for the interrupted frame"""
    document = compare_stacks("handler")
    assert trusts(document).count("sigframe") == 1
    assert "in_handler" in names(document["threads"][0])


def test_nested_handlers():
    """It leaves a handler that interrupted another handler"""
    document = compare_stacks("nested")
    assert trusts(document).count("sigframe") == 2


def test_null_call():
    """A call through a null pointer does not hide its caller"""
    document = compare_stacks("null-call")
    kinds = trusts(document)
    at = kinds.index("sigframe")
    frame = document["threads"][0]["frames"][at]
    assert frame["pc"] == "0x0" and frame["module"] is None, frame
    assert kinds[at + 1] == "leaf", kinds
    assert "call_nowhere" in names(document["threads"][0])


def test_no_table():
    """A function without an unwind table does not hide its caller"""
    document = compare_stacks("no-table")
    assert "leaf" in trusts(document)


def test_other_stacks():
    """A second thread's stack is walked to the start of the thread"""
    document = compare_stacks("thread")
    assert len(document["threads"]) == 2


def test_musl():
    """musl's libc has no tables: its frames are guessed, and none is false"""
    lib.need("musl-gcc")
    program = lib.temp_dir("musl.") / "stacks"
    lib.run_plain(["musl-gcc", "-O2", "-g", "-D_GNU_SOURCE", "-Wl,--build-id",
                   "-o", program, lib.ROOT / "tests/crashers/stacks.c"])
    with lib.Process([program, "null-call"]) as process:
        lib.wait_for(lambda: is_ready(process), what="ready")
        thread = stack("-p", process.pid)["threads"][0]
    found = [name for name in names(thread)
             if name in ("wait_here", "recurse", "on_signal", "call_nowhere",
                         "null_call", "main")]
    assert found == ["wait_here"] + ["recurse"] * 4 + [
        "on_signal", "call_nowhere", "null_call", "main"], found
    assert [f["trust"] for f in thread["frames"]].count("sigframe") == 1


def test_jit():
    """Code without module or table is walked through"""
    with lib.Process([STACKS, "jit"]) as process:
        lib.wait_for(lambda: is_ready(process), what="ready")
        thread = stack("-p", process.pid)["threads"][0]
    frames = [frame for frame in thread["frames"] if lib.is_physical(frame)]
    at = [frame["module"] for frame in frames].index(None)
    assert frames[at + 1]["function"] == "through_jit", frames
    assert frames[-1]["function"] == "_start"


def core_of(*argv):
    lib.need_cores()
    directory = lib.temp_dir("core.")
    outcome = lib.run_plain([STACKS, *argv], cwd=directory, cores=True)
    assert outcome.signal, outcome
    return lib.core_in(directory)


def compare_core(core):
    document = stack(core)
    ours, theirs = by_tid(document), lib.gdb_frames(core, STACKS)
    assert ours == theirs, f"epitaph: {hexes(ours)}\ngdb: {hexes(theirs)}"
    assert document["threads"][0]["crashed"]
    return document


def test_core_abort():
    """A core's stacks are gdb's"""
    compare_core(core_of("deep-die", "50"))


def test_core_null_call():
    """The caller of a null pointer is found in a core"""
    document = compare_core(core_of("null-call-die"))
    assert trusts(document)[:2] == ["context", "leaf"]


def test_core_handler():
    """A core of a crash inside a handler is walked through both"""
    document = compare_core(core_of("handler-die"))
    assert trusts(document)[:2] == ["context", "leaf"]
    assert "sigframe" in trusts(document)


def test_cut_core():
    """A core that was cut short is an error or fewer frames, never a crash"""
    core = core_of("deep-die", "5")
    whole = core.read_bytes()
    cut = lib.temp_dir("cut.") / "core"
    for part in (0, 1, 63, 64, 200, 1000, 3000, 5000, len(whole) // 2,
                 len(whole) - 1):
        cut.write_bytes(whole[:part])
        outcome = lib.epitaph("stack", "--json", cut)
        assert outcome.exit in (0, 1), (part, outcome)
        if outcome.exit == 1:
            assert outcome.stderr.startswith(b"epitaph: stack "), outcome
            assert outcome.stderr.count(b"\n") == 1, outcome


def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_stopped_process():
    """A process that was stopped stays stopped, and is readable"""
    with lib.Process([STACKS, "deep"]) as process:
        lib.wait_for(lambda: is_ready(process), what="ready")
        process.kill(signal.SIGSTOP)
        lib.wait_for(lambda: state(process.pid) == "T", what="stop")
        thread = stack("-p", process.pid)["threads"][0]
        assert "wait_here" in names(thread)
        lib.wait_for(lambda: state(process.pid) == "T", what="stop again")
        process.kill(signal.SIGCONT)
        lib.wait_for(lambda: state(process.pid) == "S", what="sleep again")


SIGNALS = """
import os, signal, time
got = 0

def count(number, frame):
    global got
    got += 1
    os.write(1, b".")

signal.signal(signal.SIGUSR1, count)
print("ready", flush=True)
while got < 200:
    time.sleep(0.01)
"""


def test_signals_survive():
    """Signals that arrive while it is looked at are not lost"""
    with lib.Process(["/usr/bin/python3", "-c", SIGNALS]) as process:
        lib.wait_for(lambda: is_ready(process), what="ready")
        for n in range(1, 201):
            # One at a time: a standard signal does not queue.
            process.kill(signal.SIGUSR1)
            if n % 20 == 1:
                stack("-p", process.pid)
            lib.wait_for(lambda n=n: process.output().count(b".") == n,
                         what=f"signal {n}")
        assert process.wait().exit == 0


def test_unreachable():
    """A thread that cannot be stopped is said so, and holds nothing up"""
    with lib.Process([STACKS, "unreachable"]) as process:
        lib.wait_for(lambda: is_ready(process), what="ready")
        lib.wait_for(lambda: state(process.pid) == "D", what="state D")
        began = time.monotonic()
        document = stack("-p", process.pid)
        assert time.monotonic() - began < 1.5
        threads = {t["tid"]: t for t in document["threads"]}
        assert threads[process.pid]["frames"] == []
        assert threads[process.pid]["truncated"] == "it did not stop in time"
        others = [t for tid, t in threads.items() if tid != process.pid]
        assert [("wait_here" in names(t)) for t in others] == [True]
        assert is_ready(process) and state(process.pid) == "D"


def test_goes_on():
    """A busy program goes on after it was looked at ten times"""
    busy = ["/usr/bin/python3", "-c",
            "import threading\n"
            "n = [0]\n"
            "def run():\n"
            "    for _ in range(3000000): n[0] += 1\n"
            "ts = [threading.Thread(target=run) for _ in range(4)]\n"
            "[t.start() for t in ts]\n"
            "[t.join() for t in ts]\n"]
    with lib.Process(busy) as process:
        stack("-p", process.pid)
        for _ in range(9):
            if not process.is_alive():
                break
            outcome = lib.epitaph("stack", "-p", process.pid)
            assert outcome.exit in (0, 1), outcome
        assert process.wait().exit == 0


def test_text():
    """Text for people names thread, function and module, and says how long"""
    with lib.Process([STACKS, "deep"]) as process:
        lib.wait_for(lambda: is_ready(process), what="ready")
        text = lib.epitaph_ok("stack", "-p", process.pid)
    assert f"thread {process.pid} (stacks)" in text, text
    assert re.search(r"#\d+ +0x[0-9a-f]{16} in wait_here \(stacks\) at "
                     r".*stacks\.c:\d+", text), text
    last = text.rstrip().split("\n")[-1]
    assert re.fullmatch(rf"process {process.pid} was stopped for \d+\.\d{{3}} "
                        r"ms", last), last


def test_errors():
    """Errors are one line and status 1; a wrong command line is 2"""
    with lib.Process(["true"]) as process:
        process.wait()
        gone = process.pid
    for args, reason in [(["-p", gone], f"stack {gone}: no such process"),
                         (["/etc/passwd"], "stack /etc/passwd: not an ELF "
                                           "core"),
                         (["/"], "stack /: not a file"),
                         (["/nowhere"], "stack /nowhere: No such file"),
                         (["-p", 2], "stack 2: it has no memory")]:
        outcome = lib.epitaph("stack", *args)
        assert outcome.exit == 1, (args, outcome)
        assert outcome.stderr.startswith(f"epitaph: {reason}".encode()), (
            args, outcome)
        assert outcome.stderr.count(b"\n") == 1, outcome
    for args in ([], ["-p", "x"], ["-p", 1, "file"], ["a", "b"], ["--no"]):
        assert lib.epitaph("stack", *args).exit == 2, args
    assert b"Example" in lib.epitaph("stack", "--help").stdout


def test_traced():
    """A process that is traced already says by whom"""
    with lib.Process([STACKS, "deep"]) as process:
        lib.wait_for(lambda: is_ready(process), what="ready")
        with lib.Process(["gdb", "-nx", "-batch", "-p", process.pid, "-ex",
                          "shell sleep 30"]) as gdb:
            def tracer():
                with open(f"/proc/{process.pid}/status") as file:
                    return re.search(r"TracerPid:\t(\d+)", file.read())[1]

            lib.wait_for(lambda: tracer() != "0", what="gdb")
            outcome = lib.epitaph("stack", "-p", process.pid)
            assert outcome.exit == 1, outcome
            assert f"process {gdb.pid} traces it".encode() in outcome.stderr

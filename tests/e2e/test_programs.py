"""Programs that nobody here wrote, unmodified: what is in their reports is
what gdb finds in a core of the same crash."""

import os
import pathlib
import signal

import lib

PYTHON = ["/usr/bin/python3", "-c", "import ctypes; ctypes.string_at(0)"]
BASH = ["/bin/bash", "-c", "kill -SEGV $$"]
PERL_SENT = ["/usr/bin/perl", "-e", "kill 'SEGV', $$; sleep 9"]
PERL_FAULT = ["/usr/bin/perl", "-e", "print unpack 'p', pack 'L!', 16"]


def edge_pcs(meta, tid=None):
    """pcs of a thread (else the crashing one) as the helper unwound it."""
    thread = [t for t in meta["threads"] if t["tid"] == tid] \
        if tid else meta["threads"]
    return [int(frame[0], 16) for frame in thread[0]["frames"]]


def check(argv, outcome, where, sig, threads=1):
    meta = lib.user_stream(outcome.report)
    assert outcome.signal == sig, f"{argv}: {outcome.status}"
    assert (meta["tier"], meta["complete"]) == (1, True), \
        f"{argv}: {meta['tier_reason']}"
    assert len(meta["threads"]) >= threads, len(meta["threads"])
    gdb = lib.gdb_frames(lib.core_in(where), argv[0])
    for thread in meta["threads"]:
        ours = edge_pcs(meta, thread["tid"])
        theirs = gdb[thread["tid"]]
        assert ours == theirs, \
            f"{argv}, thread {thread['tid']}: {list(map(hex, ours))}, gdb " \
            f"{list(map(hex, theirs))}"
    return meta


def crash(argv, sig):
    """Under the shim and without: same status, and gdb's frames."""
    lib.need_cores()
    where = lib.temp_dir()
    plain = lib.run_plain(argv, cores=True, cwd=lib.temp_dir())
    shim = lib.run_under_shim(argv, cores=True, cwd=where)
    assert shim.status == plain.status, f"{argv}: {shim.status}"
    return check(argv, shim, where, sig)


def test_python():
    """python3: ctypes.string_at(0)"""
    meta = crash(PYTHON, signal.SIGSEGV)
    assert meta["reason"] == "null pointer read at 0x0", meta["reason"]


def test_bash():
    """bash: kill -SEGV $$"""
    crash(BASH, signal.SIGSEGV)


def test_perl():
    """perl: kill 'SEGV', $$, and a real fault through unpack 'p'"""
    crash(PERL_SENT, signal.SIGSEGV)
    meta = crash(PERL_FAULT, signal.SIGSEGV)
    assert meta["reason"] == "null pointer read at 0x10", meta["reason"]


def test_sleep():
    """sleep: killed with ABRT from outside"""
    lib.need_cores()
    where = lib.temp_dir()
    argv = ["/bin/sleep", "60"]
    with lib.start_under_shim(argv, cores=True, cwd=where) as process:
        lib.wait_for(lambda: "clock_nanosleep" in pathlib.Path(
            f"/proc/{process.pid}/wchan").read_text() or pathlib.Path(
                f"/proc/{process.pid}/syscall").read_text().startswith("230"))
        process.kill(signal.SIGABRT)
        outcome = process.wait()
    meta = check(argv, outcome, where, signal.SIGABRT)
    assert meta["signal"]["sender"]["pid"] == os.getpid()


def start_redis(where, env):
    """redis-server in WHERE, answering on its socket: Process. It does not test
    its memory when it crashes: of that it may die (docs/limits.md)."""
    lib.need("redis-server")
    path = pathlib.Path(where) / "redis.sock"
    process = lib.start_under_shim(
        ["/usr/bin/redis-server", "--port", "0", "--unixsocket", path,
         "--save", "", "--enable-debug-command", "local",
         "--crash-memcheck-enabled", "no"], env, cores=True, cwd=where)
    lib.wait_for(lambda: lib.connected(path), 20, "redis to listen").close()
    return process, path


def command(path, text):
    """Send one inline command to redis; what it answers, if it does."""
    with lib.connected(path) as sock:
        sock.sendall(text.encode() + b"\r\n")
        return sock.recv(4096)


def are_waiting(pid):
    """Whether all threads of PID but the first wait on a futex: what started
    just now may be anywhere when it is looked at, and later elsewhere."""
    tasks = pathlib.Path(f"/proc/{pid}/task")
    return all((tasks / tid / "syscall").read_text().startswith("202 ")
               for tid in os.listdir(tasks) if tid != str(pid))


@lib.deadline(180)
def test_redis():
    """redis-server: DEBUG SEGFAULT, its own crash report still printed"""
    lib.need_cores()
    where = lib.temp_dir()
    process, path = start_redis(where, None)
    with process:
        lib.wait_for(lambda: are_waiting(process.pid), 20, "its threads")
        try:
            command(path, "DEBUG SEGFAULT")
        except ConnectionError:
            pass
        outcome = process.wait()
    assert b"crashed by signal: 11" in outcome.stdout, outcome.stdout
    assert b"STACK TRACE" in outcome.stdout
    meta = lib.user_stream(outcome.report)
    assert (meta["tier"], meta["complete"]) == (1, True), meta["tier_reason"]
    assert outcome.signal == signal.SIGSEGV
    assert meta["signal"]["code_name"] == "SEGV_ACCERR", meta["signal"]
    gdb = lib.gdb_frames(lib.core_in(where), "/usr/bin/redis-server")
    # The core shows redis's handler at the end of its work; the report the
    # fault that the handler was called for, which gdb has further out.
    theirs = gdb[meta["threads"][0]["tid"]]
    ours = edge_pcs(meta)
    assert ours == theirs[-len(ours):], \
        f"{list(map(hex, ours))}, gdb {list(map(hex, theirs))}"
    for thread in meta["threads"][1:]:
        assert edge_pcs(meta, thread["tid"]) == gdb[thread["tid"]]


def build_c(name, *options):
    """tests/programs/c/NAME.c, compiled: its path."""
    out = lib.temp_dir("c.") / name
    source = lib.ROOT / "tests/programs/c" / f"{name}.c"
    done = lib.run_plain(["gcc", "-O1", "-g", "-pthread", "-o", out, source,
                          *options])
    assert done.exit == 0, done.stderr.decode()
    return out


def handlers(word, sig, text, env=None):
    """c/handlers.c called WORD, without the shim and with it: both times SIG
    and TEXT; the one report's JSON."""
    program = build_c("handlers")
    plain = lib.run_plain([program, word])
    shim = lib.run_under_shim([program, word], env)
    assert (plain.signal, plain.stdout) == (sig, text), plain
    assert (shim.status, shim.stdout) == (plain.status, text), shim
    return lib.user_stream(shim.report)


def test_handler_reblocks():
    """a handler that blocks its signal again and returns, as V8's does"""
    meta = handlers("reblock", signal.SIGSEGV, b"fixed 1000\n")
    assert meta["reason"] == "null pointer write at 0x10", meta["reason"]


def test_jump_unblocks():
    """a handler still runs where siglongjmp has unblocked its signal"""
    meta = handlers("jump", signal.SIGSEGV, b"fixed 1\n")
    assert meta["reason"] == "null pointer write at 0x10", meta["reason"]


def test_handler_nests():
    """a handler that takes further faults and gives up, as HotSpot's does"""
    meta = handlers("nested", signal.SIGABRT, b"survived 3\n")
    assert meta["reason"] == "null pointer write at 0x10", meta["reason"]


def test_handler_adopts_stack():
    """a runtime that asks the kernel for an alternate stack, as Go does"""
    meta = handlers("adopt", signal.SIGSEGV, b"on the alternate stack\n")
    assert meta["reason"] == "null pointer write at 0x10", meta["reason"]


def test_library_keeps_actions():
    """a library that wraps sigaction, as libjsig does, on either side of us"""
    layer = build_c("layer", "-shared", "-fPIC", "-ldl")
    for preload in ([lib.SHIM, layer], [layer, lib.SHIM]):
        handlers("layered", signal.SIGABRT, b"nobody was there before\n",
                 {"LD_PRELOAD": ":".join(map(str, preload))})


def both(argv, status, text, env=None, reports=0):
    """Run ARGV without the shim and with it: STATUS (an exit status, or minus
    a signal) and TEXT in its output both times, and REPORTS reports."""
    plain = lib.run_plain(argv, env)
    shim = lib.run_under_shim(argv, env, reports=reports)
    for which, outcome in (("plain", plain), ("shim", shim)):
        said = outcome.stdout + outcome.stderr
        assert os.waitstatus_to_exitcode(outcome.status) == status, \
            f"{which}: {outcome.status:#x}: {said.decode()}"
        assert text in said, f"{which}: {said.decode()}"
    lib.settle()
    assert len(shim.reports) == reports, shim.reports
    return shim


def test_address_sanitizer():
    """gcc's ASan starts, though we are loaded before its runtime"""
    program = build_c("sanitized", "-fsanitize=address", "-w")
    both([program, "none"], 0, b"to the end")
    both([program, "after-free"], 1, b"heap-use-after-free")
    both([program, "fault"], -signal.SIGABRT, b"SEGV on unknown address",
         {"ASAN_OPTIONS": "abort_on_error=1:disable_coredump=0"}, reports=1)


def test_leak_sanitizer():
    """LeakSanitizer, which reads all our data, goes through to the end"""
    lib.need("clang")
    program = lib.temp_dir("c.") / "sanitized"
    done = lib.run_plain(
        ["clang", "-g", "-fsanitize=address", "-pthread", "-w", "-o", program,
         lib.ROOT / "tests/programs/c/sanitized.c"])
    assert done.exit == 0, done.stderr.decode()
    both([program, "none"], 0, b"to the end")
    both([program, "leak"], 23, b"detected memory leaks",
         {"ASAN_OPTIONS": "exitcode=23"})


def test_thread_sanitizer():
    """gcc's TSan, which wraps sigaction behind us, reports"""
    program = build_c("sanitized", "-fsanitize=thread", "-w")
    both([program, "race"], 66, b"data race")
    both([program, "fault"], 66, b"SEGV on unknown address")


def test_faulthandler():
    """python3 -X faulthandler: its text, and a report"""
    shim = both(["/usr/bin/python3", "-X", "faulthandler", "-c",
                 "import ctypes; ctypes.string_at(0)"], -signal.SIGSEGV,
                b"Fatal Python error: Segmentation fault", reports=1)
    meta = lib.user_stream(shim.report)
    assert meta["reason"] == "null pointer read at 0x0", meta["reason"]


def test_segfault_library():
    """a preloaded library like libSegFault.so prints its backtrace"""
    library = build_c("segfault", "-shared", "-fPIC")
    victim = build_c("victim", "-w")
    for preload in ([lib.SHIM, library], [library, lib.SHIM]):
        env = {"LD_PRELOAD": ":".join(map(str, preload))}
        shim = lib.run_under_shim([victim, "main"], env)
        assert shim.signal == signal.SIGSEGV, shim
        assert b"*** signal" in shim.stderr, shim
        meta = lib.user_stream(shim.report)
        assert meta["reason"] == "null pointer write at 0x10", meta["reason"]

"""The shim and the helper: every death is reported, and none is changed."""

import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess

import lib
import menu

MENU = menu.PROGRAM

# What dies by itself, of one thread's doing.
DEATHS = [entry for entry in menu.entries() if "plain" in entry.traits]


def frames(report):
    """pcs of the crashing thread, as the helper unwound them."""
    threads = lib.user_stream(report)["threads"]
    return [int(str(f[0]), 0) if isinstance(f, list) else int(f["pc"], 0)
            for f in threads[0]["frames"]]


def check_whole(report, name):
    meta = lib.user_stream(report)
    assert meta["tier"] == 1, f"{name}: tier {meta['tier']} because " \
        f"{meta['tier_reason']}"
    assert meta["complete"] is True, f"{name}: not complete"
    return meta


@lib.deadline(300)
def test_status():
    """Every death has the status it has without the shim, and one report"""
    for name, sig, *_ in DEATHS:
        plain = lib.run_plain([MENU, name, "2"])
        shim = lib.run_under_shim([MENU, name, "2"])
        assert plain.signal == sig, f"{name}: {plain.status}"
        assert shim.status == plain.status, \
            f"{name}: {shim.status} for {plain.status}"
        meta = check_whole(shim.report, name)
        assert meta["signal"]["number"] == sig, f"{name}: {meta['signal']}"
        assert len(meta["threads"]) >= 3, f"{name}: threads are missing"


@lib.deadline(300)
def test_cores():
    """The core is still written, with the siginfo it has without the shim"""
    lib.need_cores()
    for name, sig, _, traits, _ in DEATHS:
        seen = []
        for run in (lib.run_plain, lib.run_under_shim):
            where = lib.temp_dir()
            outcome = run([MENU, name], cores=True, cwd=where)
            assert os.WCOREDUMP(outcome.status), f"{name}: no core"
            seen.append(lib.gdb_core(lib.core_in(where), MENU)[1])
        plain, shim = seen
        assert shim["signo"] == plain["signo"] == sig, f"{name}: {seen}"
        assert shim["code"] == plain["code"], f"{name}: {seen}"
        if "address" in traits:
            assert shim["address"] == plain["address"], f"{name}: {seen}"


@lib.deadline(400)
def test_frames():
    """The crashing thread's frames are gdb's on a core of the same crash"""
    lib.need_cores()
    for name, *_ in DEATHS:
        where = lib.temp_dir()
        outcome = lib.run_under_shim([MENU, name, "3"], cores=True, cwd=where)
        meta = check_whole(outcome.report, name)
        ours = frames(outcome.report)
        gdb = lib.gdb_frames(lib.core_in(where), MENU)
        theirs = gdb[meta["threads"][0]["tid"]]
        if "overflow" in name:
            depth = meta["threads"][0]["depth"]
            assert depth == len(theirs), f"{name}: {depth}, {len(theirs)}"
            assert ours[:500] == theirs[:500], f"{name}: first frames"
            assert ours[-400:] == theirs[-400:], f"{name}: last frames"
        else:
            assert ours == theirs, \
                f"{name}: {list(map(hex, ours))}, " \
                f"gdb {list(map(hex, theirs))}"


def test_all_threads():
    """Other threads have the frames that gdb finds in the core"""
    lib.need_cores()
    where = lib.temp_dir()
    outcome = lib.run_under_shim([MENU, "null-write", "16"], cores=True,
                                 cwd=where)
    gdb = lib.gdb_frames(lib.core_in(where), MENU)
    threads = lib.symbolize(outcome.report)["threads"]
    assert len(threads) == len(gdb) == 17
    for thread in threads:
        assert lib.pcs(thread) == gdb[thread["tid"]], \
            f"thread {thread['tid']}"


@lib.deadline(200)
def test_sent():
    """A signal sent from outside ends the program as without the shim"""
    for sig in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS,
                signal.SIGILL, signal.SIGFPE, signal.SIGTRAP,
                signal.SIGSYS):
        with lib.start_under_shim([MENU, "wait", "2"]) as process:
            lib.wait_for(lambda: b"waiting" in process.output())
            process.kill(sig)
            outcome = process.wait()
        assert outcome.signal == sig, f"{sig}: {outcome.status}"
        meta = check_whole(outcome.report, sig.name)
        assert meta["signal"]["sender"]["pid"] == os.getpid(), meta["signal"]


def test_recovered():
    """A handler that recovers is no crash: no report, same output"""
    for name in ("recover-jump", "recover-return", "query",
                 "query-altstack"):
        plain = lib.run_plain([MENU, name])
        shim = lib.run_under_shim([MENU, name], reports=0)
        assert (shim.status, shim.stdout) == (plain.status, plain.stdout), \
            f"{name}: {shim}"
        assert shim.reports == [], f"{name}: {shim.reports}"


def test_message():
    """What libc said before it aborted is the report's message"""
    for name, words in (("assert", 'zero && "the menu says so"'),
                        ("double-free", "free(): double free detected"),
                        ("abort", None)):
        shim = lib.run_under_shim([MENU, name])
        message = lib.symbolize(shim.report)["message"]
        if words:
            assert words in message, f"{name}: {message}"
        else:
            assert message is None, f"{name}: {message}"


def test_first_fault():
    """A handler that gives up is reported with the first fault's registers"""
    for name, dies_of in (("handler-pends", signal.SIGSEGV),
                          ("handler-raises", signal.SIGSEGV),
                          ("handler-aborts", signal.SIGABRT)):
        plain = lib.run_plain([MENU, name])
        shim = lib.run_under_shim([MENU, name])
        assert shim.status == plain.status
        assert shim.signal == dies_of
        symbolized = lib.symbolize(shim.report)
        assert symbolized["signal"]["name"] == "SIGSEGV", name
        assert symbolized["signal"]["code"] == "SEGV_MAPERR", name
        assert symbolized["signal"]["address"] == "0x10", name
        top = lib.functions(lib.crashed_thread(symbolized))[0]
        assert top == "null_write", f"{name}: {top}"
    for name in ("handler-returns", "one-shot", "stale-handler"):
        plain = lib.run_plain([MENU, name])
        shim = lib.run_under_shim([MENU, name])
        assert shim.status == plain.status, name
        assert shim.stdout == plain.stdout, name
        top = lib.functions(lib.crashed_thread(
            lib.symbolize(shim.report)))[0]
        wanted = "divide" if name == "stale-handler" else "null_write"
        assert top == wanted, f"{name}: {top}"


def test_together():
    """32 threads that crash at once make one report"""
    for _ in range(10):
        outcome = lib.run_under_shim([MENU, "together"])
        lib.settle()
        assert len(lib.spool_reports(pathlib.Path(
            outcome.report).parent)) == 1
        assert outcome.signal == signal.SIGSEGV
        check_whole(outcome.report, "together")


def test_children():
    """A forked child is reported as itself; a vfork child changes nothing"""
    for name, reports in (("fork-child", 1), ("forked-thread", 1),
                          ("vfork-child", 0)):
        plain = lib.run_plain([MENU, name])
        shim = lib.run_under_shim([MENU, name], reports=reports)
        assert (shim.status, shim.stdout) == (plain.status, plain.stdout), \
            f"{name}: {shim.stdout}"
        lib.settle()
        assert len(shim.reports) == reports, f"{name}: {shim.reports}"


def test_surroundings():
    """No free descriptor, no dumpability, no file size, no stack: a report"""
    for name in ("no-descriptors", "no-dump", "no-file-size", "no-stack"):
        plain = lib.run_plain([MENU, name])
        shim = lib.run_under_shim([MENU, name])
        assert shim.status == plain.status, name
        assert lib.user_stream(shim.report)["tier"] == 1, name


def as_process_one(argv, spool=None):
    """Run ARGV as process 1 of a new PID namespace: (status, reports)."""
    argv = ["unshare", "--pid", "--fork", "--kill-child"] + \
        [str(a) for a in argv]
    env = lib.clean_env(lib.shim_env(spool) if spool else None)
    env["EPITAPH_DEADLINE_MS"] = "5000"
    done = subprocess.run(argv, env=env, timeout=60, check=False)
    return done.returncode, lib.spool_reports(spool) if spool else []


def test_process_one():
    """As process 1 the report is durable before the death, same status"""
    if os.geteuid():
        raise lib.Skip("a new PID namespace takes root")
    for name in ("null-write", "abort", "breakpoint", "divide", "illegal",
                 "past-end", "thread-null"):
        spool = lib.temp_dir("spool.")
        plain, _ = as_process_one([MENU, name, "2"])
        shim, reports = as_process_one([MENU, name, "2"], spool)
        assert shim == plain, f"{name}: {shim} for {plain}"
        assert len(reports) == 1, f"{name}: {reports}"
        meta = lib.user_stream(reports[0])
        assert meta["tier"] == 1, f"{name}: {meta['tier_reason']}"
        if name == "abort":
            assert meta["signal"]["name"] == "SIGABRT", meta["signal"]


def test_process_one_sent():
    """A signal sent to process 1 under the default action does nothing"""
    if os.geteuid():
        raise lib.Skip("a new PID namespace takes root")
    spool = lib.temp_dir("spool.")
    script = "kill -SEGV $$; kill -ABRT $$; exit 5"
    plain, _ = as_process_one(["/bin/sh", "-c", script])
    shim, reports = as_process_one(["/bin/sh", "-c", script], spool)
    assert plain == shim == 5, f"{shim} for {plain}"
    assert reports == []


def test_lldb():
    """lldb opens a report and prints the same pcs for the crashing thread"""
    outcome = lib.run_under_shim([MENU, "null-write", "4"])
    dump = lib.plain_dump(outcome.report)
    assert lib.lldb_frames(dump) == frames(outcome.report)


def test_stack_setting():
    """EPITAPH_STACK=0 keeps no stack, and the frames are there all the same"""
    outcome = lib.run_under_shim([MENU, "null-write", "2"],
                                 {"EPITAPH_STACK": "0"})
    assert frames(outcome.report)
    dump = lib.unpack(outcome.report)
    assert len(dump) < 40000, len(dump)
    kept = lib.run_under_shim([MENU, "null-write", "2"])
    assert frames(kept.report) and len(lib.unpack(kept.report)) > len(dump)


def test_in_handler():
    """A crash in a signal handler names trampoline and interrupted frames"""
    report = lib.run_under_shim([MENU, "in-handler"]).report
    names = lib.functions(lib.crashed_thread(lib.symbolize(report)))
    # fault() has jumped to null_write(), so no stack holds it.
    assert names[:2] == ["null_write", "__restore_rt"], names
    assert "in_handler" in names and "main" in names, names


def test_overflow_stack():
    """After an overflow the stack is kept, though sp lies below it"""
    report = lib.run_under_shim([MENU, "overflow-wide"]).report
    dump = lib.unpack(report)
    start, size = struct.unpack_from("<QI", lib.streams(dump)[3], 4 + 24)
    assert size > 40000, size
    sp = int(lib.symbolize(report)["threads"][0]["registers"]["rsp"], 16)
    assert sp < start < sp + (1 << 20), (hex(sp), hex(start))


def test_stale_fault():
    """A fault that the program recovered from is not its later death's"""
    report = lib.run_under_shim([MENU, "stale-fault"]).report
    symbolized = lib.symbolize(report)
    assert symbolized["signal"]["name"] == "SIGABRT", symbolized["signal"]
    assert "do_abort" in lib.functions(lib.crashed_thread(symbolized))


def test_full_pipe():
    """EPITAPH_STDERR does not hang a program whose stderr nobody reads"""
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, bytes(4096))
    except BlockingIOError:
        pass
    os.set_blocking(write, True)
    spool = lib.temp_dir("spool.")
    env = lib.clean_env(lib.shim_env(spool, {"EPITAPH_STDERR": "1"}))
    done = subprocess.run([MENU, "null-write"], env=env, stderr=write,
                          timeout=30, check=False)
    os.close(read)
    os.close(write)
    assert done.returncode == -signal.SIGSEGV
    lib.wait_for(lambda: lib.spool_reports(spool))


def test_follow():
    """EPITAPH_FOLLOW=0 takes the shim out of the children's environment"""
    script = "env; kill -SEGV $$"
    outcome = lib.run_under_shim(["/bin/bash", "-c", script],
                                 {"EPITAPH_FOLLOW": "0"})
    assert b"EPITAPH" not in outcome.stdout
    assert b"LD_PRELOAD" not in outcome.stdout
    assert len(outcome.reports) == 1


def test_disable():
    """EPITAPH_DISABLE=1 installs nothing"""
    outcome = lib.run_under_shim([MENU, "null-write"],
                                 {"EPITAPH_DISABLE": "1"}, reports=0)
    assert outcome.signal == signal.SIGSEGV and outcome.reports == []


def test_tags():
    """Release, tags and arguments are in the report, the token is not"""
    outcome = lib.run_under_shim(
        [MENU, "abort"],
        {"EPITAPH_RELEASE": "r1.2", "EPITAPH_TAGS": "team=a b,env=prod",
         "EPITAPH_TOKEN": "tok-5d1f9c27"})
    meta = lib.user_stream(outcome.report)
    assert meta["process"]["release"] == "r1.2", meta["process"]
    assert meta["process"]["tags"] == {"team": "a b", "env": "prod"}
    assert meta["process"]["args"][1:] == ["abort"]
    assert b"tok-5d1f9c27" not in lib.unpack(outcome.report)
    assert "tok-5d1f9c27" not in json.dumps(meta)


def test_secret():
    """A secret in the environment is in no byte of the report"""
    secret = "s3cr3t-" + os.urandom(8).hex()
    for argv in ([MENU, "null-write"], [MENU, "no-stack"],
                 ["/bin/bash", "-c", "kill -SEGV $$"],
                 ["/usr/bin/python3", "-c",
                  "import ctypes; ctypes.string_at(0)"],
                 ["/usr/bin/perl", "-e", "unpack 'p', pack 'L!', 16"]):
        outcome = lib.run_under_shim(argv, {"SECRET": secret})
        assert secret.encode() not in lib.unpack(outcome.report), argv


def test_unprivileged():
    """As nobody, dumpable or not, into a shared spool: tier 1 as for root"""
    if os.geteuid():
        raise lib.Skip("becoming another user takes root")
    where = lib.temp_dir()
    lib.open_to_all(where)
    for file in (lib.SHIM, lib.HELPER, MENU):
        shutil.copy(file, where)
    spool = where / "spool"
    spool.mkdir()
    spool.chmod(0o1733)
    for n, name in enumerate(("null-write", "no-dump"), 1):
        argv = ["setpriv", "--reuid=65534", "--regid=65534",
                "--clear-groups", where / "menu", name, "3"]
        plain = lib.run_plain(argv)
        shim = lib.run_under_shim(
            argv, {"LD_PRELOAD": where / "libepitaph.so"}, spool=spool)
        assert shim.status == plain.status, name
        report = lib.spool_reports(spool)[-1]
        assert len(lib.spool_reports(spool)) == n
        assert report.stat().st_uid == 65534
        assert report.stat().st_mode & 0o777 == 0o600
        meta = check_whole(report, name)
        assert len(meta["threads"]) == 4, name


def test_process_group():
    """Who kills the process group at once does not kill the report"""
    for threads in ["0", "3"] * 10:
        with lib.start_under_shim([MENU, "null-write", threads]) as process:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            os.killpg(process.pid, signal.SIGKILL)
            outcome = process.wait()
        assert outcome.signal == signal.SIGSEGV
        assert len(outcome.reports) == 1


def test_title():
    """A title written over the arguments does not draw the environment in"""
    spool, secret = lib.temp_dir("spool."), "s3cr3t-" + os.urandom(8).hex()
    # The first variable follows the arguments.
    outcome = lib.run_plain(
        ["/usr/bin/env", "-i", f"SECRET={secret}", f"LD_PRELOAD={lib.SHIM}",
         f"EPITAPH_SPOOL={spool}", MENU, "title"])
    assert outcome.signal == signal.SIGSEGV, outcome
    lib.wait_for(lambda: lib.spool_reports(spool))
    dump = lib.unpack(lib.spool_reports(spool)[0])
    assert b"xxxxxx" in lib.streams(dump)[0x47670006]
    assert secret.encode() not in dump


def at_death(argv):
    """Run ARGV under the shim: its status, and the reports that were there
    when its parent heard of it."""
    with lib.start_under_shim(argv) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        reports = lib.spool_reports(process.spool)
        return process.wait().status, reports


def test_unit():
    """What ends a unit of systemd is reported first: all else ends with it"""
    for script in (f"SYSTEMD_EXEC_PID=$$ exec {MENU} null-write 2",
                   f"SYSTEMD_EXEC_PID=$$ {MENU} null-write 2; exit $?"):
        for _ in range(5):
            plain = lib.run_plain(["/bin/sh", "-c", script])
            status, reports = at_death(["/bin/sh", "-c", script])
            assert status == plain.status, (status, plain.status)
            assert len(reports) == 1, script
            assert lib.user_stream(reports[0])["tier"] == 1


def test_no_leftovers():
    """No zombie, witness, helper or temporary file stays behind"""
    spool = lib.temp_dir("spool.")
    for _ in range(20):
        lib.run_under_shim([MENU, "null-write", "3"],
                           {"EPITAPH_BUDGET": "0"}, spool)
    lib.settle()
    assert len(lib.spool_reports(spool)) == 20
    left = [p.name for p in spool.iterdir() if not p.name.endswith(".dmp.gz")]
    assert left == [], left

"""The best report that is left: what the shim does with one thing after
another taken away. The death is the plain one in every case."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import lib

MENU = lib.CRASHERS / "menu"
FILTERED = lib.CRASHERS / "filtered"
SABOTAGE = lib.CRASHERS / "sabotage"

# What a filter does, to which call: the tier that is left.
FILTERS = {
    ("eperm", "ptrace"): 2, ("enosys", "ptrace"): 2, ("trap", "ptrace"): 2,
    ("kill", "ptrace"): 2, ("kill-thread", "ptrace"): 2,
    ("eperm", "process_vm_readv"): 1, ("enosys", "process_vm_readv"): 1,
    ("trap", "process_vm_readv"): 1, ("kill", "process_vm_readv"): 1,
    ("eperm", "ptrace,process_vm_readv"): 2,
    ("eperm", "ptrace,rt_tgsigqueueinfo,tgkill"): 3,
    ("eperm", "clone"): 4, ("enosys", "clone"): 4, ("trap", "clone"): 4,
    ("eperm", "prctl"): 1, ("enosys", "prctl"): 1,
    ("eperm", "rt_tgsigqueueinfo"): 1, ("trap", "rt_tgsigqueueinfo"): 1,
    ("kill", "rt_tgsigqueueinfo"): 1,
    ("eperm", "clock_gettime"): 1, ("trap", "clock_gettime"): 1,
    ("eperm", "pipe2"): 1, ("enosys", "pipe2"): 1, ("kill", "pipe2"): 4,
    ("enosys", "close_range"): 1, ("enosys", "memfd_create,execveat"): 1,
    ("eperm", "setitimer,setpgid,prlimit64"): 1,
    ("kill", "unshare,mkdir,mkdirat"): 1,
}


def reports_of(spool):
    """The reports in SPOOL, raw records made into such."""
    raw = list(pathlib.Path(spool).glob("*.raw"))
    if raw:
        # There is no collector: what cannot be shipped stays.
        lib.epitaph("flush", "-s", spool, "-c", "http://127.0.0.1:9")
        assert not list(pathlib.Path(spool).glob("*.raw*")), "raw stays"
    return lib.spool_reports(spool)


def run(argv, env=None, **options):
    """Run ARGV under the shim, without a word about reports: (outcome,
    spool)."""
    spool = lib.temp_dir("spool.")
    return lib.run_under_shim(argv, env, spool, reports=0, **options), spool


def crash(argv, env=None, **options):
    """Run ARGV under the shim: (outcome, symbolized report)."""
    outcome, spool = run(argv, env, **options)
    found = reports_of(spool)
    assert len(found) == 1, f"{argv}: {found}"
    return outcome, lib.symbolize(found[0])


def check(argv, tier, name="null-write", env=None, **options):
    """ARGV and a death of the menu: its plain status, a report of TIER that
    has the crashing thread's frames."""
    plain = lib.run_plain([*argv, MENU, name, "4"], **options)
    outcome, report = crash([*argv, MENU, name, "4"], env, **options)
    what = f"{argv} {name}: {report['tier']}, {report['tier_reason']}"
    assert outcome.status == plain.status, f"{what}: {outcome.status}"
    assert report["tier"] == tier, what
    assert (report["tier_reason"] is None) == (tier == 1), what
    thread = lib.crashed_thread(report)
    assert "main" in lib.functions(thread), f"{what}: {thread['frames']}"
    assert report["process"]["exe"] == str(MENU), what
    return report


@lib.deadline(120)
def test_crowd():
    """A crowd dies the plain death, reported whole; with a core if wanted"""
    lib.need_cores()
    for threads in (12, 300):
        for cores in (False, True):
            argv = [MENU, "null-write", str(threads)]
            plain = lib.run_plain(argv, cores=cores, cwd=lib.temp_dir())
            where = lib.temp_dir()
            outcome, report = crash(argv, {"EPITAPH_THREADS": "1000"},
                                    cores=cores, cwd=where)
            what = f"{threads} threads, cores {cores}"
            assert outcome.status == plain.status, what
            assert os.WCOREDUMP(outcome.status) == cores, what
            assert report["tier"] == 1 and report["complete"], what
            assert len(report["threads"]) == threads + 1, what
            for thread in report["threads"]:
                assert "main" in lib.functions(thread) or \
                    "clone3" in lib.functions(thread) or \
                    "start_thread" in lib.functions(thread), f"{what}: {thread}"
            if cores:
                found = lib.gdb_frames(lib.core_in(where), MENU)
                assert len(found) == threads + 1, what


@lib.deadline(300)
def test_filters():
    """Under a filter the death is the plain one, and the tier the best left"""
    for (action, calls), tier in FILTERS.items():
        report = check([FILTERED, action, calls], tier)
        if tier == 2:
            assert len(report["threads"]) == 5, (action, calls)
            for thread in report["threads"]:
                assert thread["frames"], (action, calls, thread)


def test_sent_under_filter():
    """Under a filter abort, a raised signal and int3 end as without"""
    for name in ("abort", "raise-segv", "breakpoint", "overflow"):
        check([FILTERED, "kill", "rt_tgsigqueueinfo,ptrace"], 2, name)


def test_no_exec():
    """Without execve the witness leaves the record, and flush finishes it"""
    # The program itself is started before the filter has effect.
    outcome, report = crash([MENU, "no-exec", "4"])
    assert outcome.signal == signal.SIGSEGV
    assert report["tier"] == 4, report["tier"]
    assert report["tier_reason"] == "helper: errno 1", report["tier_reason"]
    assert len(report["threads"]) == 5


def test_carried_helper():
    """Where the helper's path leads nowhere, the shim's own copy does it"""
    check([], 1, env={"EPITAPH_HELPER": "/nonexistent"})


def test_bad_helper():
    """A helper that dies at once leaves a record, with all threads' frames"""
    report = check([], 4, env={"EPITAPH_HELPER": "/bin/false"})
    assert report["tier_reason"] == "helper died"
    assert [t for t in report["threads"] if t["frames"]] == report["threads"]
    assert len(report["threads"]) == 5


def test_late_helper():
    """A helper that hangs is not waited for: its record is left instead"""
    script = lib.temp_dir() / "helper"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    spool = lib.temp_dir("spool.")
    env = lib.shim_env(spool, {"EPITAPH_HELPER": script})
    with lib.start_plain([MENU, "null-write", "4"], env) as process:
        outcome = process.wait()
        assert outcome.signal == signal.SIGSEGV
        lib.wait_for(lambda: list(spool.glob("*.raw")))
        lib.wait_for(lambda: len(lib.helpers()) == 1)
        os.kill(lib.helpers()[0], signal.SIGKILL)
        lib.settle()
    found = reports_of(spool)
    assert len(found) == 1, found
    report = lib.symbolize(found[0])
    assert report["tier_reason"] == "helper was late", report["tier_reason"]
    assert len(report["threads"]) == 5


@lib.deadline(200)
def test_slow_helper():
    """A helper held up at any point is late, and its report is not lost"""
    script = lib.temp_dir() / "helper"
    for delay in ("0", "0.0005", "0.001", "0.0015", "0.002"):
        # The witness waits half a second.
        script.write_text(f"#!/bin/sh\n{lib.HELPER} \"$@\" &\n"
                          f"sleep {delay}\nkill -STOP $!\nsleep 1\n"
                          "kill -CONT $!\nwait\n")
        script.chmod(0o755)
        spool = lib.temp_dir("spool.")
        outcome = lib.run_under_shim([MENU, "null-write", "4"],
                                     {"EPITAPH_HELPER": script}, spool,
                                     reports=0)
        assert outcome.signal == signal.SIGSEGV
        # What was left is finished by the next crash's helper.
        lib.run_under_shim([MENU, "abort"], spool=spool)
        lib.settle()
        found = [lib.symbolize(report) for report in lib.spool_reports(spool)]
        assert [report["signal"]["name"] for report in found] == \
            ["SIGSEGV", "SIGABRT"], (delay, os.listdir(spool))
        assert not list(spool.glob("*.raw*")), delay
        assert len(found[0]["threads"]) == 5, delay


def test_process_limit():
    """Where no process may be made, the crashing thread writes the record"""
    if os.geteuid():
        raise lib.Skip("becoming another user takes root")
    where = lib.temp_dir()
    lib.open_to_all(where)
    for file in (lib.SHIM, MENU):
        shutil.copy(file, where)
    spool = where / "spool"
    spool.mkdir()
    spool.chmod(0o1777)
    script = "import os, resource, sys\n" \
        "resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))\n" \
        "os.setuid(65534)\n" \
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    argv = ["/usr/bin/python3", "-c", script, where / "menu", "null-write"]
    outcome = lib.run_under_shim(
        argv, {"LD_PRELOAD": where / "libepitaph.so"}, spool=spool,
        reports=0)
    assert outcome.signal == signal.SIGSEGV
    raw = list(pathlib.Path(spool).glob("*.raw"))
    assert len(raw) == 1, os.listdir(spool)
    report = lib.symbolize(reports_of(spool)[0])
    assert report["tier"] == 4 and report["tier_reason"] == "clone: errno 11"
    assert lib.functions(lib.crashed_thread(report))[:2] == \
        ["null_write", "main"]


def test_last_line():
    """With nowhere to write a report, one line on stderr says why"""
    outcome, _ = run(
        [FILTERED, "eperm", "clone", FILTERED, "eperm", "mkdir,renameat", MENU,
         "null-write"], {"EPITAPH_STDERR": "1"})
    assert outcome.signal == signal.SIGSEGV
    assert b"no report: clone: errno 1" in outcome.stderr, outcome.stderr


def test_address_space():
    """A limit on memory that leaves none is no obstacle"""
    outcome = lib.run_under_shim([MENU, "no-memory"])
    assert outcome.signal == signal.SIGSEGV
    assert lib.user_stream(outcome.report)["tier"] == 1


def test_masked_threads():
    """Threads that block every signal answer all the same, in tier 2 too"""
    for argv, tier in (([], 1), ([FILTERED, "eperm", "ptrace"], 2)):
        _, report = crash([*argv, MENU, "masked-threads"])
        assert report["tier"] == tier, report["tier_reason"]
        assert len(report["threads"]) == 9
        for thread in report["threads"]:
            assert thread["frames"], thread
            assert thread["truncated"] is None, thread


def test_unstoppable():
    """A thread in a call that nothing interrupts is placed, not waited for"""
    for argv in ([], [FILTERED, "eperm", "ptrace"]):
        began = time.monotonic()
        outcome, report = crash([*argv, MENU, "vfork-waits"])
        took = time.monotonic() - began
        assert outcome.signal == signal.SIGSEGV
        assert took < 5, took
        stuck = [t for t in report["threads"] if t["truncated"] and
                 t["truncated"].startswith("not stopped")]
        assert len(stuck) == 1, report["threads"]
        assert stuck[0]["frames"], stuck
        assert report["complete"] is False


@lib.deadline(200)
def test_sabotage():
    """The shim's own memory taken away, page by page: the same death, soon"""
    done = kept = 0
    for death, wanted in (("abort", signal.SIGABRT),
                          ("null", signal.SIGSEGV)):
        for page in [*range(24), *range(24, 600, 48)]:
            began = time.monotonic()
            outcome, _ = run([SABOTAGE, str(page), death])
            if outcome.exit == 42:
                break
            assert time.monotonic() - began < 5, (page, death)
            # The head of the zone says what is going on; without it nothing
            # can be told from anything.
            assert outcome.signal in (wanted, signal.SIGSEGV), (page, death)
            kept += outcome.signal == wanted
            done += 1
    assert done > 40, done
    assert done - kept <= 3, f"{done - kept} of {done} die of another signal"


HUNTER = r"""
import os, signal, sys
target, what = int(sys.argv[1]), getattr(signal, sys.argv[2])
print("ready", flush=True)
while True:
    try:
        with open(f"/proc/{target}/task/{target}/children") as file:
            found = file.read().split()
    except OSError:
        break
    for pid in found:
        try:
            os.kill(int(pid), what)
        except ProcessLookupError:
            pass
"""


def children(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def is_dead(process):
    """Whether it died, be it that nobody has been told yet."""
    state = pathlib.Path(f"/proc/{process.pid}/stat").read_text()
    return not process.is_alive() or state.rsplit(")", 1)[1].split()[0] == "Z"


@lib.deadline(200)
def test_hunted():
    """Who kills or stops the witness costs the report, not the death"""
    for what in ("SIGKILL", "SIGSTOP"):
        for _ in range(4):
            env = lib.shim_env(lib.temp_dir("spool."))
            with lib.start_plain([MENU, "wait", "16"], env) as process:
                lib.wait_for(lambda: b"waiting" in process.output())
                hunter = subprocess.Popen(
                    [sys.executable, "-c", HUNTER, str(process.pid), what],
                    stdout=subprocess.PIPE)
                hunter.stdout.readline()
                process.kill(signal.SIGSEGV)
                lib.wait_for(lambda p=process: is_dead(p), 5, f"{what}: death")
                # A witness that was stopped at the wrong moment holds dead
                # threads, and so the news (docs/limits.md).
                hunter.kill()
                hunter.wait()
                hunter.stdout.close()
                for pid in children(process.pid) + lib.helpers():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                outcome = process.wait()
            assert outcome.signal == signal.SIGSEGV, outcome.status
            lib.settle()


def test_bad_raw():
    """A raw record that is none is tried twice, then set aside, and said"""
    spool = lib.temp_dir("spool.")
    name = "0199a000-0000-7000-8000-000000000000"
    (spool / f"{name}.raw").write_bytes(b"\x01\0\0\0" * 64)
    for _ in range(2):
        outcome = lib.epitaph("flush", "-s", spool, "-c",
                              "http://127.0.0.1:9")
        assert outcome.exit == 1
        assert b"raw record" in outcome.stderr, outcome.stderr
    lib.epitaph("flush", "-s", spool, "-c", "http://127.0.0.1:9")
    assert os.listdir(spool / "refused") == [f"{name}.raw2"]


def test_raw_holds_no_token():
    """A raw record holds neither the token nor the environment"""
    _, spool = run([FILTERED, "eperm", "clone", MENU, "null-write"],
                   {"EPITAPH_TOKEN": "tok-77aa", "SECRET": "s3cr3t-11bb"})
    raw = list(spool.glob("*.raw"))
    assert len(raw) == 1
    text = raw[0].read_bytes()
    assert b"tok-77aa" not in text and b"s3cr3t-11bb" not in text
    assert os.stat(raw[0]).st_mode & 0o777 == 0o600


def test_competing_tracer():
    """Under strace -f the debugger sees the signal, the report says why"""
    lib.need("strace")
    log = lib.temp_dir() / "log"
    spool = lib.temp_dir("spool.")
    under = [word for name, value in lib.shim_env(spool).items()
             for word in ("-E", f"{name}={value}")]
    outcome = lib.run_plain(["strace", "-f", "-o", log, "-e", "trace=none",
                             *under, MENU, "null-write", "4"])
    assert outcome.signal == signal.SIGSEGV
    reports = lib.wait_for(lambda: lib.spool_reports(spool))
    assert "SIGSEGV" in log.read_text()
    meta = lib.user_stream(reports[0])
    assert meta["tier"] == 2, json.dumps(meta["tier_reason"])
    assert meta["tier_reason"] == "ptrace: errno 1"

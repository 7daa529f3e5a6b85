"""Names for code that a program compiles while it runs, from the map that it
writes for perf; and none where that map is not to be believed."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import time

import lib

STACKS = lib.CRASHERS / "stacks"
NAME = "compiled::f(int, char)"


@contextlib.contextmanager
def running(process):
    """PROCESS; the map that it may leave goes with it."""
    try:
        with process:
            yield process
    finally:
        path_of(process.pid).unlink(missing_ok=True)


def path_of(pid):
    return pathlib.Path(f"/tmp/perf-{pid}.map")


def die(name, env=None):
    """The one report of a stack of that NAME."""
    with running(lib.start_under_shim([STACKS, name], env)) as process:
        return process.wait().report


def wait_ready(process):
    lib.wait_for(lambda: b"ready" in process.output(), what="ready")


def stack(pid, *options):
    """The first thread of `epitaph stack --json`."""
    text = lib.epitaph_ok("stack", "--json", "-p", pid, *options)
    return json.loads(text)["threads"][0]


def compiled(thread):
    """The one frame of THREAD in the program's own code, as (function, file,
    flags); the next one was called through it."""
    at = [frame["function"] for frame in thread["frames"]
          ].index("through_jit") - 1
    frame = thread["frames"][at]
    assert frame["module"] is None and frame["offset"] is None, frame
    assert frame["line"] is None and not frame["inline"], frame
    return frame["function"], frame["file"], frame["flags"]


def test_compiled_report():
    """A report names compiled code, its fingerprint too, in every run"""
    titles, exact = set(), set()
    for env in (None, {"EPITAPH_SANITIZE": "1"}, None):
        report = die("jit-named-die", env)
        meta = lib.user_stream(report)
        (start, size, name), = meta["jit"]
        assert (size, name) == (8, NAME), meta["jit"]
        assert int(start, 16) % 4096 == 0, start
        symbolized = lib.symbolize(report)
        thread = lib.crashed_thread(symbolized)
        assert compiled(thread) == (NAME, None, ["jit"]), thread["frames"]
        titles.add(symbolized["fingerprint"]["title"])
        exact.add(meta["fingerprint"]["exact"])
    assert titles == {"call_nowhere | recurse | compiled::f"}, titles
    assert len(exact) == 1
    text = lib.epitaph_ok("symbolize", report)
    assert re.search(r"#\d+ +0x[0-9a-f]{16} in compiled::f\(int, char\) "
                     r"\[jit\]$", text, re.M), text


def test_compiled_fault():
    """A fault in compiled code has its name"""
    thread = lib.crashed_thread(lib.symbolize(die("jit-fault")))
    assert thread["frames"][0]["trust"] == "context"
    assert compiled(thread) == (NAME, None, ["jit"]), thread["frames"]


def test_compiled_shown():
    """A collector's group and page show the name"""
    report = die("jit-named-die")
    with lib.Collector() as collector:
        assert collector.post_report(report).status == 201
        group = lib.wait_for(
            lambda: [each for each in collector.groups()
                     if "compiled::f" in each["title"]], what="a title")[0]
        page = collector.get(f"/g/{group['id']}")
        assert page.status == 200 and NAME in page.text, page.text


def test_compiled_live():
    """A live process's compiled code has its name, or none, and the flag"""
    for name, wanted, text_wanted in (
            ("jit-named", NAME, " in compiled::f(int, char) [jit]\n"),
            ("jit", None, " in [jit]\n")):
        with running(lib.start_plain([STACKS, name])) as process:
            wait_ready(process)
            thread = stack(process.pid)
            text = lib.epitaph_ok("stack", "-p", process.pid)
        assert compiled(thread) == (wanted, None, ["jit"]), thread
        assert text_wanted in text and "??" not in text, text
        assert thread["frames"][-1]["function"] == "_start"


def write_map(process):
    """Name PROCESS's code from outside."""
    at, = (frame["pc"] for frame in stack(process.pid)["frames"]
           if frame["module"] is None)
    path_of(process.pid).write_text(f"{int(at, 16) - 6:x} 8 from outside")


def outdate(process):
    hour_ago = time.time() - 3600
    os.utime(path_of(process.pid), (hour_ago, hour_ago))


def give_away(process):
    os.chown(path_of(process.pid), 12345, 12345)


def replace_by_pipe(process):
    path_of(process.pid).unlink()
    os.mkfifo(path_of(process.pid))


def test_strange_maps():
    """A map that is older than the process, another's or a pipe is none"""
    changes = [(None, "from outside"), (outdate, None),
               (replace_by_pipe, None)]
    if os.geteuid() == 0:
        changes.append((give_away, None))
    for change, wanted in changes:
        with running(lib.start_under_shim([STACKS, "jit"])) as process:
            wait_ready(process)
            write_map(process)
            if change:
                change(process)
            live = stack(process.pid)
            process.kill(signal.SIGSEGV)
            report = process.wait().report
        dead = lib.crashed_thread(lib.symbolize(report))
        for thread in (live, dead):
            assert compiled(thread) == (wanted, None, ["jit"]), (
                change, thread)
        assert ("jit" in lib.user_stream(report)) == bool(wanted)


def make_root():
    if os.geteuid():
        raise lib.Skip("another root takes root")
    lib.need("unshare")
    root = lib.temp_dir("root.")
    for program in (lib.SHIM, lib.HELPER, STACKS):
        lib.put_in(root, program)
    for name in ("proc", "spool", "tmp"):
        (root / name).mkdir(mode=0o700)
    return root


def in_root(root, name):
    """Process 1 of a PID namespace, in ROOT: its Process outside."""
    env = {"LD_PRELOAD": "/libepitaph.so", "EPITAPH_DEADLINE_MS": "10000"}
    return lib.Process(["unshare", "--pid", "--fork", "--kill-child",
                        "--mount-proc", f"--root={root}", "/stacks", name],
                       lib.shim_env("/spool", env), spool=root / "spool")


def test_map_elsewhere():
    """In a PID namespace and a root of its own the map is found by both"""
    root = make_root()
    with in_root(root, "jit-named-die") as process:
        report = process.wait(reports=1).report
    assert (root / "tmp/perf-1.map").exists()
    thread = lib.crashed_thread(lib.symbolize(report, "-S", root))
    assert compiled(thread)[0] == NAME, thread["frames"]
    shutil.rmtree(root / "tmp")
    (root / "tmp").mkdir()
    with in_root(root, "jit-named") as process:
        wait_ready(process)
        pid, = lib.descendants(process.pid)
        thread = stack(pid, "-S", root)
    assert compiled(thread)[0] == NAME, thread["frames"]


def test_map_too_late():
    """A record that is finished later has no names: the map may be another's"""
    if os.geteuid():
        raise lib.Skip("needs root to become another user with no process")
    spool = lib.temp_dir("spool.")
    spool.chmod(0o1777)
    lib.open_to_all(lib.BUILD)
    lib.open_to_all(pathlib.Path.cwd())
    argv = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups",
            "prlimit", "--nproc=1", STACKS, "jit-named-die"]
    with running(lib.start_under_shim(argv, spool=spool)) as process:
        assert process.wait(reports=0).signal == signal.SIGSEGV
        assert path_of(process.pid).exists()
        assert len(list(spool.glob("*.raw"))) == 1
        lib.epitaph("flush", "-s", spool, "-c", "http://127.0.0.1:9")
    report, = lib.spool_reports(spool)
    assert "jit" not in lib.user_stream(report)
    thread = lib.crashed_thread(lib.symbolize(report))
    assert compiled(thread) == (None, None, ["jit"]), thread["frames"]

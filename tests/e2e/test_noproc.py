"""Where there is no /proc: a chroot with nothing in it but the program."""

import ctypes
import os
import pathlib
import re
import shutil
import signal

import lib

MENU = lib.CRASHERS / "menu"
KNOWN = lib.CRASHERS / "known"
WORDS = lib.CRASHERS / "words"


def needs_root():
    if os.geteuid():
        raise lib.Skip("chroot takes root")


def make_root(*programs):
    root = lib.temp_dir("root.")
    for program in (lib.SHIM, lib.HELPER, *programs):
        lib.put_in(root, program)
    (root / "spool").mkdir(mode=0o700)
    return root


def run_in(root, *argv, env=None):
    """Run ARGV in ROOT under the shim that lies there: Outcome."""

    def enter():
        os.chroot(root)
        os.chdir("/")

    env = lib.shim_env("/spool", {"LD_PRELOAD": "/libepitaph.so",
                                  **(env or {})})
    with lib.Process(argv, env, spool=root / "spool",
                     preexec=enter) as process:
        return process.wait()


def modules(symbolized):
    """{name: build-id} of the modules."""
    return {module["path"].rsplit("/", 1)[-1]: module["build_id"]
            for module in symbolized["modules"]}


def test_chroot():
    """Without /proc all threads have the frames and modules they have with"""
    needs_root()
    root = make_root(MENU)
    outcome = run_in(root, "/menu", "null-write", "3")
    assert outcome.signal == signal.SIGSEGV, outcome
    here = lib.symbolize(outcome.report, "-S", root)
    with_proc = lib.symbolize(
        lib.run_under_shim([MENU, "null-write", "3"]).report)
    assert lib.functions(lib.crashed_thread(here)) == \
        lib.functions(lib.crashed_thread(with_proc))
    assert here["reason"] == with_proc["reason"]
    assert modules(here) == modules(with_proc), modules(here)
    assert not here["complete"], "nobody knows what else was mapped"


def test_siblings():
    """Without /proc the other threads have their frames too"""
    needs_root()
    root = make_root(MENU)
    here = lib.symbolize(run_in(root, "/menu", "abort", "3").report,
                         "-S", root)
    assert len(here["threads"]) == 4, here["threads"]
    for thread in here["threads"]:
        if not thread["crashed"]:
            assert "sleep_on" in lib.functions(thread), thread


def test_library():
    """Without /proc a C++ library's frames are named, inlines included"""
    needs_root()
    root = make_root(KNOWN)
    shutil.copy(lib.CRASHERS / "libknown.so", root)
    # The linker finds $ORIGIN by /proc.
    here = lib.symbolize(
        run_in(root, "/known", env={"LD_LIBRARY_PATH": "/"}).report,
        "-S", root)
    with_proc = lib.symbolize(lib.run_under_shim([KNOWN]).report)
    assert lib.functions(lib.crashed_thread(here)) == \
        lib.functions(lib.crashed_thread(with_proc))
    assert modules(here) == modules(with_proc)


def test_reasons():
    """Without /proc the reasons say what memory and registers tell"""
    needs_root()
    root = make_root(WORDS)
    for name, reason in (
            ("call-null", "call to null"),
            ("privileged", "privileged instruction cli"),
            ("divide-register", "integer divide by zero"),
            ("write-unmapped", r"write to unmapped address 0x\w+"),
            ("write-code", r"write to protected address 0x\w+"),
            ("jump-stack", r"jump to non-executable address 0x\w+")):
        meta = lib.user_stream(run_in(root, "/words", name).report)
        assert re.fullmatch(reason, meta["reason"]), f"{name}: {meta}"


def test_exception():
    """Without /proc an exception has its type and its text"""
    needs_root()
    source = lib.temp_dir() / "thrown.cc"
    source.write_text("#include <stdexcept>\n"
                      "int main() { throw std::range_error(\"so far\"); }\n")
    program = source.with_suffix("")
    assert lib.run_plain(["g++", source, "-o", program]).exit == 0
    meta = lib.user_stream(run_in(make_root(program), "/thrown").report)
    assert meta["message"] == \
        "uncaught exception of type std::range_error: so far"


def test_locked_in():
    """A program that locks itself in an empty root is reported all the same"""
    needs_root()
    root = lib.temp_dir("root.")
    (root / "spool").mkdir(mode=0o700)
    with lib.Process([WORDS, "locked-in", root],
                     lib.shim_env("/spool"), spool=root / "spool") as process:
        outcome = process.wait()
    assert outcome.signal == signal.SIGSEGV, outcome
    symbolized = lib.symbolize(outcome.report, "-S", lib.CRASHERS)
    names = lib.functions(lib.crashed_thread(symbolized))
    assert names[0] == "write_code" and "main" in names, names


LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x20000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18


def mount(source, target, flags):
    if LIBC.mount(str(source).encode(), str(target).encode(), None, flags,
                  None):
        raise OSError(ctypes.get_errno(), f"mount {source} {target}")


def test_read_only():
    """In a root that nobody can write to only the spool has to be writable"""
    needs_root()
    root = make_root(MENU)
    spool = lib.temp_dir("spool.")

    def enter():
        if LIBC.unshare(CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "unshare")
        mount("none", "/", MS_REC | MS_PRIVATE)
        mount(root, root, MS_BIND)
        mount(spool, root / "spool", MS_BIND)
        mount("none", root, MS_REMOUNT | MS_BIND | MS_RDONLY)
        os.chroot(root)
        os.chdir("/")
        try:
            (pathlib.Path("/") / "probe").touch()
        except OSError:
            return
        raise AssertionError("the root is not read-only")

    env = lib.shim_env("/spool", {"LD_PRELOAD": "/libepitaph.so"})
    with lib.Process(["/menu", "null-write", "2"], env, spool=spool,
                     preexec=enter) as process:
        outcome = process.wait()
    assert outcome.signal == signal.SIGSEGV, outcome
    here = lib.symbolize(outcome.report, "-S", root)
    assert lib.functions(lib.crashed_thread(here))[0] == "null_write"
    assert len(here["threads"]) == 3, here["threads"]


def test_user_namespace():
    """In a user namespace without a mapping a crash is reported, as nobody"""
    lib.need("unshare")
    outcome = lib.run_under_shim(["unshare", "--user", MENU, "null-write"])
    assert outcome.signal == signal.SIGSEGV, outcome
    symbolized = lib.symbolize(outcome.report)
    assert symbolized["process"]["uid"] == 65534, symbolized["process"]
    assert lib.functions(lib.crashed_thread(symbolized))[0] == "null_write"

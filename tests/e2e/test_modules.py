"""Modules whose file is not what it was, or not theirs alone."""

import os
import shutil
import signal

import lib

WORDS = lib.CRASHERS / "words"
PAGE = 4096

LIBRARY = """
__attribute__((noinline)) static void deep(int *at) {{ *at = 1; }}
__attribute__((visibility("default"))) void {entry}(void) {{
    {body}
    __asm__ volatile("");
}}
"""


def library(linker, entry, body):
    """A library that needs nothing, with ENTRY as its entry point."""
    where = lib.temp_dir()
    source = where / f"{entry}.c"
    source.write_text(LIBRARY.format(entry=entry, body=body))
    built = lib.run_plain(
        ["clang", "-O1", "-g", "-fPIC", "-shared", "-nostdlib", *linker,
         "-Wl,--build-id", f"-Wl,-e,{entry}", source, "-o",
         source.with_suffix(".so")])
    assert built.exit == 0, built.stderr.decode()
    return source.with_suffix(".so")


def test_archive():
    """Of two libraries inside one file each is the module that it is"""
    for linker in (["-fuse-ld=bfd"], ["-fuse-ld=lld"]):
        first = library(linker, "first_in", "deep((int[1]){0});")
        second = library(linker, "second_in", "deep((int *)16);")
        size = max(p.stat().st_size for p in (first, second))
        # Junk, then each on a page of its own; the second in the middle.
        half = (2 * PAGE + size + PAGE - 1) // PAGE * PAGE
        archive = bytearray(2 * half)
        archive[:4] = b"PK\x03\x04"
        for at, path in ((2 * PAGE, first), (half, second)):
            archive[at:at + path.stat().st_size] = path.read_bytes()
        name = lib.temp_dir() / "app.apk"
        name.write_bytes(archive)
        report = lib.run_under_shim([WORDS, "in-archive", name]).report
        symbolized = lib.symbolize(report, "-S", first.parent, "-S",
                                   second.parent)
        thread = lib.crashed_thread(symbolized)
        names = lib.functions(thread)
        assert names[:4] == ["deep", "second_in", "jump", "in_archive"], \
            f"{linker}: {names}"
        inside = [m for m in symbolized["modules"]
                  if m["path"].endswith("app.apk")]
        assert len(inside) == 2, f"{linker}: {inside}"
        assert len({m["build_id"] for m in inside}) == 2, inside


def test_replaced():
    """A program that was replaced while it ran is the one that it was"""
    where = lib.temp_dir()
    shutil.copy(WORDS, where / "program")
    shutil.copy(lib.CRASHERS / "menu", where / "newer")
    with lib.start_under_shim([where / "program", "wait"]) as process:
        lib.wait_for(lambda: b"waiting" in process.output())
        os.replace(where / "newer", where / "program")
        process.kill(signal.SIGSEGV)
        outcome = process.wait()
    found = lib.symbolize(outcome.report, "-S", lib.CRASHERS)
    names = lib.functions(lib.crashed_thread(found))
    assert "wait_signal" in names and "main" in names, names
    program = found["modules"][0]
    assert program["path"] == str(where / "program"), program
    usual = lib.symbolize(lib.run_under_shim([WORDS, "trap"]).report)
    assert program["build_id"] == usual["modules"][0]["build_id"], program

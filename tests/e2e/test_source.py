"""Lines of source with a report's frames: which, from where, and from where
not, since a program that crashed names the files."""

import os
import pathlib
import re
import time

import lib

SOURCE = """#include <stdlib.h>
int balance;

__attribute__((noinline)) void check(int amount)
{
\tif (amount > 2)
\t\tabort();
}

int main(int argc, char **argv)
{
\tcheck(argc + 2);
\treturn (int)(long)argv;
}
"""


def crash(*options, source=SOURCE, name="shop.c"):
    """The report of SOURCE, compiled as NAME."""
    pathlib.Path(name).write_text(source)
    pathlib.Path(name).chmod(0o644)
    compiled = lib.run_plain(["gcc", "-g", "-O0", *options, "-o", "shop",
                              name])
    assert compiled.exit == 0, compiled.stderr.decode()
    return lib.run_under_shim([os.path.abspath("shop")]).report


def shown(report, *options):
    """{frame number: [lines]} of the source that the text shows."""
    found, frame = {}, None
    for line in lib.epitaph_ok("symbolize", *options, report).split("\n"):
        at = re.match(r"#(\d+) ", line)
        if at:
            frame = int(at[1])
        elif re.match(r" [ >]{3}", line):
            found.setdefault(frame, []).append(line)
    return found


def frames(report, *options):
    return lib.crashed_thread(lib.symbolize(report, *options))["frames"]


def number_of(report, function):
    return next(f["index"] for f in frames(report)
                if f["function"] == function)


CHECK = ["         5  {",
         "         6          if (amount > 2)",
         "   >     7                  abort();",
         "         8  }",
         "         9"]


def test_default():
    """the text has lines around the first frame of the program's own"""
    report = crash()
    number = number_of(report, "check")
    assert number > 1
    assert shown(report) == {number: CHECK}, shown(report)
    assert shown(report, "--no-source") == {}
    assert not any("source" in frame for frame in frames(report))


def test_all_frames():
    """--source is for every frame that has one, and goes into the JSON"""
    report = crash()
    number = number_of(report, "check")
    assert shown(report, "--source=0") == {
        number: ["   >     7                  abort();"],
        number + 1: ["   >    12          check(argc + 2);"]}
    found = frames(report, "--source=1")
    assert found[number]["source"] == {
        "path": os.path.abspath("shop.c"), "first": 6, "newer": False,
        "lines": ["\tif (amount > 2)", "\t\tabort();", "}"]}
    assert "source" not in found[0]
    ten = frames(report, "--source")[number + 1]["source"]
    assert (ten["first"], len(ten["lines"])) == (7, 8), ten
    for wrong in ("--source=x", "--source=-1", "--source=", "--source=1001"):
        assert lib.epitaph("symbolize", wrong, report).exit == 2, wrong


def test_elsewhere():
    """sources are found below --source-path, or where FROM=TO says"""
    here = os.getcwd()
    for options, path in (
            ((), f"{here}/shop.c"),
            ((f"-ffile-prefix-map={here}=/build/shop-1.0",),
             "/build/shop-1.0/shop.c"),
            ((f"-ffile-prefix-map={here}=shop-1.0",), "shop-1.0/shop.c")):
        report = crash(*options)
        number = number_of(report, "check")
        assert frames(report)[number]["file"] == path, frames(report)[number]
        os.makedirs("moved/src", exist_ok=True)
        os.rename("shop.c", "moved/src/shop.c")
        os.utime("moved/src/shop.c", (1, 1))
        place = path.rsplit("/", 1)[0]
        assert shown(report) == {}
        for wrong in ("moved", "nowhere", "/build/shop=moved/src",
                      "=moved/src"):
            assert shown(report, "--source-path", wrong) == {}, wrong
        for right in ("moved/src", f"{place}=moved/src"):
            assert shown(report, "--source-path", "nowhere",
                         "--source-path", right) == {number: CHECK}, right


def test_newer():
    """a file that was changed after the program was built is said to be"""
    report = crash()
    note = "that file is newer than the program"
    assert note not in lib.epitaph_ok("symbolize", report)
    now = time.time()
    os.utime("shop.c", (now + 60, now + 60))
    assert note in lib.epitaph_ok("symbolize", report)
    # The program may be gone, or have been built again; the report was not.
    os.utime("shop", (now + 120, now + 120))
    assert note in lib.epitaph_ok("symbolize", report)
    os.unlink("shop")
    assert note in lib.epitaph_ok("symbolize", report)
    os.utime("shop.c", (1, 1))
    assert note not in lib.epitaph_ok("symbolize", report)


def test_no_text():
    """what is no file, no text, too large or gone is not shown"""
    report = crash()
    path = pathlib.Path("shop.c")
    lines = path.read_bytes().split(b"\n")
    for content in (b"", b"\n" * 6, b"\0".join(lines),
                    b"\n".join(lines[:6] + [b"\tab\0rt();"]),
                    b"\n" * (1 << 24) + b"x"):
        path.write_bytes(content)
        assert shown(report) == {}, content[:20]
    path.unlink()
    assert shown(report) == {}
    os.mkfifo("shop.c")
    assert shown(report) == {}
    path.unlink()
    path.mkdir()
    assert shown(report) == {}


def test_private():
    """a file that not everybody may read is shown to who asks for it"""
    report = crash()
    os.chmod("shop.c", 0o640)
    by_root = os.geteuid() == 0
    assert bool(shown(report)) != by_root
    assert number_of(report, "check") in shown(report, "--source")


def test_hostile_lines():
    """source cannot drive the terminal, and long lines are cut"""
    report = crash(source=SOURCE.replace(
        "abort();", "abort(); // \x1b[31m\x9b\a" + "x" * 10000))
    line = shown(report)[number_of(report, "check")][2]
    assert r"abort(); // \x1b[31m" in line and "\x1b" not in line
    assert 250 < len(line) < 400, len(line)

"""include/epitaph.h: what a program says about itself is in its reports, and
costs it nothing where there is no shim."""

import pathlib
import re
import signal

import lib

SOURCE = lib.ROOT / "tests/crashers/annotated.c"
INCLUDE = f"-I{lib.ROOT / 'include'}"
STRICT = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror",
          "-pthread", INCLUDE]

# Each links nothing of Epitaph.
WAYS = {
    "pie": ["gcc", "-O2", "-pie", "-fPIE"],
    "non-PIE": ["gcc", "-O2", "-no-pie", "-fno-pie"],
    "unoptimized": ["gcc", "-O0"],
    "whole program": ["gcc", "-O3", "-flto"],
    "old C": ["gcc", "-O2", "-std=c90", "-D_GNU_SOURCE"],
    "new C, nothing but C": ["gcc", "-O2", "-std=c11", "-pedantic"],
    "C++": ["g++", "-O2", "-x", "c++", "-std=c++11", "-pedantic"],
    "new C++, non-PIE": ["g++", "-O2", "-x", "c++", "-std=c++20", "-no-pie"],
    "clang": ["clang", "-O2"],
    "clang, non-PIE": ["clang", "-O1", "-no-pie", "-fno-pie"],
    "clang++": ["clang++", "-O0", "-x", "c++"],
    "musl": ["musl-gcc", "-O2"],
}


def build(*argv):
    built = lib.run_plain(argv)
    assert built.exit == 0, built.stderr.decode()


def annotated(*how):
    """The test's program, compiled HOW."""
    lib.need(how[0])
    program = lib.temp_dir() / "annotated"
    build(*how, *STRICT, SOURCE, "-o", program)
    return program


def words(report):
    """(annotations, breadcrumbs) of REPORT."""
    symbolized = lib.symbolize(report)
    return symbolized["annotations"], symbolized["breadcrumbs"]


SAID = {"request": "GET /pay", "user": "nobody"}, ["opened", "paid"]


@lib.deadline(300)
def test_compilers():
    """However it is compiled, what a program says is in its report"""
    for name, how in WAYS.items():
        program = annotated(*how)
        shim = lib.run_under_shim([program])
        assert shim.signal == signal.SIGABRT, f"{name}: {shim}"
        assert words(shim.report) == SAID, f"{name}: {words(shim.report)}"
        plain = lib.run_plain([program, "exit"])
        assert plain.exit == 7, f"{name}, without the shim: {plain}"


def test_static():
    """A static program, which the shim never enters, is left alone"""
    program = annotated("gcc", "-O2", "-static")
    assert lib.run_plain([program, "exit"]).exit == 7


def test_disabled():
    """With EPITAPH_DISABLE=1 the functions do nothing"""
    outcome = lib.run_under_shim([annotated("gcc"), "exit"],
                                 {"EPITAPH_DISABLE": "1"}, reports=0)
    assert outcome.exit == 7, outcome


def test_library():
    """A library that is loaded later writes on the same board"""
    where = lib.temp_dir()
    build("gcc", "-shared", "-fPIC", "-DLIBRARY", *STRICT, SOURCE, "-o",
          where / "said.so")
    script = ("import ctypes, os; "
              f"ctypes.CDLL('{where}/said.so').annotate(); os.abort()")
    outcome = lib.run_under_shim(["/usr/bin/python3", "-c", script])
    assert words(outcome.report) == SAID, words(outcome.report)


def calls(program, name, shim):
    """Names of the system calls that `PROGRAM NAME` makes."""
    log = lib.temp_dir() / "calls"
    preload = ["-E", f"LD_PRELOAD={lib.SHIM}"] if shim else []
    outcome = lib.run_plain(["strace", "-f", "-o", log, *preload, program,
                             name])
    assert outcome.exit == 7, outcome
    return re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.M)


def test_no_call():
    """The functions make no system call, with the shim or without it"""
    lib.need("strace")
    program = annotated("gcc", "-O2")
    for shim in (False, True):
        silent = calls(program, "silent", shim)
        assert len(silent) > 10, silent
        assert calls(program, "exit", shim) == silent, f"shim: {shim}"


def test_full():
    """Of keys the first 64 are kept, of breadcrumbs the last, cut to size"""
    report = lib.run_under_shim([annotated("gcc", "-O2"), "overfill"]).report
    notes, crumbs = words(report)
    assert len(notes) == 64 and "key 63" in notes and "key 64" not in notes
    assert notes["key 3"] == "second" and notes["key 4"] == "first"
    assert notes["key 5"] == "x" * 438, notes["key 5"]
    assert crumbs[:-1] == [f"crumb {i}" for i in range(37, 100)], crumbs
    assert crumbs[-1] == "x" * 246, crumbs[-1]


def whole(text, least):
    return len(text) >= least and len(set(text)) == 1


@lib.deadline(240)
def test_overlap():
    """Threads and handlers that write at once leave no torn text"""
    program = annotated("gcc", "-O2")
    for _ in range(10):
        notes, crumbs = words(lib.run_under_shim([program, "overlap"]).report)
        assert set(notes) <= {f"key {i}" for i in range(5)}, notes
        assert all(whole(v, 100) for v in notes.values()), notes
        assert len(crumbs) >= 40, crumbs
        assert all(whole(text, 100) for text in crumbs), crumbs


def test_printed():
    """epitaph symbolize shows notes and breadcrumbs as text"""
    report = lib.run_under_shim([annotated("gcc")]).report
    text = lib.epitaph_ok("symbolize", report)
    assert re.search(r"^note +request=GET /pay$", text, re.M), text
    assert re.search(r"^trail +opened\n +paid$", text, re.M), text


def test_pages():
    """The collector's page shows notes and breadcrumbs, escaped"""
    source = lib.temp_dir() / "said.c"
    source.write_text(
        "#include <epitaph.h>\n#include <stdlib.h>\nint main(void) {\n"
        "epitaph_set(\"<b>key\", \"<script>value\");\n"
        "epitaph_breadcrumb(\"<i>crumb\"); abort(); }\n")
    build("gcc", *STRICT, source, "-o", source.with_suffix(""))
    report = lib.run_under_shim([source.with_suffix("")]).report
    with lib.Collector() as collector:
        answer = collector.post_report(report).json()
        page = collector.get(f"/r/{answer['id']}").text
        assert "<dt>&#60;b&#62;key<dd>&#60;script&#62;value" in page, page
        assert "<dt>Trail<dd>&#60;i&#62;crumb" in page, page
        document = lib.symbolize_at(collector, answer["id"])
        assert document["annotations"] == {"<b>key": "<script>value"}
        assert document["breadcrumbs"] == ["<i>crumb"]


def test_documented():
    """The example in the README and the manual page compiles, and works"""
    for name in ("README.md", "docs/man/libepitaph.7"):
        text = (lib.ROOT / name).read_text().replace("\\(dq", '"')
        lines = re.findall(r"^ *(epitaph_\w+\(.*\);)$", text, re.M)
        assert len(lines) >= 3, f"{name}: {lines}"
        source = pathlib.Path(lib.temp_dir() / "example.c")
        source.write_text("#include <epitaph.h>\n#include <stdlib.h>\n"
                          "int main(void) {\n" + "\n".join(lines) +
                          "\nabort(); }\n")
        build("gcc", *STRICT, source, "-o", source.with_suffix(""))
        notes, crumbs = words(
            lib.run_under_shim([source.with_suffix("")]).report)
        assert notes or crumbs, name

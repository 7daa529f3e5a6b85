"""epitaph symbolize shows the functions that tail calls left no frame of, as
gdb does."""

import json
import pathlib
import random
import re
import shutil
import subprocess

import lib

# Which of the functions jump and which call is the compiler's decision; what
# decides it here are results that are used, and a volatile that keeps it from
# knowing that abort() is reached.
HEAD = """
#include <stdlib.h>
#define OUT_OF_LINE __attribute__((noinline))
volatile int sink, go = 1;
int first(int), second(int), left(int), right(int), last(int), shared(int);
"""
LAST = """
OUT_OF_LINE int last(int n)
{
	sink = n;
	if (go)
		abort();
	return n + sink;
}
"""
CHAIN = """
OUT_OF_LINE int second(int n) { sink = n; return last(n + 1); }
OUT_OF_LINE int first(int n) { sink = n; return second(n + 2); }
"""
# Whether by left or by right is not to be seen.
AMBIGUOUS = """
OUT_OF_LINE int left(int n) { sink = 1; return last(n + 1); }
OUT_OF_LINE int right(int n) { sink = 2; return last(n * 3); }
OUT_OF_LINE int first(int n)
{
	sink = n;
	if (n > go)
		return left(n);
	return right(n);
}
"""
# By which of the two is not to be seen, but shared() is on both ways.
SHARED = AMBIGUOUS.replace("last(", "shared(") + """
OUT_OF_LINE int shared(int n) { sink = n; return last(n + 7); }
"""
# Both ways begin with second().
FORKED = AMBIGUOUS.replace("int first(", "int second(") + """
OUT_OF_LINE int first(int n) { sink = n; return second(n + 2); }
"""
# The one way that is to be seen may not be the only one.
POINTER = """
int (*volatile other)(int) = right;
OUT_OF_LINE int right(int n) { sink = 2; return last(n * 3); }
OUT_OF_LINE int left(int n) { sink = 1; return last(n + 1); }
OUT_OF_LINE int first(int n)
{
	int (*where)(int) = other;

	sink = n;
	if (n > go)
		return where(n);
	return left(n);
}
"""
MAIN = """
int main(int argc, char **argv)
{
	(void)argv;
	return first(argc) + sink;
}
"""

_GDB_SCRIPT = r"""
import gdb, json
frames, frame = [], gdb.newest_frame()
while frame is not None and frame.is_valid():
    frames.append([frame.name(), frame.type() == gdb.TAILCALL_FRAME])
    frame = frame.older()
print("FRAMES " + json.dumps(frames))
"""


def gdb_names(core, exe):
    """What gdb calls the frames of the crashed thread of CORE, outwards to
    main, and which of them it has inferred."""
    lib.need("gdb")
    pathlib.Path("frames.py").write_text(_GDB_SCRIPT)
    text = lib.run_plain(
        ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off",
         "-ex", f"core-file {core}", "-x", "frames.py",
         exe]).stdout.decode()
    return json.loads(re.search(r"^FRAMES (.*)$", text, re.M).group(1))


def is_inferred(frame):
    return "tail_call" in frame["flags"]


def as_gdb(frames):
    """Names of FRAMES outwards to main. Where functions were inlined at an
    inferred place, gdb (13) shows the innermost of them alone: it counts them
    as if each were a tail call."""
    names, before = [], None
    for frame in frames:
        if not (is_inferred(frame) and before and
                is_inferred(before) and before["inline"]):
            names.append(frame["function"])
        if frame["function"] == "main":
            break
        before = frame
    return names


def compile_program(name, parts, *options, compiler="gcc"):
    """A program of PARTS, each a unit of its own."""
    files = []
    for i, part in enumerate(parts):
        path = pathlib.Path(f"{name}{i}.c").absolute()
        path.write_text(HEAD.replace("volatile", "extern volatile")
                        .replace("go = 1", "go") + part if i else HEAD + part)
        files.append(path)
    program = pathlib.Path(name).absolute()
    subprocess.run([compiler, "-O2", "-g", *options, "-o", program, *files],
                   check=True)
    return program


def die(program):
    """PROGRAM's report and its core, which is another directory's."""
    place = lib.temp_dir("run.")
    outcome = lib.run_under_shim([program], cores=True, cwd=place)
    assert outcome.signal == 6, outcome
    return outcome.report, lib.core_in(place)


def compare(program):
    """That we have as many functions, of the same names, as gdb: ours."""
    report, core = die(program)
    thread = lib.crashed_thread(lib.symbolize(report))
    theirs = [name for name, _ in gdb_names(core, program)]
    assert as_gdb(thread["frames"]) == theirs, (thread["frames"], theirs)
    assert thread["depth"] == len(lib.pcs(thread)), thread
    return report, thread


def inferred(thread):
    """Names of what was inferred of THREAD outside of libc."""
    return [frame["function"] for frame in thread["frames"]
            if is_inferred(frame) and frame["module"] != "libc.so.6"]


def tells(compiler, options):
    """Whether COMPILER says where a tail call would return to: of clang 14's
    DWARF 5 neither gdb nor we see anything."""
    return compiler == "gcc" or "-gdwarf-4" in options


def compilers():
    return [name for name in ("gcc", "clang") if shutil.which(name)]


@lib.deadline(300)
def test_chain():
    """two tail calls in a row are shown as gdb does: gcc, clang, DWARF 4, 5"""
    lib.need_cores()
    for compiler in compilers():
        for options in ([], ["-gdwarf-4"], ["-O3"], ["-no-pie"], ["-gz"]):
            name = compiler + "".join(options)
            program = compile_program(name, [LAST + CHAIN + MAIN], *options,
                                      compiler=compiler)
            report, thread = compare(program)
            if tells(compiler, options):
                assert inferred(thread) == ["second", "first"], (name, thread)
                shown = report, thread, name
    report, thread, name = shown
    last = next(i for i, frame in enumerate(thread["frames"])
                if frame["function"] == "last")
    frames = thread["frames"][last:last + 4]
    assert [f["function"] for f in frames] == ["last", "second", "first",
                                               "main"]
    source = pathlib.Path(f"{name}0.c").read_text().splitlines()
    for frame in frames[1:3]:
        assert frame["function"] + "(int n)" in source[frame["line"] - 1]
        assert frame["trust"] == "cfi" and not frame["inline"], frame
    assert [f["index"] for f in thread["frames"]] == list(
        range(len(thread["frames"])))
    text = lib.epitaph_ok("symbolize", report)
    assert len(re.findall(r"in (?:first|second) .*\[tail call\]$", text,
                          re.M)) == 2, text


@lib.deadline(300)
def test_units():
    """a chain through several units, and one with its symbols elsewhere"""
    lib.need_cores()
    for compiler in compilers():
        for options in ([], ["-gdwarf-4"], ["-flto"]):
            if compiler == "clang" and "-flto" in options:
                continue  # needs a plugin that Debian's linker has not got
            program = compile_program(
                "units" + compiler + "".join(options),
                [MAIN, LAST, *CHAIN.strip().splitlines()], *options,
                compiler=compiler)
            _, thread = compare(program)
            if tells(compiler, options):
                assert inferred(thread) == ["second", "first"], thread
    program = compile_program("apart", [LAST, CHAIN, MAIN])
    debug = f"{program}.debug"
    subprocess.run(["objcopy", "--only-keep-debug", program, debug],
                   check=True)
    subprocess.run(["objcopy", "--strip-all", f"--add-gnu-debuglink={debug}",
                    program], check=True)
    _, thread = compare(program)
    assert inferred(thread) == ["second", "first"], thread


def test_common_debug_file():
    """a chain is found in a debug file that shares a common one (dwz)"""
    lib.need_cores()
    lib.need("dwz")
    reports = []
    for name in ("a", "b"):
        program = compile_program(
            name, [MAIN, LAST, *CHAIN.strip().splitlines()], "-gdwarf-4")
        reports.append(die(program)[0])
        subprocess.run(["objcopy", "--only-keep-debug", program,
                        f"{name}.debug"], check=True)
        subprocess.run(["objcopy", "--strip-all", program], check=True)
    subprocess.run(["dwz", "-m", "common", "-r", "a.debug", "b.debug"],
                   check=True)
    for report in reports:
        thread = lib.crashed_thread(lib.symbolize(report, "-S", "."))
        assert inferred(thread) == ["second", "first"], thread


@lib.deadline(300)
def test_hostile_dwarf():
    """damaged call sites cost frames, never the program"""
    lib.need_cores()
    program = compile_program("program", [MAIN, LAST, CHAIN + AMBIGUOUS
                                          .split("OUT_OF_LINE int first")[0]])
    report, _ = die(program)
    debug = pathlib.Path("program.debug")
    subprocess.run(["objcopy", "--only-keep-debug", program, debug],
                   check=True)
    subprocess.run(["objcopy", "--strip-all", program], check=True)
    table = subprocess.run(["readelf", "-SW", debug], text=True, check=True,
                           capture_output=True).stdout
    places = [(int(m[1], 16), int(m[2], 16)) for m in re.finditer(
        r"\] \.debug_(?:info|abbrev) +\w+ +\w+ +(\w+) +(\w+)", table)]
    clean = debug.read_bytes()
    rng = random.Random(1)
    for round_ in range(200):
        bad = bytearray(clean)
        offset, size = places[round_ % len(places)]
        for _ in range(1 + rng.randrange(4)):
            bad[offset + rng.randrange(size)] = rng.randrange(256)
        debug.write_bytes(bad)
        lib.forget_symbols()
        thread = lib.crashed_thread(lib.symbolize(report, "-S", "."))
        assert len(lib.pcs(thread)) == thread["depth"], round_


@lib.deadline(300)
def test_ambiguous():
    """of several ways only what they share is shown, and else nothing"""
    lib.need_cores()
    for compiler in compilers():
        for name, code, wanted in (
                ("ambiguous", AMBIGUOUS, []),
                ("shared", SHARED, ["shared"]),
                ("forked", FORKED, ["first"]),
                ("pointer", POINTER, [])):
            program = compile_program(compiler + name, [LAST + code + MAIN],
                                      "-gdwarf-4", compiler=compiler)
            _, thread = compare(program)
            assert inferred(thread) == wanted, (compiler, name, thread)


def test_libc():
    """abort() in libc shows what gdb shows"""
    lib.need_cores()
    program = compile_program(
        "plain", ["int main(void) { abort(); }"])
    _, thread = compare(program)
    names = lib.functions(thread)
    if "__GI_raise" not in names:
        raise lib.Skip("libc6-dbg is not installed")
    assert "__pthread_kill_internal" in names, names
    assert any(map(is_inferred, thread["frames"])), thread


def test_fingerprint():
    """a crash is the same with and without what tells of tail calls"""
    lib.need_cores()
    program = compile_program("full", [LAST + CHAIN + MAIN])
    report, _ = die(program)
    full = lib.symbolize(report)
    assert inferred(lib.crashed_thread(full)) == ["second", "first"]
    assert full["fingerprint"]["title"] == "last | main", full["fingerprint"]
    subprocess.run(["objcopy", "--strip-debug", program], check=True)
    lib.forget_symbols()
    bare = lib.symbolize(report)
    assert inferred(lib.crashed_thread(bare)) == []
    assert bare["fingerprint"] == full["fingerprint"]
    assert lib.pcs(lib.crashed_thread(bare)) == \
        lib.pcs(lib.crashed_thread(full))

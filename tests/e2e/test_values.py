"""Arguments and variables: what `--args` shows is what gdb shows of the same
crash, from a core and from a report, and where there is nothing it says why."""

import json
import pathlib
import subprocess

import calls
import lib
import values

FUNCTIONS = 20
SOURCE = pathlib.Path(__file__).with_name("values.cc")


def build(compiler, sources, *options):
    """The program and a directory to run it in."""
    lib.need(compiler)
    where = lib.temp_dir()
    program = where / "program"
    subprocess.run([compiler, "-w", *options, "-o", program, *sources],
                   check=True)
    (where / "run").mkdir()
    return program, where / "run"


def compare(compiler, sources, *options, least):
    """Hold a crash of SOURCES against gdb; at least LEAST values are equal, and
    none is another."""
    lib.need("gdb")
    lib.need_cores()
    program, where = build(compiler, sources, *options)
    core, report = values.cored([program], where)
    gdbs = values.gdb_frames(program, core)
    for path in core, report:
        tally = values.Tally()
        tally.add(values.frames_of(values.our_frames(path), gdbs),
                  whole=path == core)
        assert not tally.wrong, (compiler, options, path, tally.wrong)
        assert tally.equal >= least, f"{compiler} {options} {path}: {tally}"


def made_up(seed):
    return calls.write(lib.temp_dir(), seed, FUNCTIONS)


@lib.deadline(300)
def test_c():
    """values of C are gdb's, at -O0 and -O2, of a core and of a report"""
    sources = made_up(1)
    compare("gcc", sources, "-g", "-O0", least=150)
    compare("gcc", sources, "-g", "-O2", least=90)
    compare("gcc", sources, "-gdwarf-4", "-O2", least=90)
    compare("clang", sources, "-g", "-O2", least=70)


@lib.deadline(300)
def test_cxx():
    """values of C++ are gdb's: classes, references, the standard library"""
    compare("g++", [SOURCE], "-std=c++17", "-g", "-O0", least=50)
    compare("g++", [SOURCE], "-std=c++17", "-g", "-O2", "-gsplit-dwarf",
            least=35)
    compare("clang++", [SOURCE], "-std=c++17", "-g", "-O0", least=45)


REASONS = r"""
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#define OUT_OF_LINE __attribute__((noinline))

static __thread int tls = 5;
static int changes = 4;
volatile int sink;

OUT_OF_LINE static void die(const char *text, int unused)
{
	if (text[0])
		abort();
}

OUT_OF_LINE static int middle(char *heap, int first, int kept)
{
	static int *where = &changes;
	int *per_thread = &tls;
	char on_stack[8] = "stack\033";

	sink = *where + *per_thread;
	strcpy(heap, "on the heap");
	asm volatile("" : : "r"(on_stack) : "memory");
	die(heap, first);
	return kept + on_stack[0];
}

int main(int argc, char **argv)
{
	return middle(malloc(32), argc + 1, argc + 2);
}
"""


def reasons_program(*options):
    source = lib.temp_dir() / "reasons.c"
    source.write_text(REASONS)
    return build("gcc", [source], "-g", *options)


def shown(report, function, *options):
    """{name: (value, why)} of FUNCTION's arguments and variables."""
    text = lib.epitaph_ok("symbolize", "--json", "--args", *options, report)
    thread = lib.crashed_thread(json.loads(text))
    frame = next(f for f in thread["frames"] if f["function"] == function)
    return {v["name"]: (v["value"], v["why"])
            for v in frame["args"] + frame["locals"]}


def test_reasons():
    """a value that is not there has a reason, and the others have none"""
    program, where = reasons_program("-O2")
    report = lib.run_under_shim([program], cwd=where).report
    found = shown(report, "middle")
    assert found["kept"] == ("3", None), found
    assert found["where"][1] in ("not captured", "optimized out"), found
    assert found["first"] == (None, "clobbered") or found["first"][0] == "2"
    assert all((value is None) == (why is not None)
               for value, why in found.values()), found
    program, where = reasons_program("-O0")
    report = lib.run_under_shim([program], cwd=where).report
    found = shown(report, "middle")
    assert found["first"] == ("2", None), found
    assert found["on_stack"] == (r'"stack\033\000"', None), found
    # The heap is not in a report.
    assert found["heap"][0].startswith("0x") and '"' not in found["heap"][0]


def test_off():
    """without --args nothing of the user's data is shown"""
    program, where = reasons_program("-O0")
    report = lib.run_under_shim([program], cwd=where).report
    frames = lib.crashed_thread(lib.symbolize(report))["frames"]
    assert all(f["args"] is None and f["locals"] is None for f in frames)
    assert "stack" not in lib.epitaph_ok("symbolize", report)


PROLOGUE = r"""
#include <sys/mman.h>

__attribute__((aligned(4096), section(".text.alone"))) int
first(int number, const char *word)
{
	return number + word[0];
}

int main(int argc, char **argv)
{
	mprotect((void *)first, 4096, PROT_READ);
	return first(argc + 6, "word");
}
"""


def test_prologue():
    """what a function was to store, but has not yet, is not shown"""
    source = lib.temp_dir() / "prologue.c"
    source.write_text(PROLOGUE)
    for compiler in "gcc", "clang":
        program, where = build(compiler, [source], "-g", "-O0")
        report = lib.run_under_shim([program], cwd=where).report
        assert shown(report, "first") == {
            "number": (None, "not set yet"),
            "word": (None, "not set yet")}, shown(report, "first")


def test_sanitized():
    """of a sanitized stack no value is shown that was another"""
    program, where = reasons_program("-O0")
    plain = lib.run_under_shim([program], cwd=where).report
    report = lib.run_under_shim([program], {"EPITAPH_SANITIZE": "1"},
                                cwd=where).report
    for function in "middle", "main":
        true, found = shown(plain, function), shown(report, function)
        assert true.keys() == found.keys()
        for name, (value, why) in found.items():
            assert why == "not captured" or value == true[name][0] or \
                value.startswith("0x"), (name, value, true[name])
    assert shown(report, "middle")["on_stack"] == (None, "not captured")


def test_text():
    """in text arguments are in the frame's line, variables below it"""
    program, where = reasons_program("-O0")
    report = lib.run_under_shim([program], cwd=where).report
    lines = lib.epitaph_ok("symbolize", "--args", report).splitlines()
    at = next(i for i, line in enumerate(lines) if " in middle (" in line)
    assert ", first=2, kept=3) (program) at " in lines[at], lines[at]
    assert r'        on_stack = "stack\033\000"' in lines[at:at + 5], lines
    at = next(i for i, line in enumerate(lines) if " in main (" in line)
    assert "(argc=1, argv=0x" in lines[at], lines[at]


def test_stack():
    """stack --args has the values of a live process, of when it stopped"""
    program = lib.temp_dir() / "waits"
    program.with_suffix(".c").write_text(r"""
        #include <unistd.h>
        static int wait_at(int depth, const char *word)
        {
                char here[4] = "at";
                if (depth > 0)
                        return wait_at(depth - 1, word) + here[0];
                write(1, here, 2);
                return pause();
        }
        int main(void) { return wait_at(2, "literal"); }
        """)
    lib.need("gcc")
    subprocess.run(["gcc", "-g", "-O0", "-o", program,
                    program.with_suffix(".c")], check=True)
    with lib.start_plain([program]) as process:
        lib.wait_for(lambda: process.output() == b"at")
        text = lib.epitaph_ok("stack", "--json", "--args", "-p", process.pid)
    frames = json.loads(text)["threads"][0]["frames"]
    found = [{v["name"]: v["value"] for v in f["args"] + f["locals"]}
             for f in frames if f["function"] == "wait_at"]
    assert [f["depth"] for f in found] == ["0", "1", "2"], found
    assert all(f["word"].endswith(' "literal"') and f["here"] == r'"at\000"'
               for f in found), found

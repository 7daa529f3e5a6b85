"""Functions of the same code that a linker has made one (--icf): the frame says
so, and which they are. Names that their compiler or assembler gave one function
are no such thing."""

import pathlib
import subprocess

import lib
import test_dwarf as dwarf
import test_symbolize as symbols

SOURCE = r"""
extern volatile int sink;
struct made { int n; made(int n); ~made(); };
template <typename T> __attribute__((noinline)) T shared(T n)
{
	sink = (int)n;
	return n * 5 + sink;
}
#define SAME __attribute__((noinline)) int
#define BODY { sink = n; return n * 3 + sink; }
#ifdef FIRST
extern "C" {
SAME one(int n) BODY
SAME two(int n) BODY
__attribute__((noinline)) int real(int n) { sink = n; return n * 7 + sink; }
int other(int n) __attribute__((alias("real")));
int weak(int n) __attribute__((weak, alias("real")));
}
namespace space { SAME three(int n) BODY }
made::made(int m) { sink = m * 11; n = m + 2; }
made::~made() { sink = n * 13; }
int elsewhere(int n);
int main(int argc, char **)
{
	made m(argc);
	return one(argc) + two(argc) + space::three(argc) + real(argc) +
	       other(argc) + weak(argc) + m.n + elsewhere(argc) + shared(argc);
}
#else
extern "C" SAME four(int n) BODY
int elsewhere(int n) { return four(n) + shared(n); }
#endif
"""
SAME = {"one", "two", "space::three(int)", "four"}
HEADS = {"g++": ("-fno-ipa-icf",), "clang++": ()}


def build(name, compiler, *options, link=()):
    pathlib.Path("first.cc").write_text("#define FIRST\n" + SOURCE)
    pathlib.Path("second.cc").write_text(SOURCE)
    pathlib.Path("sink.cc").write_text("volatile int sink;\n")
    return dwarf.build(name, "-O2", "-ffunction-sections", *HEADS[compiler],
                       *options, compiler=compiler,
                       sources=("first.cc", "second.cc", "sink.cc"),
                       link=("-Wl,--build-id", *link))


def frames_of(program):
    """A frame in each function of PROGRAM."""
    pcs = [pc + 1 for pc in symbols.function_starts(program)]
    start = 0x7F0000000000
    bias = start - symbols.load_base(program)
    report = symbols.make_report(
        "asked.dmp.gz", [(str(program), symbols.build_id(program), start,
                          max(pcs) + 4096)], [pc + bias for pc in pcs])
    return [frame for thread in lib.symbolize(report)["threads"]
            for frame in thread["frames"]]


def check_folded(program, names=frozenset(SAME)):
    """Exactly NAMES are one function of PROGRAM."""
    folded = [frame for frame in frames_of(program)
              if "icf" in frame["flags"] or "aliases" in frame]
    assert len(folded) == 1, folded
    frame = folded[0]
    assert frame["flags"] == ["icf"], frame
    assert {frame["function"], *frame["aliases"]} == names, frame
    assert len(frame["aliases"]) == len(names) - 1, frame


def test_folded():
    """functions of the same code have each other's names: gold, lld; 4, 5"""
    for linker in ("gold", "lld"):
        lib.need(f"ld.{linker}")
        for compiler in HEADS:
            for version in ("-gdwarf-4", "-gdwarf-5"):
                program = build(f"{linker}{compiler}{version}", compiler,
                                version, link=("-Wl,--icf=all",
                                               f"-fuse-ld={linker}"))
                check_folded(program)
                check_folded(program)  # as the store has it


def test_folded_split():
    """so they have where split units say it"""
    for linker in ("gold", "lld"):
        check_folded(build(f"split{linker}", "clang++", "-gsplit-dwarf",
                           link=("-Wl,--icf=all", f"-fuse-ld={linker}")))


def test_folded_text():
    """the text has the other names behind the name"""
    program = build("text", "clang++", link=("-Wl,--icf=all",
                                             "-fuse-ld=lld"))
    frames_of(program)
    text = subprocess.run(
        [lib.EPITAPH, "symbolize", "--all-threads", "asked.dmp.gz"], text=True,
        check=True, capture_output=True, env=lib.clean_env()).stdout
    line, = [line for line in text.splitlines() if "(also " in line]
    names = line.split(" in ")[1].split(" (program)")[0]
    first, others = names.rstrip(")").split(" (also ")
    assert {first, *others.split(", ")} == SAME, line


def test_not_folded():
    """aliases, weak names, constructors and versions are not folded code"""
    for linker in ("bfd", "gold", "lld"):
        for compiler in HEADS:
            program = build(f"{linker}{compiler}", compiler,
                            link=[f"-fuse-ld={linker}"])
            frames = frames_of(program)
            assert {"real", "weak", "other"} & \
                {frame["function"] for frame in frames}
            for frame in frames:
                assert "aliases" not in frame and not frame["flags"], frame


ASSEMBLER = """
	.text
	.globl main, first, second
	.type first, @function
	.type second, @function
	.type main, @function
first:
second:
	nop
	ret
	.size first, . - first
	.size second, . - second
main:
	xor %eax, %eax
	ret
	.size main, . - main
	.section .note.GNU-stack, "", @progbits
"""


def test_not_folded_assembler():
    """two labels of assembler at one place are not folded code"""
    pathlib.Path("labels.s").write_text(ASSEMBLER)
    program = dwarf.build("labels", "-Wa,-gdwarf-5", compiler="gcc",
                          sources=["labels.s"])
    described = subprocess.run(["readelf", "--debug-dump=info", program],
                               text=True, check=True,
                               capture_output=True).stdout
    assert described.count("DW_TAG_subprogram") >= 3
    for frame in frames_of(program):
        assert "aliases" not in frame and "icf" not in frame["flags"], frame

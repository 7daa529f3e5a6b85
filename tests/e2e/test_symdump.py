"""Symbol files in Breakpad's form that we write: they say what the ELF file
says, to our own reader, and to whoever has no other."""

import gzip
import pathlib
import re

import lib
import symfiles
from test_symbolize import (LIBC_DEBUG, build_id, compile_names, crash,
                            load_base, objcopy, pcs_of)
from test_symfiles import SYMBOLS, bare, walk

LIBC = pathlib.Path("/lib/x86_64-linux-gnu/libc.so.6").resolve()


def check_round_trip(path, seed):
    """PATH's symbol file says what PATH does, and again becomes itself."""
    base = load_base(path)
    sym = path.name + ".sym"
    text = symfiles.dump(path, sym)
    addresses = [address - base for address in pcs_of(path, seed)]
    wrong, number = symfiles.differences(path, text, sym, addresses, base)
    assert not wrong and number > 1000, (path, len(wrong), number, wrong[:5])
    again = symfiles.dump(sym, "again.sym", "--name", path.name)
    assert again == text, path
    return text


@lib.deadline(300)
def test_round_trip():
    """a C++ program's symbol file says what its DWARF says, and stays so"""
    for compiler, *options in (("g++", "-O2"), ("g++", "-O0", "-no-pie"),
                               ("g++", "-O3", "-gdwarf-4", "-flto"),
                               ("clang++", "-O2", "-gdwarf-5")):
        program = compile_names("program", *options, compiler=compiler)
        text = check_round_trip(program, 1)
        assert re.search(r"^FUNC [0-9a-f]+ [0-9a-f]+ 0 .*\(", text, re.M)
        assert options[0] == "-O0" or "\nINLINE 1 " in text, options


@lib.deadline(300)
def test_round_trip_of_libc():
    """libc's symbol file says what its debug file says, and stays so"""
    identity = build_id(LIBC)
    if not (LIBC_DEBUG / identity[:2] / f"{identity[2:]}.debug").exists():
        raise lib.Skip("libc6-dbg is not installed")
    text = check_round_trip(LIBC, 2)
    # The signal trampoline's rules are all expressions, and the linkage
    # table's depend on pc: dump_syms leaves both out.
    assert re.search(r"INIT \w+ \w+ .*\.cfa: \$rsp 160 \+ \^", text)
    assert ".cfa: $rsp 8 + $rip 16 % 5 + 16 / 8 * +" in text


def records(text, kinds):
    return [line for line in text.replace("\r", "").splitlines()
            if line.split()[0] in kinds]


def test_files_of_others():
    """a symbol file of dump_syms' making is written again as it was"""
    for name in ("libc-2.13.so", "ld-2.13.so"):
        source = SYMBOLS / f"{name}.sym.gz"
        theirs = gzip.decompress(source.read_bytes()).decode()
        ours = symfiles.dump(source, "out.sym")
        left_out = [line for line in theirs.splitlines()
                    if line.startswith("STACK CFI INIT") and
                    ".cfa:" not in line]
        assert len(left_out) == 1
        assert theirs.replace(left_out[0] + "\n", "") == ours, name
    for form in ("new", "old"):
        source = SYMBOLS / f"linux_inline.{form}.sym"
        theirs, ours = source.read_text(), symfiles.dump(source, "out.sym")
        for kinds in (["INFO"], ["FILE"], ["FUNC"], ["PUBLIC"], ["STACK"]):
            assert records(theirs, kinds) == records(ours, kinds), kinds
        addresses = sorted(symfiles.edges(theirs))
        assert symfiles.answers(source, addresses) == \
            symfiles.answers("out.sym", addresses), form
        assert symfiles.dump("out.sym", "again.sym", "--name",
                             f"linux_inline.{form}") == ours


def dump_modules(report, tree):
    """A tree of the symbol files of REPORT's modules; what it lacks."""
    paths = {module["path"] for module in lib.symbolize(report)["modules"]}
    files = [path for path in paths if pathlib.Path(path).is_file()]
    assert len(files) > 1, paths
    return lib.epitaph("symbols", "dump", "--tree", tree, *files, seconds=300)


@lib.deadline(300)
def test_walks():
    """a dump walked by symbol files alone has the frames of the binaries"""
    python = ["/usr/bin/python3", "-c",
              "import ctypes; list(map(ctypes.string_at, [1]))"]
    menu = [[lib.CRASHERS / "menu", name]
            for name in ("abort", "null-call", "in-handler", "thread-null",
                         "double-free")]
    for argv in (python, *menu):
        report = lib.run_under_shim(argv).report
        found = lib.crashed_thread(lib.symbolize(report))
        hidden = bare(report, "bare.dmp")
        done = dump_modules(report, "tree")
        assert done.exit == 0 and done.stderr == b"", done
        lib.forget_symbols()
        _, thread = walk(hidden, "-S", "tree")
        assert lib.pcs(thread) == lib.pcs(found), (argv, thread)
        assert lib.functions(thread) == lib.functions(found), (argv, thread)
        assert thread["truncated"] is None
        assert [f["trust"] for f in thread["frames"]] == \
            [f["trust"] for f in found["frames"]], argv


def test_tree():
    """--tree is a store of Breakpad's, in which symbols are found"""
    program = compile_names("program", "-O2")
    report = crash(program)
    wanted = lib.crashed_thread(lib.symbolize(report))["frames"]
    identity = build_id(program)
    lib.epitaph_ok("symbols", "dump", "--tree", "tree", program)
    debug_id = symfiles.debug_id(identity)
    assert [str(p) for p in pathlib.Path("tree").rglob("*") if p.is_file()] \
        == [f"tree/program/{debug_id}/program.sym"]
    text = pathlib.Path(f"tree/program/{debug_id}/program.sym").read_text()
    assert text.startswith(f"MODULE Linux x86_64 {debug_id} program\n"
                           f"INFO CODE_ID {identity.upper()}\nFILE 0 ")
    objcopy("--strip-all", program)
    lib.forget_symbols()
    found = lib.crashed_thread(lib.symbolize(report, "-S", "tree"))["frames"]
    for frame in found + wanted:
        del frame["flags"]
    assert found[:5] == wanted[:5] and len(found) == len(wanted)


def test_build_id():
    """a symbol file of what is in the store needs no file but a name"""
    program = compile_names("program", "-O2")
    identity = build_id(program)
    text = symfiles.dump(program, "a.sym")
    lib.epitaph_ok("symbols", "index", program)
    program.unlink()
    said = lib.epitaph_ok("symbols", "dump", "--name", "program", identity)
    assert said == text
    assert lib.epitaph_ok("symbols", "dump", identity, "-o", "-") == text


def test_refusals():
    """what no symbol file can be made of is told, and nothing is left"""
    pathlib.Path("text").write_text("none\n")
    pathlib.Path("evil.sym").write_text(
        "MODULE Linux x86_64 0 x\n")
    for what, why in (("text", "not an ELF file"),
                      ("nowhere", "neither a file nor a build-id"),
                      ("00112233", "no symbols were found")):
        for to in (("-o", "out"), ("--tree", "tree")):
            done = lib.epitaph("symbols", "dump", *to, what)
            assert done.exit == 1 and why in done.stderr.decode(), done
    assert not pathlib.Path("out").exists()
    assert not list(pathlib.Path("tree").iterdir())
    for usage in (("-o", "x", "--tree", "y", "text"), ("text", "text"),
                  ("--tree", "y", "--name", "n", "text", "text"), ()):
        assert lib.epitaph("symbols", "dump", *usage).exit == 2, usage
    program = compile_names("program")
    for name in ("..", ".", "", "a/../.."):
        done = lib.epitaph("symbols", "dump", "--tree", "tree", "--name", name,
                           program)
        assert done.exit == 1 and b"no name for a file" in done.stderr, done
    assert not list(pathlib.Path("tree").iterdir())


def test_rules_without_words():
    """rules that there are no words for are counted, and the rest is there"""
    source = pathlib.Path("asm.s")
    source.write_text(""".globl f
f:	.cfi_startproc
	nop
	.cfi_escape 0x0f, 4, 0x77, 8, 0x12, 0x22 # breg7 8; dup; plus
	nop
	.cfi_def_cfa 7, 16
	nop
	.cfi_endproc
	.type f, @function
	.size f, .-f
""")
    compiled = lib.run_plain(["gcc", "-shared", "-nostdlib", "-Wl,--build-id",
                              "-o", "lib.so", source])
    assert compiled.exit == 0, compiled.stderr
    done = lib.epitaph("symbols", "dump", "lib.so")
    assert done.exit == 0
    assert b"1 places' rules to unwind by" in done.stderr, done.stderr
    text = done.stdout.decode()
    start = int(re.search(r"^FUNC (\w+) 3 0 f$", text, re.M)[1], 16)
    assert (f"STACK CFI INIT {start:x} 1 .cfa: $rsp 8 + .ra: .cfa -8 + ^\n"
            f"STACK CFI INIT {start + 2:x} 1 .cfa: $rsp 16 + "
            f".ra: .cfa -8 + ^\n") in text, text

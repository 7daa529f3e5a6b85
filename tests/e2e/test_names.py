"""Names and lines that are known to be hard to get right, of code that real
compilers made for it. docs/symbolizer.md lists all of those cases and their
tests."""

import pathlib
import re
import subprocess

import lib
import test_dwarf as dwarf
import test_symbolize as symbols
import test_walks


def lookup(program, *pcs):
    """What each of PCS is, innermost first: (name, file's name, line, whether
    that is approximate)."""
    return [[(name, file and pathlib.Path(file).name, *more)
             for name, file, *more in levels]
            for levels in symbols.ask_epitaph(program, pcs)]


def functions_at(program, *pcs):
    return [[level[0] for level in levels] for levels in lookup(program, *pcs)]


def symbols_of(program):
    """{name: (address, size)} of the symbols of PROGRAM."""
    table = subprocess.run(["nm", "-S", program], text=True, check=True,
                           capture_output=True).stdout
    return {fields[3]: (int(fields[0], 16), int(fields[1], 16))
            for fields in map(str.split, table.splitlines())
            if len(fields) == 4}


def compile_one(name, source, *options, compiler="gcc", suffix="c", link=()):
    pathlib.Path(f"{name}.{suffix}").write_text(source)
    return dwarf.build(name, *options, compiler=compiler, link=link,
                       sources=[f"{name}.{suffix}"])


# Parts of functions

PARTS = r"""
extern void abort(void);
volatile int sink;
__attribute__((noinline, cold)) void rare(int n) { sink = n; }
__attribute__((noinline)) int divided(int n)
{
	if (__builtin_expect(n == 77, 0)) {
		rare(n);
		rare(n + 1);
		abort();
	}
	sink = n;
	return n * 3;
}
__attribute__((noinline)) static int cloned(int n, int by)
{
	for (int i = 0; i < n; i++)
		sink += by;
	return sink;
}
__attribute__((noinline)) int partly(int *p, int n)
{
	if (!p)
		return 0;
	for (int i = 0; i < n; i++) {
		sink += p[i];
		rare(sink);
		rare(sink + 1);
	}
	return sink;
}
int main(int n, char **argv)
{
	int (*volatile f)(int *, int) = partly;
	int r = divided(n) + cloned(n, 7) + cloned(n + 1, 7);
	if (n > 3)
		r += partly((int *)argv, n) + partly(&n, n);
	return r + f(&n, n);
}
"""


def test_parts():
    """cold parts and clones of a function have its name, and their own lines"""
    program = compile_one("parts", PARTS, "-O2", "-freorder-functions",
                          "-fpartial-inlining", "-fipa-cp-clone", "-fipa-sra")
    found = symbols_of(program)
    parts = {name: at for name, at in found.items() if "." in name and
             name.split(".")[0] in ("divided", "cloned", "partly", "main")}
    assert "divided.cold" in parts and len(parts) >= 2, found
    for name, (start, size) in parts.items():
        logical = name.split(".")[0]
        for levels in lookup(program, start, start + size - 1):
            assert levels[-1][0] == logical and levels[0][2] > 0, \
                (name, levels)
    start, size = parts["divided.cold"]
    lines = {levels[0][2] for levels in
             lookup(program, *range(start, start + size))}
    assert lines & {8, 9, 10}, lines
    symbols.objcopy("--strip-debug", program)
    lib.forget_symbols()
    named, = functions_at(program, parts["divided.cold"][0])
    assert named == ["divided"], named # short() takes ".cold" away


# Inlined calls

DEPTH = 14


def test_deep_inlines():
    """calls inlined fourteen deep have each its own file and line"""
    for i in range(DEPTH):
        below = f"level_{i + 1}(p)" if i + 1 < DEPTH else "(*p = 1)"
        include = f'#include "h{i + 1}.h"\n' if i + 1 < DEPTH else ""
        pathlib.Path(f"h{i}.h").write_text(
            include + "\n" * (i + 1) +
            "static inline __attribute__((always_inline)) "
            f"int level_{i}(int *p)\n{{\n\treturn {below} + {i};\n}}\n")
    source = ('#include "h0.h"\nint *volatile at;\nint main(void)\n{\n'
              '\treturn level_0(at);\n}\n')
    wanted = [(f"level_{i}", f"h{i}.h",
               (2 if i + 1 < DEPTH else 1) + i + 3, False)
              for i in reversed(range(DEPTH))] + [("main", "main.c", 5, False)]
    pathlib.Path("main.c").write_text(source)
    for compiler in ("gcc", "clang"):
        for version in ("-gdwarf-4", "-gdwarf-5"):
            program = dwarf.build(compiler + version, "-O2", version,
                                  compiler=compiler, sources=["main.c"])
            start, size = symbols_of(program)["main"]
            chains = lookup(program, *range(start, start + size))
            assert wanted in chains, (compiler, version,
                                      max(chains, key=len))


# Lines

DIRECTIVES = r"""
#define ADD(to, what) do { to += what; \
	sink = to; } while (0)
volatile int sink;
int made_up(int n)
{
#line 100 "grammar.y"
	sink = n;
	ADD(n, 7);
#line 7 "scanner.l"
	return sink;
}
int main(int n, char **argv) { return made_up(n) + !argv; }
"""


def test_line_directives():
    """code that was generated, or is a macro's, is of the line that says so"""
    for compiler in ("gcc", "clang"):
        program = compile_one(f"made{compiler}", DIRECTIVES, "-O0",
                              compiler=compiler)
        start, size = symbols_of(program)["made_up"]
        lines = {levels[0][1:3] for levels in
                 lookup(program, *range(start, start + size))}
        assert {("grammar.y", 100), ("grammar.y", 101),
                ("scanner.l", 7)} <= lines, lines
        assert all(len(levels) == 1 for levels in
                   lookup(program, *range(start, start + size)))


def rows_of_line_zero(program):
    """Addresses of code that has line 0, as llvm-dwarfdump has the rows."""
    table = subprocess.run(["llvm-dwarfdump", "--debug-line", program],
                           text=True, check=True,
                           capture_output=True).stdout
    rows = [(int(at, 16), int(line)) for at, line in
            re.findall(r"^(0x[0-9a-f]{16}) +(\d+) ", table, re.M)]
    return [at for (at, line), (following, _) in zip(rows, rows[1:])
            if line == 0 and following > at > 0]


def test_line_zero():
    """code of line 0 has the nearest line of its function, approximately"""
    lib.need("llvm-dwarfdump")
    program = dwarf.build("zero", "-O2", compiler="clang++")
    rows = rows_of_line_zero(program)
    assert len(rows) > 10, rows
    found = [levels[0] for levels in lookup(program, *rows)]
    assert sum(1 for level in found if level[2]) > len(found) // 2, found
    for name, _, line, approximate in found:
        assert approximate == (line > 0), (name, line, approximate)


# What a linker drops


def test_tombstones():
    """what is dropped names nothing, whatever stands for its address"""
    lib.need("ld.lld")
    pathlib.Path("unused.cc").write_text(dwarf.UNUSED)
    for value in ("0", "1", "0xffffffff", "0xfffffffffffffffe",
                  "0xffffffffffffffff"):
        for version in ("-gdwarf-4", "-gdwarf-5"):
            program = dwarf.build(
                f"at{value}{version}", "-O2", version, "-ffunction-sections",
                compiler="clang++", sources=["unused.cc"],
                link=("-fuse-ld=lld", "-Wl,--gc-sections",
                      "-Wl,-z,dead-reloc-in-nonalloc=.debug_*=" + value))
            pcs = [*range(0, 0x3000, 7), *dwarf.pcs_of(program)]
            names = {level[0] for levels in dwarf.ask(program, pcs)
                     for level in levels}
            assert {"main", "used"} <= names, names
            assert not names & dwarf.UNUSED_NAMES, (program, names)


# Symbols

OVERLAPPING = """
	.text
	.globl main, outer, global_name
	.weak weak_name
	.type outer, @function
	.type inner, @function
	.type main, @function
	.type global_name, @function
	.type weak_name, @function
	.type __local_name, @function
outer:
	nop
	nop
label:
	nop
inner:
	nop
	.size inner, . - inner
	nop
	.size outer, . - outer
__local_name:
global_name:
weak_name:
	nop
	.size __local_name, . - __local_name
	.size global_name, . - global_name
	.size weak_name, . - weak_name
sizeless:
	nop
	nop
main:
	xor %eax, %eax
	ret
	.size main, . - main
	.section .note.GNU-stack, "", @progbits
"""


def test_overlapping_symbols():
    """the innermost symbol with a size names code, and of aliases the global"""
    pathlib.Path("symbols.s").write_text(OVERLAPPING)
    subprocess.run(["gcc", "-Wl,--build-id", "-o", "symbols", "symbols.s"],
                   check=True)
    program = pathlib.Path("symbols").absolute()
    start = symbols_of(program)["outer"][0]
    named = [levels[0] for levels in
             functions_at(program, *range(start, start + 9))]
    assert named == ["outer", "outer", "outer", "inner", "outer",
                     "global_name", "sizeless", "sizeless", "main"], named


# Files


def test_kinds():
    """names are the same in a PIE, a fixed program, and static ones of both"""
    for options in (["-pie"], ["-no-pie"], ["-static"], ["-static-pie"]):
        program = dwarf.build("kind" + options[0], "-O2", link=options)
        start, size = next(at for name, at in symbols_of(program).items()
                           if "6hidden" in name)
        chains = functions_at(program, *range(start, start + size))
        assert all(names[-1] == "hidden" for names in chains), chains
        for inlined in ("Outer", "~Outer"):
            assert [inlined, "hidden"] in chains, (options, chains)


FIRST_BYTE = r"""
__attribute__((naked, noinline)) int before(void) { __asm__("ret"); }
__attribute__((naked, noinline, aligned(1))) int first(void)
{
	__asm__("mov 0, %eax\n\tret");
}
int main(void) { return before() + first(); }
"""


def test_first_byte():
    """a fault at a function's first byte is in it, not in the one before"""
    program = compile_one("first", FIRST_BYTE, "-O1", "-falign-functions=1",
                          "-fno-optimize-sibling-calls")
    report = lib.run_under_shim([program]).report
    frames = lib.crashed_thread(lib.symbolize(report))["frames"]
    assert lib.functions({"frames": frames})[:2] == ["first", "main"], frames
    start = symbols_of(program)["first"][0]
    assert int(frames[0]["offset"], 16) + symbols.load_base(program) == start


# Languages


def test_rust_manglings():
    """Rust's names are the same in its old mangling and in v0"""
    lib.need("rustc")
    pathlib.Path("main.rs").write_text(dwarf.RUST)
    for version in ("legacy", "v0"):
        done = subprocess.run(
            ["rustc", "-g", "-O", "-C", f"symbol-mangling-version={version}",
             "-Z", "unstable-options", "-o", version, "main.rs"],
            env={**lib.clean_env(), "RUSTC_BOOTSTRAP": "1"},
            capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        program = pathlib.Path(version).absolute()
        mangled = {name: at for name, (at, _) in symbols_of(program).items()
                   if "deep" in name and "get" in name}
        name, at = mangled.popitem()
        assert name.startswith("_R" if version == "v0" else "_ZN"), name
        for strip in ((), ("--strip-debug",)):
            if strip:
                symbols.objcopy(*strip, program)
                lib.forget_symbols()
            raw = subprocess.run(
                [lib.EPITAPH, "addr2line", "-f", "-C", "-e", program,
                 hex(at)], text=True, check=True, capture_output=True,
                env=lib.clean_env()).stdout.splitlines()
            wanted = "<main::deep::S>::get" if version == "v0" \
                else "main::deep::S::get"
            assert raw[0].replace(f"{version}::", "main::") in (
                wanted, wanted.replace("<", "").replace(">", "")), raw


D = """
module app;
struct Box { int n; int get(int by) { *cast(int *) null = by; return n; } }
extern (C) int main(int argc, char** argv)
{
    auto box = Box(argc);
    return box.get(argc);
}
"""


def test_d():
    """D's names are demangled"""
    lib.need("gdc")
    program = compile_one("app", D, "-O0", "-nophoboslib", "-fno-druntime",
                          compiler="gdc", suffix="d")
    name, (at, _) = next((name, at) for name, at in
                         symbols_of(program).items() if "3get" in name)
    assert name.startswith("_D"), name
    raw = subprocess.run(
        [lib.EPITAPH, "addr2line", "-f", "-C", "-e", program, hex(at)],
        text=True, check=True, capture_output=True,
        env=lib.clean_env()).stdout.splitlines()
    assert raw[0] == "app.Box.get(int)" and ":3" in raw[1], raw


# All of them

ROWS = [9, 10, 11, 15, 16, 17, *range(27, 31), *range(32, 39), 43, 44, 45, 46,
        58, 59, 60, 62]


def test_listed_names():
    """Each test that docs/symbolizer.md names for a hard case is there"""
    test_walks.check_listed("symbolizer.md", ROWS)

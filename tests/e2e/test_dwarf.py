"""Names from all the forms that DWARF comes in: split, packed, 64-bit, linked
by anything, compiled by anything, with parts missing. What is the same code
has to have the same names; what other tools agree on has to be ours."""

import pathlib
import subprocess

import lib
import test_symbolize as symbols

RANDOM_PCS = 300


def pcs_of(path):
    """Function starts of PATH, and some addresses of its code."""
    return symbols.pcs_of(path, 1, RANDOM_PCS)


def build(name, *options, sources=(symbols.NAMES,), compiler="g++", link=()):
    """A program of SOURCES, each compiled by itself with OPTIONS, in a
    directory NAME, where .dwo files stay: its path."""
    lib.need(compiler)
    where = pathlib.Path(name).absolute()
    where.mkdir()
    objects = []
    for source in sources:
        objects.append(f"{pathlib.Path(source).stem}.o")
        subprocess.run([compiler, "-g", *options, "-c", "-o", objects[-1],
                        pathlib.Path(source).absolute()], check=True,
                       cwd=where)
    subprocess.run([compiler, *options, *link, "-o", "program", *objects],
                   check=True, cwd=where)
    return where / "program"


def ask(path, pcs=None):
    return symbols.ask_epitaph(path, pcs or pcs_of(path))


def check_same(one, other):
    """ONE and OTHER, of the same code, have the same names everywhere."""
    pcs = pcs_of(one)
    assert pcs == pcs_of(other)
    found = ask(one, pcs), ask(other, pcs)
    named = sum(1 for levels in found[0] if levels[0][0] and levels[0][2])
    inlined = sum(1 for levels in found[0] if len(levels) > 1)
    assert named > 100 and inlined > 10, (named, inlined)
    for pc, ours, theirs in zip(pcs, *found):
        assert ours == theirs, f"{pc:#x}: {ours}, the other {theirs}"


# Split units

TYPES = "-fdebug-types-section"


def check_split(compiler, *options):
    whole = build("whole" + "".join(options), "-O2", *options,
                  compiler=compiler)
    split = build("split" + "".join(options), "-O2", "-gsplit-dwarf",
                  *options, compiler=compiler)
    assert list(split.parent.glob("*.dwo")), (compiler, options)
    check_same(whole, split)


def test_split_by_gcc():
    """gcc's split units say what the same ones in one piece say, DWARF 4, 5"""
    check_split("g++", "-gdwarf-4")
    check_split("g++", "-gdwarf-5")
    check_split("g++", "-gdwarf-5", TYPES)


def test_split_by_clang():
    """clang's split units say what the same in one piece say, DWARF 4 and 5"""
    check_split("clang++", "-gdwarf-4", TYPES)
    check_split("clang++", "-gdwarf-5")
    check_split("clang++", "-gdwarf-5", TYPES)


def test_lost_split():
    """a split unit that is missing, cut or another's costs names only"""
    for compiler, version in (("g++", "-gdwarf-4"), ("clang++", "-gdwarf-5")):
        program = build(f"lost{version}", "-O2", "-gsplit-dwarf", version,
                        compiler=compiler)
        other = build(f"other{version}", "-O1", "-gsplit-dwarf", version,
                      compiler=compiler)
        unit = program.parent / "names.dwo"
        whole = unit.read_bytes()
        pcs = pcs_of(program)
        full = ask(program, pcs)
        unit.unlink()
        lib.forget_symbols()
        bare = ask(program, pcs)
        assert bare != full
        for ours, missing in zip(full, bare):
            # Lines are in the program, and its symbols name what is outermost.
            assert len(missing) == 1 and missing[0][0] == ours[-1][0]
            assert missing[0][1:] == ours[0][1:] or missing[0][3], \
                (missing, ours)
        for bad in ((other.parent / "names.dwo").read_bytes(), b"",
                    whole[:64], whole[:len(whole) // 2]):
            unit.write_bytes(bad)
            lib.forget_symbols()
            assert ask(program, pcs) == bare, (compiler, version, len(bad))
        unit.write_bytes(whole)
        lib.forget_symbols()
        assert ask(program, pcs) == full


def test_moved_split():
    """split units are found beside the program, where they are not in place"""
    program = build("built", "-O2", "-gsplit-dwarf")
    pcs = pcs_of(program)
    full = ask(program, pcs)
    program.parent.rename("moved")
    lib.forget_symbols()
    assert ask(pathlib.Path("moved/program").absolute(), pcs) == full


# Packed sections, and wide ones


def pack(path, how):
    packed = path.with_name(f"{path.name}.{how}")
    done = subprocess.run(
        ["objcopy", f"--compress-debug-sections={how}", path, packed],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = subprocess.run(["readelf", "-StW", packed], text=True, check=True,
                           capture_output=True).stdout
    assert {"zstd": "ZSTD", "zlib-gnu": ".zdebug_info",
            "zlib-gabi": "ZLIB"}[how] in table, table
    return packed


def test_packed():
    """sections say the same packed by zlib, zstd, and as .zdebug"""
    program = build("plain", "-O2", "-gdwarf-4")
    for how in ("zlib-gabi", "zstd", "zlib-gnu"):
        packed = pack(program, how)
        lib.forget_symbols()
        check_same(program, packed)


def test_64_bit():
    """64-bit DWARF says what 32-bit DWARF says: gcc and clang, 4 and 5"""
    for compiler, *options in (["g++", "-gdwarf-4"],
                               ["g++", "-gdwarf-5", "-gsplit-dwarf"],
                               ["clang++", "-gdwarf-5"]):
        name = compiler + "".join(options)
        narrow = build(name, "-O2", *options, compiler=compiler)
        wide = build(f"{name}64", "-O2", "-gdwarf64", *options,
                     compiler=compiler)
        heads = subprocess.run(["readelf", "--debug-dump=info", wide],
                               text=True, check=True,
                               capture_output=True).stdout
        assert "(64-bit)" in heads
        check_same(narrow, wide)


# Linkers

UNUSED_NAMES = {"unused1", "unused2", "unused3", "unused4"}
UNUSED = r"""
__attribute__((noinline)) int used(int n) { return n + 1; }
__attribute__((noinline, cold)) static void never(int n) { used(n); }
static inline __attribute__((always_inline)) int inner(int n)
{
	if (n == 77)
		never(n);
	return n * 3;
}
#define UNUSED(name) __attribute__((noinline)) int name(int n) \
	{ int r = 0; for (; n; n--) { if (n == 9) never(n + r); r += inner(n); \
	if (r > 5) r -= inner(r); } return r + inner(used(n)); }
UNUSED(unused1) UNUSED(unused2) UNUSED(unused3) UNUSED(unused4)
int main(int argc, char **) { return used(argc); }
"""


def test_dropped_sections():
    """what a linker drops names nothing: bfd, gold, lld; gcc, clang; 4, 5"""
    pathlib.Path("unused.cc").write_text(UNUSED)
    for linker in ("bfd", "gold", "lld"):
        lib.need(f"ld.{linker}")
        for compiler in ("g++", "clang++"):
            for version in ("-gdwarf-4", "-gdwarf-5"):
                program = build(
                    f"{linker}{compiler}{version}", "-O2", version,
                    "-ffunction-sections", compiler=compiler,
                    sources=["unused.cc"],
                    link=("-Wl,--gc-sections", f"-fuse-ld={linker}"))
                pcs = [*range(1, 0x3000, 7), *pcs_of(program)]
                names = {level[0] for levels in ask(program, pcs)
                         for level in levels}
                assert {"main", "used"} <= names, names
                assert not names & UNUSED_NAMES, (program, names)


CALLEE = """
int helper(int n);
extern volatile int sink;
int exported(int n)
{
	sink = n;
	return helper(n) + 1;
}
static int more(int n)
{
	sink = n * 2;
	return exported(n) + 2;
}
int doubled(int n)
{
	return more(n) + more(n + 1);
}
"""
CALLER = """
int doubled(int n);
int exported(int n);
volatile int sink;
__attribute__((noinline)) int helper(int n)
{
	return n + sink;
}
int main(int argc, char **argv)
{
	return doubled(argc) + exported(argc);
}
"""


def inlines_across(program):
    """That a function of callee.c is inlined into main, of caller.c."""
    return any(levels[0][1].endswith("callee.c") and levels[-1][0] == "main"
               for levels in ask(program) if levels[0][1])


def test_lto():
    """units that refer to each other are followed: gcc's LTO and clang's"""
    pathlib.Path("callee.c").write_text(CALLEE)
    pathlib.Path("caller.c").write_text(CALLER)
    for compiler, *options in (["gcc", "-flto"], ["clang", "-flto"],
                               ["gcc", "-flto", "-gdwarf-4"],
                               ["clang", "-flto=thin"],
                               ["clang", "-flto=thin", "-gdwarf-4"]):
        link = ["-fuse-ld=lld"] if compiler == "clang" else []
        program = build(compiler + "".join(options), "-O2", *options,
                        compiler=compiler, link=link,
                        sources=("callee.c", "caller.c"))
        assert inlines_across(program), (compiler, options)
        symbols.check_equal(program, pcs_of(program), least=50)


# Units that say little

ASSEMBLER = r"""
	.text
	.file "by_hand.s"
	.file 1 "first.src"
	.file 2 "second.src"
	.globl by_hand
	.type by_hand, @function
by_hand:
	.loc 1 10
	nop
	nop
	.loc 2 20
	nop
	.loc 1 12
	ret
	.size by_hand, . - by_hand
	.globl main
	.type main, @function
main:
	.loc 1 30
	xor %eax, %eax
	ret
	.size main, . - main
	.section .note.GNU-stack, "", @progbits
"""


def test_assembler():
    """assembler has the lines that .loc gives it, and its symbols' names"""
    pathlib.Path("by_hand.s").write_text(ASSEMBLER)
    for options in (["-gdwarf-4"], ["-gdwarf-5"], ["-Wa,-gdwarf-5"]):
        program = build("asm" + "".join(options), *options, compiler="gcc",
                        sources=["by_hand.s"])
        address = next(int(line.split()[0], 16) for line in subprocess.run(
            ["nm", program], text=True, check=True,
            capture_output=True).stdout.splitlines()
            if line.endswith(" by_hand"))
        found = [(name, file and pathlib.Path(file).name, line, approximate)
                 for (name, file, line, approximate), in
                 ask(program, [address + i for i in (0, 1, 2, 3)])]
        assert found == [("by_hand", "first.src", 10, False),
                         ("by_hand", "first.src", 10, False),
                         ("by_hand", "second.src", 20, False),
                         ("by_hand", "first.src", 12, False)], found


def test_stripped_of_parts():
    """what sections there are name what they can"""
    program = build("program", "-O2")
    pcs = pcs_of(program)
    full = ask(program, pcs)
    for section, rest in (
            (".debug_aranges", lambda levels: levels),
            (".debug_line", lambda levels: [
                (name, None, line if i > 0 else 0, False)
                for i, (name, _, line, _) in enumerate(levels)]),
            (".debug_abbrev", lambda levels: [
                (levels[-1][0], None, 0, False)])):
        less = program.with_name(f"without{section}")
        symbols.objcopy("--remove-section", section, program, less)
        lib.forget_symbols()
        for ours, found in zip(full, ask(less, pcs)):
            if not ours[0][2]: # no DWARF at all
                continue
            if section != ".debug_aranges":
                # Without a line the file is its symbol's.
                found = [(name, file if line else None, line, approximate)
                         for name, file, line, approximate in found]
            assert found == rest(ours), (section, found, ours)


# Other languages

RUST = """
#[inline(always)]
fn leaf(n: usize, v: &mut Vec<usize>) { if n > 3 { v.push(n) } }
#[inline(never)]
fn middle(v: &mut Vec<usize>) { for n in 0..10 { leaf(n, v) } }
mod deep { pub struct S(pub usize); impl S {
    #[inline(never)] pub fn get(&self) -> usize { self.0 + 1 } } }
fn main() {
    let mut v = Vec::new();
    middle(&mut v);
    let s: usize = v.iter().map(|n| n * 2).filter(|n| n % 3 == 0).sum();
    println!("{} {:?}", deep::S(s).get(), v);
}
"""


@lib.deadline(300)
def test_rust():
    """a Rust program has the names that llvm-symbolizer and addr2line give"""
    lib.need("rustc", "llvm-symbolizer", "addr2line")
    pathlib.Path("main.rs").write_text(RUST)
    subprocess.run(["rustc", "-g", "-O", "-o", "rusty", "main.rs"], check=True)
    program = pathlib.Path("rusty").absolute()
    symbols.check_equal(program, pcs_of(program))

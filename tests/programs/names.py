#!/usr/bin/python3
"""Names of large programs and libraries that many makers' compilers have made,
at all function starts and very many random addresses: where llvm-symbolizer and
addr2line agree, ours have to be the same, and each other difference between the
three has to be of a kind that docs/symbolizer.md tells of. Debian's packages of
debug information, and programs of many languages. The table that it makes is
left in build/programs/names.txt."""

import collections
import re
import shutil
import subprocess
import sys

import compare
import lib
import test_symbolize as symbols

# One file of each, the largest: how many random addresses.
PACKAGES = {
    "openjdk-17-dbg": 100_000,    # C++: libjvm
    "libc6-dbg": 100_000,         # C and assembler
    "python3.11-dbg": 100_000,    # C, LTO
    "libstdc++6-12-dbg": 20_000,  # C++, for debugging
    "librados2-dbg": 20_000,      # C++17 and Boost
    "mono-runtime-dbg": 20_000,   # C
    "valgrind-dbg": 20_000,       # C, static, at an address of its own
}
SOURCES = compare.HERE / "names"
table = []

# What each answer lacks or has besides ours. Each is told of, with an example,
# in docs/symbolizer.md.
SAME = "all three the same"
DEMANGLED = "one name, demangled in another way"
BEYOND = "binutils: a function that has ended before"
OTHER_FILE = "binutils: another file of that line"
OTHER_INLINED = "binutils: an inlined call by another function's name"
LEFT_OUT = "binutils: inlined calls left out"
LABEL = "llvm: a label, or a file's symbol"
SYMBOL_NAME = "llvm: another name of the symbol"
NO_NAME = "llvm: no name for what lies between Go's functions"
SYMBOL_FILE = "the file of the symbol, where there is no line"
NOT_READ = "one of them reads no such debug information"
UNKNOWN = "of no known kind"


def largest(package):
    """The largest file of PACKAGE that has DWARF, of debug files if there are
    any, and no archive; or None."""
    listed = subprocess.run(["dpkg", "-L", package], text=True, check=False,
                            capture_output=True).stdout.splitlines()
    files = [path for path in map(lib.pathlib.Path, listed)
             if path.is_file() and not path.is_symlink()
             and path.suffix != ".a"]
    for path in sorted(files, key=lambda path: (path.suffix != ".debug",
                                                -path.stat().st_size)):
        sections = subprocess.run(["readelf", "-SW", path], text=True,
                                  check=False, capture_output=True).stdout
        if ".debug_info" in sections:
            return path
    return None


# Kinds of differences


def sizeless(path):
    """Names of the symbols of PATH that are no functions with a size."""
    return {symbols.short(name) for _, size, kind, name in
            symbol_table(path, "-sWC") if size == 0 or kind == "NOTYPE"}


def symbol_table(path, options):
    """(address, size, type, name) of the symbols of PATH."""
    table = subprocess.run(["readelf", options, path], text=True, check=True,
                           capture_output=True).stdout
    for line in table.splitlines():
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and re.fullmatch(r"[0-9a-f]{16}", fields[1]):
            yield (int(fields[1], 16), int(fields[2], 0), fields[3],
                   bare(fields[7]))


def bare(name):
    """A linkage name without its version, and what clang's LTO appends."""
    return re.sub(r"@.*| \(\d+\)$|\.llvm\.\d+$", "", name)


class Reference:
    """What else is asked of a file to tell differences apart."""

    def __init__(self, path):
        self.path = path
        self.synonyms = symbols.aliases(path)
        self.sizeless = sizeless(path)
        self.named = collections.defaultdict(list)
        for start, size, _, name in symbol_table(path, "-sW"):
            self.named[name].append((start, start + size))
        self.raw = {}

    def ask_raw(self, addresses):
        """Remember the linkage names that ours, llvm's and binutils' answers
        have at ADDRESSES."""
        llvm = ["llvm-symbolizer", "--output-style=GNU", "--no-demangle", "-a",
                "-f", "-i", f"--obj={self.path}"]
        for who, tool in (("ours", [lib.EPITAPH, "addr2line"]),
                          ("binutils", ["addr2line"]), ("llvm", None)):
            done = subprocess.run(
                llvm if tool is None else
                [*tool, "-a", "-f", "-i", "-e", self.path],
                text=True, check=True, capture_output=True,
                env=lib.clean_env(),
                input="".join(f"0x{a:x}\n" for a in addresses)).stdout
            at = None
            for line in done.splitlines():
                if re.fullmatch(r"0x[0-9a-f]+", line):
                    at = self.raw.setdefault((who, int(line, 16)), [])
                elif at is not None:
                    at.append(line)

    def linkage(self, who, address):
        """Its names at ADDRESS: every other line is a place."""
        return [bare(name) for name in self.raw.get((who, address), [])[::2]]

    def is_symbol(self, name, address):
        """Whether NAME is that of a symbol that ADDRESS is in."""
        return any(start <= address < end for start, end in
                   self.named.get(name, ()))


def name_kind(reference, address, who, ours, theirs, level):
    """How the names of LEVEL differ."""
    name, other = ours[level][0], theirs[level][0]
    if name in (other, symbols.CUT) or not reference.synonyms.get(
            name, set()).isdisjoint(reference.synonyms.get(other, ())):
        return None
    linkage = (reference.linkage("ours", address),
               reference.linkage(who, address))
    if len(linkage[0]) == len(linkage[1]) == len(ours):
        if linkage[0][level] == linkage[1][level]:
            return DEMANGLED
        if who == "llvm" and level == len(ours) - 1 and \
                reference.is_symbol(linkage[1][level], address):
            return SYMBOL_NAME
    if who == "binutils" and name is None and len(ours) == 1:
        return BEYOND
    if who == "binutils" and level < len(ours) - 1:
        return OTHER_INLINED
    if who == "llvm" and other in reference.sizeless:
        return LABEL
    if who == "llvm" and other is None and ours[0][2] == 0 and len(ours) == 1:
        return NO_NAME
    if None not in (name, other) and \
            name == re.sub(r"\[[^]]*\]", "[...]", other):
        return DEMANGLED  # Go's table has no more
    return UNKNOWN


def place_kind(who, ours, theirs):
    """How the places of one level differ."""
    (_, file, line, approximate), (_, other, number) = ours, theirs
    if (file, line) == (other, number) or (approximate and number == 0 and
                                           line > 0):
        return None
    if who == "binutils" and line == number > 0:
        return OTHER_FILE
    if line == number == 0 and None in (file, other):
        return SYMBOL_FILE
    return UNKNOWN


def is_part(ours, theirs):
    """THEIRS has the innermost place, and the outermost function."""
    return len(theirs) < len(ours) and theirs[0][2] in (ours[0][2], 0) and \
        (theirs[-1][0] == ours[-1][0] or theirs[0][0] == ours[0][0])


def kinds(reference, address, who, ours, theirs):
    """All ways in which THEIRS, of WHO, differs from OURS."""
    if len(ours) != len(theirs):
        return {LEFT_OUT if who == "binutils" and is_part(ours, theirs)
                else UNKNOWN}
    names = {name_kind(reference, address, who, ours, theirs, level)
             for level in range(len(ours))}
    places = {place_kind(who, *pair) for pair in zip(ours, theirs)}
    return (names | places) - {None}


def triage(path, addresses, blind):
    """(How many addresses llvm and binutils agree on, how many there are of
    each kind, what there is no kind for)."""
    reference = Reference(path)
    answers = list(zip(addresses, symbols.ask_many(path, addresses),
                       symbols.ask_llvm(path, addresses),
                       symbols.ask_binutils(path, addresses)))
    reference.ask_raw([address for address, ours, llvm, binutils in answers
                       if not (llvm == binutils and
                               symbols.is_same(ours, llvm,
                                               reference.synonyms))])
    agree, counted, rest = 0, collections.Counter(), []
    for address, ours, llvm, binutils in answers:
        found = set()
        for who, theirs in (("llvm", llvm), ("binutils", binutils)):
            differs = kinds(reference, address, who, ours, theirs)
            found |= {NOT_READ} if differs and who == blind else differs
        agree += llvm == binutils
        if found - {DEMANGLED, SYMBOL_NAME} and llvm == binutils:
            found.add(UNKNOWN)
        counted.update(found or {SAME})
        if UNKNOWN in found:
            rest.append((address, ours, llvm, binutils))
    return agree, counted, rest


def look_up(name, path, count, blind=None):
    """Ask all three of COUNT random addresses of PATH, and all functions. BLIND
    is who does not read such debug information."""
    compare.say(f"{name}: {path}")
    addresses = symbols.pcs_of(path, name, count)
    agree, counted, rest = triage(path, addresses, blind)
    line = f"{name}: of {len(addresses)} addresses the two agree on {agree}; " \
        + ", ".join(f"{kind}: {n}" for kind, n in counted.most_common())
    compare.say(line)
    table.append(line)
    for address, ours, llvm, binutils in rest[:20]:
        compare.say(f"0x{address:x}: {ours}, llvm {llvm}, binutils {binutils}")
    if not rest and (blind or agree > len(addresses) // 2):
        compare.ok(name)
    else:
        compare.failed(name, line)


# Programs of many languages, and in many forms


def by_clang(where):
    """This very project's command line, by another compiler."""
    program = where / "clang/epitaph"
    compare.build("make", "-C", lib.ROOT, f"B={where}/clang", "CC=clang",
                  program)
    return program


def by_gcc_lto(where):
    program = where / "lto"
    compare.build("g++", "-g", "-O3", "-flto", "-o", program, symbols.NAMES)
    return program


def by_clang_templates(where):
    program = where / "templates"
    compare.build("clang++", "-g", "-O2", "-o", program, symbols.NAMES)
    return program


def split(where):
    """Units that are in a package."""
    build = where / "split"
    build.mkdir()
    compare.build("clang++", "-g", "-O2", "-gsplit-dwarf", "-c", "-o",
                  "names.o", symbols.NAMES, cwd=build)
    compare.build("clang++", "-o", "split", "names.o", cwd=build)
    compare.build("llvm-dwp", "-e", "split", "-o", "split.dwp", cwd=build)
    (build / "names.dwo").unlink()
    return build / "split"


def common(where):
    """What two programs have in common is in a file of its own (dwz)."""
    programs = [where / "one", where / "two"]
    for program, level in zip(programs, ("-O2", "-O1")):
        compare.build("g++", "-g", "-gdwarf-4", level, "-o", program,
                      symbols.NAMES)
    compare.build("dwz", "-m", "common", *(p.name for p in programs),
                  cwd=where)
    return programs[0]


def by_rustc(where):
    program = where / "rusty"
    compare.build("rustc", "-g", "-O", "-o", program,
                  compare.HERE / "rust/panics.rs")
    return program


def by_go(where):
    program = where / "names"
    compare.build("go", "build", "-o", program, "names.go",
                  cwd=compare.HERE / "go",
                  env={"GOCACHE": str(lib.BUILD / "programs/gocache"),
                       "GOTOOLCHAIN": "local", "PATH": "/usr/bin:/bin"})
    return program


def by_gdc(where):
    program = where / "app"
    compare.build("gdc", "-g", "-O2", "-nophoboslib", "-fno-druntime", "-o",
                  program, SOURCES / "app.d")
    return program


def by_gfortran(where):
    program = where / "numbers"
    compare.build("gfortran", "-g", "-O2", f"-J{where}", "-o", program,
                  SOURCES / "numbers.f90")
    return program


def by_gnat(where):
    compare.build("gnatmake", "-q", "-g", "-O2", SOURCES / "tasks.adb",
                  cwd=where)
    return where / "tasks"


MAKERS = [  # with what it takes, and who does not read that
    (by_clang, "clang", None), (by_clang_templates, "clang++", None),
    (by_gcc_lto, "g++", None), (split, "llvm-dwp", "binutils"),
    (common, "dwz", "llvm"), (by_rustc, "rustc", None), (by_go, "go", None),
    (by_gdc, "gdc", None), (by_gfortran, "gfortran", None),
    (by_gnat, "gnatmake", None)]


def main():
    compare.need("llvm-symbolizer", "addr2line", "readelf")
    for package, number in PACKAGES.items():
        found = largest(package)
        if found:
            look_up(package, found, number)
        else:
            compare.skipped(package, "it is not installed; scripts/setup "
                            "programs installs it")
    for maker, needed, blind in MAKERS:
        if shutil.which(needed):
            look_up(maker.__name__, maker(lib.temp_dir("built.")), 20_000,
                    blind)
        else:
            compare.skipped(maker.__name__, f"{needed} is not installed; "
                            "scripts/setup programs installs it")
    (lib.BUILD / "programs").mkdir(exist_ok=True)
    (lib.BUILD / "programs/names.txt").write_text("\n".join(table) + "\n")


if __name__ == "__main__":
    main()

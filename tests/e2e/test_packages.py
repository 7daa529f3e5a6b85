"""Split units that were packed into one file (.dwp): what they say is what the
units in one piece say, by whatever tool they were packed; and where some are
missing or damaged, that is said."""

import pathlib
import random
import re
import shutil
import struct
import subprocess

import lib
import test_dwarf as dwarf
import test_symbolize as symbols

EXTRA = r"""
struct extra { int n; int get(int by); };
static inline __attribute__((always_inline)) int twice(int n)
{
	int r = 0;
	for (; n > 0; n--)
		r += n % 7;
	return r;
}
__attribute__((noinline)) int extra::get(int by) { return twice(n + by); }
__attribute__((noinline)) int extra_sum(extra *e, int n)
{
	int r = 0;
	for (int i = 0; i < n; i++)
		r += e[i].get(i) + twice(i);
	return r;
}
"""


# The sections that a unit has a piece of, by their numbers in the index.
COLUMNS = {".debug_info.dwo": 1, ".debug_abbrev.dwo": 3, ".debug_line.dwo": 4,
           ".debug_loclists.dwo": 5, ".debug_str_offsets.dwo": 6,
           ".debug_rnglists.dwo": 8}


def contents(path):
    """{name: bytes} of the debug sections of PATH."""
    table = subprocess.run(["readelf", "-SW", path], text=True, check=True,
                           capture_output=True).stdout
    found = re.findall(r"\] (\.debug_\S+) +PROGBITS +\w+ (\w+) (\w+)", table)
    whole = path.read_bytes()
    return {name: whole[int(at, 16):int(at, 16) + int(size, 16)]
            for name, at, size in found}


def index_of_units(ids, rows):
    """The index of units with IDS, of which ROWS have (offset, length) of each
    column."""
    slots = 4
    while slots < 2 * len(ids):
        slots *= 2
    table = [(0, 0)] * slots
    for row, identity in enumerate(ids, 1):
        at = identity & slots - 1
        while table[at][1]:
            at = at + (identity >> 32 & slots - 1 | 1) & slots - 1
        table[at] = identity, row
    numbers = [5, len(COLUMNS), len(ids), slots]
    cells = [*COLUMNS.values()] + [row[i][field] for field in (0, 1)
                                   for row in rows for i in range(len(row))]
    return b"".join([struct.pack("<4I", *numbers),
                     *(struct.pack("<Q", slot[0]) for slot in table),
                     *(struct.pack("<I", slot[1]) for slot in table),
                     *(struct.pack("<I", cell) for cell in cells)])


def pack_by_hand(units, package):
    """A package of DWARF 5 UNITS. Each has its strings behind those of the one
    before, so its table of them is told where that is."""
    whole = {name: b"" for name in (*COLUMNS, ".debug_str.dwo")}
    ids, rows = [], []
    for unit in units:
        parts = contents(unit)
        ids.append(struct.unpack_from("<Q", parts[".debug_info.dwo"], 12)[0])
        table = parts[".debug_str_offsets.dwo"]
        moved = struct.unpack(f"<{len(table) // 4}I", table)
        parts[".debug_str_offsets.dwo"] = struct.pack(
            f"<{len(moved)}I", *moved[:2],
            *(at + len(whole[".debug_str.dwo"]) for at in moved[2:]))
        rows.append([(len(whole[name]), len(parts.get(name, b"")))
                     for name in COLUMNS])
        for name in whole:
            whole[name] += parts.get(name, b"")
    whole[".debug_cu_index"] = index_of_units(ids, rows)
    pathlib.Path("empty.s").write_text("")
    subprocess.run(["as", "-o", package, "empty.s"], check=True)
    for name, data in whole.items():
        pathlib.Path("section").write_bytes(data)
        symbols.objcopy("--add-section", f"{name}=section",
                        "--set-section-flags", f"{name}=readonly,debug",
                        package)


def pack(program, by):
    """All split units of PROGRAM go into a package, by the tool BY."""
    package = pathlib.Path(f"{program}.dwp")
    units = list(program.parent.glob("*.dwo"))
    if by == "hand":
        pack_by_hand(units, package)
    else:
        lib.need(by)
        subprocess.run([by, "-e", program.name, "-o", package.name],
                       check=True, cwd=program.parent, timeout=60)
    for unit in units:
        unit.unlink()
    lib.forget_symbols()
    return package


def build(name, compiler, *options):
    pathlib.Path("extra.cc").write_text(EXTRA)
    return dwarf.build(name, "-O2", *options, compiler=compiler,
                       sources=(symbols.NAMES, "extra.cc"))


def version_of(package):
    """What the package's index says of its own form."""
    subprocess.run(["objcopy", "-O", "binary", "--only-section=.debug_cu_index",
                    "--set-section-flags", ".debug_cu_index=alloc", package,
                    "cu_index"], check=True)
    return struct.unpack("<IIII", pathlib.Path("cu_index").read_bytes()[:16])


def named_by_llvm(program, pcs):
    """How many of PCS llvm-symbolizer names just as we do."""
    synonyms = symbols.aliases(program)
    return sum(1 for ours, theirs in zip(dwarf.ask(program, pcs),
                                         symbols.ask_llvm(program, pcs))
               if theirs[0][2] and symbols.is_same(ours, theirs, synonyms))


def check_packed(compiler, options, by, version):
    name = compiler + "".join(options) + by
    whole = build(f"whole{name}", compiler, *options)
    split = build(f"split{name}", compiler, *options, "-gsplit-dwarf")
    package = pack(split, by)
    head = version_of(package)
    assert head[0] == version and head[2] >= 2, head
    dwarf.check_same(whole, split)


def check_llvm(program, least):
    lib.need("llvm-symbolizer")
    pcs = dwarf.pcs_of(program)
    theirs = symbols.ask_llvm(program, pcs)
    known = sum(1 for levels in theirs if levels[0][2])
    same = named_by_llvm(program, pcs)
    assert same == known >= least, (same, known)


# By real tools


def test_old_packages():
    """packages of DWARF 4, by dwp and by llvm-dwp, say what whole units say"""
    for by in ("dwp", "llvm-dwp"):
        check_packed("g++", ["-gdwarf-4"], by, 2)
        check_packed("clang++", ["-gdwarf-4"], by, 2)
    check_packed("clang++", ["-gdwarf-4", dwarf.TYPES], "llvm-dwp", 2)


def test_packages():
    """packages of DWARF 5 say what whole units say"""
    check_packed("clang++", ["-gdwarf-5"], "llvm-dwp", 5)
    check_packed("clang++", ["-gdwarf-5", dwarf.TYPES], "llvm-dwp", 5)


def test_packages_of_gcc():
    """packages of gcc's DWARF 5, made by hand, say what whole units say"""
    # dwp crashes on what gcc makes of C++, and llvm-dwp does not end.
    check_packed("g++", ["-gdwarf-5"], "hand", 5)
    check_packed("clang++", ["-gdwarf-5"], "hand", 5)


def test_packages_by_llvm():
    """of packages we have the names, inlines and lines llvm-symbolizer has"""
    for version in ("-gdwarf-4", "-gdwarf-5"):
        program = build(f"llvm{version}", "clang++", version, "-gsplit-dwarf")
        pack(program, "llvm-dwp")
        check_llvm(program, 200)


@lib.deadline(300)
def test_packages_of_rust():
    """what rustc packs, DWARF 4 and 5, has the names llvm-symbolizer has"""
    lib.need("rustc")
    pathlib.Path("main.rs").write_text(dwarf.RUST)
    for version in (4, 5):
        name = f"rust{version}"
        subprocess.run(["rustc", "-g", "-O", "-C", "split-debuginfo=packed",
                        "-C", "codegen-units=4", "-C",
                        f"dwarf-version={version}", "-o", name, "main.rs"],
                       check=True)
        program = pathlib.Path(name).absolute()
        assert version_of(f"{name}.dwp")[0] == {4: 2, 5: 5}[version]
        assert not list(pathlib.Path().glob("*.dwo"))
        check_llvm(program, 500)


# Where they are found


def stack_of(report, *options):
    try:
        lib.forget_symbols()
        symbols.check_stack(report, *options)
    except AssertionError:
        return False
    return True


def test_places():
    """a package is found beside a program or its debug file, and by -S"""
    program = build("program", "clang++", "-gsplit-dwarf", "-Wl,--build-id")
    report = symbols.crash(program)
    package = pack(program, "llvm-dwp")
    identity = symbols.build_id(program)
    assert stack_of(report)
    debug = symbols.split_debug(program)
    shutil.move(debug, "apart.debug")
    for place, options in (
            (f"{program}.dwp", ["-S", "apart.debug"]),
            ("apart.debug.dwp", ["-S", "apart.debug"]),
            ("apart.dwp", ["-S", "apart.debug"]),
            ("folder/of/any.dwp", ["-S", "apart.debug", "-S", "folder"]),
            (f"tree/.build-id/{identity[:2]}/{identity[2:]}.dwp",
             ["-S", "apart.debug", "-S", "tree"]),
            (f"tree/{identity[:2]}/{identity[2:]}.dwp",
             ["-S", "apart.debug", "-S", "tree"])):
        pathlib.Path(place).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(package, place)
        package = pathlib.Path(place)
        assert stack_of(report, *options), place
        assert not options[2:] or not stack_of(report, *options[:2]), place


def test_other_package():
    """of a package that is another build's nothing is taken"""
    program = build("program", "clang++", "-gsplit-dwarf")
    other = build("other", "clang++", "-gsplit-dwarf", "-O1")
    report = symbols.crash(program)
    right, wrong = pack(program, "llvm-dwp"), pack(other, "llvm-dwp")
    pathlib.Path("folder").mkdir()
    shutil.move(right, "folder/right.dwp")
    shutil.copy(wrong, right)
    assert not stack_of(report)
    assert stack_of(report, "-S", "folder")


# What is missing


def kept_of(program):
    """Indexes of PROGRAM in the symbol store."""
    identity = symbols.build_id(program)
    return {path for path in lib.symbol_store().rglob("*")
            if path.name.startswith(identity[2:])}


def functions(symbolized):
    return [(frame["pc"], frame["function"], frame["line"])
            for thread in symbolized["threads"] for frame in thread["frames"]]


def why(report, program):
    return symbols.module_of(report, program.name)["why"]


def test_lost_units():
    """split units that are not found are counted; such an index is not kept"""
    program = build("program", "clang++", "-gsplit-dwarf")
    report = symbols.crash(program)
    units = {unit: unit.read_bytes() for unit in
             program.parent.glob("*.dwo")}
    for unit in units:
        unit.unlink()
    lib.forget_symbols()
    for lost, name in ((2, "names.dwo"), (1, "extra.dwo")):
        assert why(report, program) == \
            f"{lost} split unit{'s' * (lost > 1)} not found, first: {name}"
        assert not kept_of(program)
        unit = program.parent / name
        unit.write_bytes(units[unit])
    assert why(report, program) is None
    assert kept_of(program)


def index_of(package):
    """Where the index is in PACKAGE: offset and size."""
    sections = subprocess.run(["readelf", "-SW", package], text=True,
                              check=True, capture_output=True).stdout
    line = next(line for line in sections.splitlines()
                if " .debug_cu_index " in line)
    return [int(field, 16) for field in line.split("]")[1].split()[3:5]]


def damaged(package):
    """Pairs: bytes of what is left of PACKAGE, and whether the damage is
    in the index, or in its end, so that it must be noticed if it matters."""
    whole = package.read_bytes()
    start, size = index_of(package)
    for at in range(start, start + size):
        for bit in (0, 5):
            broken = bytearray(whole)
            broken[at] ^= 1 << bit
            yield broken, True
    for length in range(0, len(whole), len(whole) // 16):
        yield whole[:length], True
    rng = random.Random(1)
    for _ in range(24):
        broken = bytearray(whole)
        for _ in range(16):
            broken[rng.randrange(len(broken))] = rng.choice((0, 1, 0x7f, 0xff))
        yield broken, False


@lib.deadline(300)
def test_damaged():
    """a damaged package gives what is left, and the module says what is lost"""
    program = build("program", "clang++", "-gsplit-dwarf")
    package = pack(program, "llvm-dwp")
    pcs = dwarf.pcs_of(program)
    start = 0x7F0000000000
    report = symbols.make_report(
        "asked.dmp.gz", [(str(program), symbols.build_id(program), start,
                          max(pcs) + 4096)], [pc + start for pc in pcs])
    full = functions(lib.symbolize(report))
    noticed = 0
    for broken, is_told in damaged(package):
        package.write_bytes(broken)
        lib.forget_symbols()
        found = lib.symbolize(report)
        assert found["trouble"] is None, found["trouble"]
        module, = found["modules"]
        is_less = functions(found) != full
        assert module["why"] or not is_less or not is_told, module
        noticed += is_less and is_told
        if module["why"]:
            assert not kept_of(program)
    assert noticed > 100, noticed

"""epitaph symbolize: names, inlines, files and lines, with no collector in
sight, and what it does where there are none to be had."""

import gzip
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess

import lib

LIBC_DEBUG = pathlib.Path("/usr/lib/debug/.build-id")
FRAMES_A_THREAD = 1000  # of 1024 that the format allows
RANDOM_PCS = 3000

# Making reports by hand


def build_id(path):
    """The build-id of the ELF file PATH, in hex, or what stands for it where
    Go's linker has written one of its own."""
    notes = subprocess.run(["readelf", "-nW", path], capture_output=True,
                           text=True, check=True).stdout
    found = re.search(r"Build ID: ([0-9a-f]+)", notes)
    if found:
        return found.group(1)
    found = re.search(r"GO BUILDID\s+description data: ([0-9a-f ]+)", notes)
    return hashlib.sha256(bytes.fromhex(found.group(1))).hexdigest()[:40]


def load_base(path):
    """The address of file offset 0 in PATH's own numbering."""
    headers = subprocess.run(["readelf", "-lW", path], capture_output=True,
                             text=True, check=True).stdout
    load = re.search(r"LOAD +(0x\w+) (0x\w+)", headers)
    return int(load.group(2), 16) - int(load.group(1), 16)


def _string(text):
    raw = text.encode("utf-16-le")
    return struct.pack("<I", len(raw)) + raw + b"\0\0"


def make_report(path, modules, addresses, exact=True):
    """A gzipped report at PATH: MODULES are (path, build-id in hex, base,
    size), and ADDRESSES make its threads' frames, all of them in modules."""
    chunks = [addresses[i:i + FRAMES_A_THREAD]
              for i in range(0, len(addresses), FRAMES_A_THREAD)]
    threads, listed = [], []
    for tid, chunk in enumerate(chunks, 1):
        frames = []
        for pc in chunk:
            index = next(i for i, m in enumerate(modules)
                         if m[2] <= pc < m[2] + m[3])
            frames.append([f"0x{pc:x}", "0x0", index,
                           "context" if exact else "cfi"])
        threads.append({"tid": tid, "name": "t", "crashed": tid == 1,
                        "frames": frames, "depth": len(frames)})
        listed.append(struct.pack("<IIIIQQIIII", tid, 0, 0, 0, 0, 0, 0, 0, 0,
                                  0))
    user = json.dumps({
        "epitaph": 1, "id": "01a1f96a-e283-7851-a56d-19f3bb32eaba",
        "tier": 1, "complete": True, "time_ms": 1, "threads": threads,
        "signal": {"number": 11, "code": 1}}).encode()
    dump = bytearray(32)
    entries = []

    def add(kind, data):
        entries.append((kind, len(data), len(dump)))
        dump.extend(data + b"\0" * (-len(data) % 8))

    def place(data):
        at = len(dump)
        dump.extend(data + b"\0" * (-len(data) % 8))
        return at

    add(7, struct.pack("<HHHBBIIIIIHH24x", 9, 6, 0, 1, 0, 0, 0, 0, 0x8201,
                       place(_string("")), 0, 0))
    add(3, struct.pack("<I", len(listed)) + b"".join(listed))
    records = []
    for name, identity, base, size in modules:
        where = place(_string(name))
        view = struct.pack("<I", 0x4270454C) + bytes.fromhex(identity)
        at = place(view)
        records.append(struct.pack("<QIIII52xIIII16x", base, size, 0, 0,
                                   where, len(view), at, 0, 0))
    add(4, struct.pack("<I", len(records)) + b"".join(records))
    add(lib.EPITAPH_STREAM, user)
    directory = len(dump)
    for kind, size, where in entries:
        dump.extend(struct.pack("<III", kind, size, where))
    struct.pack_into("<IIIIIIQ", dump, 0, 0x504D444D, 0xA793, len(entries),
                     directory, 0, 1, 0)
    pathlib.Path(path).write_bytes(gzip.compress(bytes(dump)))
    return path


# Three tools, one form: [(function, file, line), ...] for each address


CUT = "..."


def short(name):
    """The last part of NAME, which all tools agree on: without parameters,
    template arguments, clone suffixes, Rust's hash, Go's calling convention,
    and the classes around it."""
    if name in (None, "??", ""):
        return None
    if name.endswith("..."):  # cut at 16 KiB
        return CUT
    name = re.sub(r" \(\.llvm\.\d+\)$|@@?[\w.]+$", "", name)
    name = re.sub(r"_?\$u7b\$", "{", name).replace("$u7d$", "}")
    name = re.sub(r" \[clone [^]]*\]|::h[0-9a-f]{16}$|\.abi0$", "", name)
    name = re.sub(r"(\.(cold|part|constprop|isra|lto_priv|localalias)"
                  r"(\.\d+)*)+$", "", name)
    name = name.replace("(anonymous namespace)", "anonymous")
    name = name.replace("operator()", "operator call")
    depth, kept = 0, ""
    for char in re.sub(r"operator(<=>|<<|>>|<=|>=|<|>|->)", "operator", name):
        depth += char in "(<{"
        if depth == 0:
            kept += char
        depth -= char in ")>}"
    kept = re.sub(r"( const| volatile|&)+$", "", kept.strip())
    return re.split(r"::|(?<!operator) ", kept)[-1]


def tidy(path):
    """PATH as it is meant: a relative compilation directory may come twice."""
    if path in (None, "??", ""):
        return None
    return re.sub(r"^([^/].*?/)\1", r"\1", os.path.normpath(path))


def ask_llvm(path, addresses):
    done = subprocess.run(
        ["llvm-symbolizer", "--output-style=JSON", "--demangle", "--inlines",
         f"--obj={path}"], text=True, check=True, capture_output=True,
        input="".join(f"0x{a:x}\n" for a in addresses)).stdout
    found = []
    for line in done.splitlines():
        levels = json.loads(line).get("Symbol", [])
        found.append([(short(x["FunctionName"]), tidy(x["FileName"]),
                       x["Line"]) for x in levels])
    return found


def ask_binutils(path, addresses, tool=("addr2line",)):
    done = subprocess.run(
        [*tool, "-a", "-f", "-i", "-C", "-e", path], text=True,
        check=True, capture_output=True, env=lib.clean_env(),
        input="".join(f"0x{a:x}\n" for a in addresses)).stdout
    found, lines = [], done.splitlines()
    at = 0
    while at < len(lines):
        levels = []
        at += 1
        while at < len(lines) and not re.match(r"0x[0-9a-f]{16}$", lines[at]):
            place = re.sub(r" \(discriminator \d+\)$", "", lines[at + 1])
            file, line = place.rsplit(":", 1)
            levels.append((short(lines[at]), tidy(file),
                           int(line) if line.isdigit() else 0))
            at += 2
        found.append(levels)
    return found


def ask_many(path, addresses):
    """Ours, quickly, of very many. What is approximate is not told, so all may
    be where the others have no line."""
    tool = (lib.EPITAPH, "addr2line")
    return [[(*level, True) for level in levels]
            for levels in ask_binutils(path, addresses, tool)]


def ask_epitaph(path, addresses, *options):
    """By a report whose frames are at ADDRESSES of PATH's numbering; a level
    also says whether its line is approximate."""
    start = 0x7F0000000000
    bias = start - load_base(path)
    size = max(addresses) + 4096 - load_base(path)
    order = sorted(set(addresses))
    report = make_report("asked.dmp.gz",
                         [(os.path.abspath(path), build_id(path), start, size)],
                         [a + bias for a in order])
    answers = {}
    for thread in lib.symbolize(report, *options)["threads"]:
        for frame in thread["frames"]:
            answers.setdefault(int(frame["pc"], 16) - bias, []).append(
                (short(frame["function"]), tidy(frame["file"]),
                 frame["line"] or 0, "approximate" in frame["flags"]))
    return [answers[a] for a in addresses]


def function_starts(path):
    """Addresses of the sized functions in PATH's symbol table."""
    table = subprocess.run(["readelf", "-sW", path], text=True, check=True,
                           capture_output=True).stdout
    found = set()
    for line in table.splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[3] == "FUNC" and fields[2] != "0" and \
                fields[6].isdigit():
            found.add(int(fields[1], 16))
    return sorted(found - {0})


def text_range(path):
    sections = subprocess.run(["readelf", "-SW", path], text=True, check=True,
                              capture_output=True).stdout
    found = re.search(r" \.text +\w+ +(\w+) +\w+ +(\w+)", sections)
    return int(found.group(1), 16), int(found.group(2), 16)


def pcs_of(path, seed, count=RANDOM_PCS):
    """Function starts of PATH and COUNT random addresses of its code."""
    start, size = text_range(path)
    rng = random.Random(seed)
    return sorted(set(function_starts(path)) |
                  {start + rng.randrange(size) for _ in range(count)})


def aliases(path):
    """{name: addresses} of the symbols of PATH."""
    table = subprocess.run(["readelf", "-sWC", path], text=True, check=True,
                           capture_output=True).stdout
    found = {}
    for line in table.splitlines():
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and re.fullmatch(r"[0-9a-f]{16}", fields[1]):
            name = re.sub(r" \(\d+\)$", "", fields[7])  # of its version
            found.setdefault(short(name), set()).add(int(fields[1], 16))
    return found


def is_same(ours, theirs, synonyms):
    """Whether two lists of levels say the same. Where the compiler said line
    0, we give the nearest line before it, marked approximate. A function with
    several names may be called by any."""
    if len(ours) != len(theirs):
        return False
    for (f, file, line, approximate), (g, other, number) in zip(ours, theirs):
        if f not in (g, CUT) and \
                synonyms.get(f, set()).isdisjoint(synonyms.get(g, ())):
            return False
        if approximate and number == 0:
            continue
        if file != other or line != number:
            return False
    return True


def compare(path, addresses, ask=ask_epitaph):
    """Look ADDRESSES of PATH up with all three tools. (How many we have as the
    other two do, on how many those two agree, the rest.)"""
    synonyms = aliases(path)
    agree, same, rest = 0, 0, []
    for address, ours, llvm, binutils in zip(
            addresses, ask(path, addresses),
            ask_llvm(path, addresses), ask_binutils(path, addresses)):
        if llvm != binutils:
            continue
        agree += 1
        if is_same(ours, llvm, synonyms):
            same += 1
        else:
            rest.append((address, ours, llvm))
    return same, agree, rest


def check_equal(path, addresses=None, least=100):
    same, agree, rest = compare(path, addresses or pcs_of(path, str(path)))
    print(f"{path}: {same} of {agree} addresses that llvm-symbolizer and "
          "addr2line agree on")
    assert agree >= least, f"the two agree on {agree} addresses only"
    assert same == agree, "\n".join(
        f"0x{address:x}\n  we say {ours}\n  they say {theirs}"
        for address, ours, theirs in rest[:10])


# Programs to look at

NAMES = lib.ROOT / "tests/fixtures/names.cc"
FILE = str(NAMES)
STACK = [  # innermost first: function, text of its line, inlined
    ("leaf", "*where = what;", True),
    ("middle", "leaf<int>(where, n + 1);", True),
    ("call", "middle(where, n * factor);", False),
    ("hidden", "int result = outer.call(where, n);", False),
    ("main", "number += hidden(argc > 1 ? nullptr : &number, argc);", False),
]


def compile_names(name, *options, compiler="g++"):
    lib.need(compiler)
    program = pathlib.Path(name).absolute()
    subprocess.run([compiler, "-g", *options, "-o", program, NAMES],
                   check=True)
    return program


def crash(program):
    """The report of PROGRAM with an argument: it writes to null."""
    return lib.run_under_shim([program, "die"]).report


def check_stack(report, *options):
    """The fixture's frames, each with its line, inlines included."""
    lines = NAMES.read_text().splitlines()
    frames = lib.crashed_thread(lib.symbolize(report, *options))["frames"]
    found = [(short(f["function"]), f["file"], f["line"], f["inline"])
             for f in frames[:len(STACK)]]
    wanted = [(name, FILE, 1 + next(i for i, line in enumerate(lines)
                                    if line.strip() == text), inline)
              for name, text, inline in STACK]
    assert found == wanted, f"found {found}, wanted {wanted}"


def objcopy(*args):
    subprocess.run(["objcopy", *args], check=True)


def split_debug(program):
    """Move PROGRAM's debug information to a file of its own, as packages do:
    its path."""
    debug = pathlib.Path(f"{program}.debug")
    objcopy("--only-keep-debug", program, debug)
    objcopy("--strip-unneeded", program)
    return debug


# Tests


@lib.deadline(300)
def test_gcc():
    """symbolize agrees with llvm-symbolizer and addr2line on gcc's output"""
    lib.need("llvm-symbolizer", "addr2line", "readelf")
    check_equal(compile_names("O0", "-O0"))
    check_equal(compile_names("O2", "-O2"))
    check_equal(compile_names("O3d4", "-O3", "-gdwarf-4"))
    check_equal(compile_names("gz", "-O2", "-gz"))
    check_equal(compile_names("lto", "-O2", "-flto"))
    check_equal(compile_names("nopie", "-O2", "-no-pie"))


@lib.deadline(300)
def test_clang():
    """symbolize agrees with llvm-symbolizer and addr2line on clang's output"""
    lib.need("llvm-symbolizer", "addr2line", "readelf")
    check_equal(compile_names("c0", "-O0", compiler="clang++"))
    check_equal(compile_names("c2", "-O2", compiler="clang++"))
    check_equal(compile_names("c4", "-O1", "-gdwarf-4", compiler="clang++"))
    check_equal(compile_names("gc", "-O2", "-ffunction-sections",
                              "-Wl,--gc-sections", compiler="clang++"))


@lib.deadline(300)
def test_libc():
    """symbolize agrees with llvm-symbolizer and addr2line on Debian's libc"""
    lib.need("llvm-symbolizer", "addr2line", "readelf")
    libc = subprocess.run(["gcc", "-print-file-name=libc.so.6"], text=True,
                          check=True, capture_output=True).stdout.strip()
    identity = build_id(libc)
    debug = LIBC_DEBUG / identity[:2] / f"{identity[2:]}.debug"
    if not debug.exists():
        raise lib.Skip("libc6-dbg is not installed")
    check_equal(debug)


def test_known_stack():
    """a crash is named with function, file, line and inlines, at any -O"""
    for options in (["-O0"], ["-O2"], ["-O2", "-gdwarf-4"], ["-O2", "-gz"],
                    ["-O2", "-gsplit-dwarf"]):
        program = compile_names("known" + "".join(options), *options)
        check_stack(crash(program))


def test_build_id_tree():
    """-S finds debug information in a tree by build-id"""
    program = compile_names("program", "-O2")
    debug = split_debug(program)
    report = crash(program)
    identity = build_id(program)
    for tree in ("tree/.build-id", "store"):
        place = pathlib.Path(tree, identity[:2])
        place.mkdir(parents=True)
        shutil.copy(debug, place / f"{identity[2:]}.debug")
    debug.unlink()
    check_stack(report, "-S", "tree")
    check_stack(report, "-S", "store")
    check_stack(report, "-S", "nowhere", "-S", "store")


def test_folder():
    """-S finds debug information in a folder of files, whatever their names"""
    program = compile_names("program", "-O2")
    report = crash(program)
    pathlib.Path("folder/below").mkdir(parents=True)
    shutil.move(split_debug(program), "folder/below/anything")
    pathlib.Path("folder/noise").write_text("not an ELF file")
    os.mkfifo("folder/fifo")
    check_stack(report, "-S", "folder")
    program.unlink()  # nor is the program needed
    check_stack(report, "-S", "folder")


def test_debuglink():
    """.gnu_debuglink is followed, beside the program and in .debug"""
    program = compile_names("program", "-O2")
    debug = split_debug(program)
    objcopy(f"--add-gnu-debuglink={debug}", program)
    report = crash(program)
    check_stack(report)
    os.mkdir(".debug")
    shutil.move(debug, f".debug/{debug.name}")
    check_stack(report)


def names_of(report, *options):
    return lib.functions(lib.crashed_thread(lib.symbolize(report, *options)))


def module_of(report, name, *options):
    return next(m for m in lib.symbolize(report, *options)["modules"]
                if m["path"].endswith(f"/{name}"))


def test_common_debug_file():
    """names that dwz moved to a common file are found, or said to be missing"""
    lib.need("dwz")
    programs = [compile_names("a", "-O2", "-gdwarf-4"),
                compile_names("b", "-O1", "-gdwarf-4")]
    report = crash(programs[0])
    debugs = [split_debug(program) for program in programs]
    subprocess.run(["dwz", "-m", "common", "-r", *(d.name for d in debugs)],
                   check=True)
    os.mkdir("folder")
    shutil.copy(debugs[0], "folder")
    shutil.move("common", "folder/other")
    check_stack(report, "-S", "folder")
    os.unlink("folder/other")
    lib.forget_symbols()
    assert "dwz" in module_of(report, "a", "-S", "folder")["why"]


def test_minidebug():
    """the xz-packed symbol table of a stripped program (Fedora's) is read"""
    lib.need("xz")
    program = compile_names("program", "-O2")
    report = crash(program)
    objcopy("--only-keep-debug", program, "table")
    objcopy("--strip-debug", "table")
    subprocess.run(["xz", "--keep", "table"], check=True)
    objcopy("--strip-all", program)
    before = names_of(report)
    objcopy("--add-section", ".gnu_debugdata=table.xz", program)
    after = names_of(report)
    assert "(anonymous namespace)::hidden(int*, int)" in after, after
    assert "(anonymous namespace)::hidden(int*, int)" not in before, before


def test_other_build_is_refused():
    """a file with another build-id is refused, and the module is missing"""
    program = compile_names("program", "-O2")
    report = crash(program)
    assert module_of(report, "program")["symbols"] == "found"
    other = compile_names("other", "-O2", "-DOTHER=1",
                          "-Wl,--build-id=0x0102030405060708")
    shutil.copy(other, program)
    lib.forget_symbols()
    assert module_of(report, "program")["symbols"] == "missing"
    named = lib.crashed_thread(lib.symbolize(report))["frames"][0]
    assert named["function"] is None and named["file"] is None
    identity = module_of(report, "program")["build_id"]
    place = pathlib.Path("tree/.build-id", identity[:2])
    place.mkdir(parents=True)
    shutil.copy(other, place / f"{identity[2:]}.debug")
    assert module_of(report, "program", "-S", "tree")["symbols"] == "missing"
    link = compile_names("linked", "-O2")
    report = crash(link)
    split_debug(link).unlink()
    shutil.copy(other, "linked.debug")
    objcopy("--add-gnu-debuglink=linked.debug", link)
    assert module_of(report, "linked")["symbols"] == "missing"


def test_index_is_kept():
    """a module's index is kept, and made again if it is damaged"""
    program = compile_names("program", "-O2")
    report = crash(program)
    full = lib.symbolize(report)
    identity = build_id(program)
    index = lib.symbol_store() / identity[:2] / f"{identity[2:]}.csym"
    written = index.read_bytes()
    # Without the program's debug information there is nothing else to ask.
    away = shutil.copy(program, "away")
    objcopy("--strip-debug", program)
    assert lib.symbolize(report)["threads"] == full["threads"]
    assert index.read_bytes() == written
    # What is damaged names nothing, and is as good as not there.
    shutil.move(away, program)
    for damaged in (b"", b"nonsense", written[:-1], written[:1000],
                    bytes([written[0] ^ 1]) + written[1:],
                    written[:-1] + bytes([written[-1] ^ 1])):
        index.write_bytes(damaged)
        assert lib.symbolize(report)["threads"] == full["threads"]
        assert index.read_bytes() == written
    # A byte that is another one in what is looked at.
    for place in range(600, len(written) - 100, len(written) // 50):
        index.write_bytes(written[:place] + bytes([written[place] ^ 0x55]) +
                          written[place + 1:])
        assert lib.symbolize(report)["threads"] == full["threads"], place


def test_no_build_id():
    """a module without a build-id gets no names from a file that may differ"""
    program = compile_names("program", "-O2", "-Wl,--build-id=none")
    report = crash(program)
    module = module_of(report, "program")
    assert module["build_id"] is None and module["symbols"] == "none"


def test_stripped():
    """a stripped program has its exported names and no invented ones"""
    program = compile_names("program", "-O2", "-rdynamic")
    report = crash(program)
    full = names_of(report)
    split_debug(program).unlink()
    lib.forget_symbols()
    kept = names_of(report)
    assert module_of(report, "program")["symbols"] == "missing"
    exported = [name for name in kept if name]
    assert any(name.startswith("main") for name in exported), kept
    for name in exported:
        assert any(name == other for other in full), (name, full)


def test_rebuilt_fingerprint():
    """a rebuilt program's crash has the same semantic fingerprint"""
    prints = []
    for name, options in (("a", ["-O2"]), ("b", ["-O2", "-DMORE=1",
                          "-Wl,-Ttext-segment=0x20000"]), ("c", ["-O1"])):
        program = compile_names(name, *options)
        found = lib.symbolize(crash(program))
        prints.append(found["fingerprint"])
    exact = {p["exact"] for p in prints}
    assert len(exact) == 3, prints
    assert len({p["semantic"] for p in prints}) == 1, prints
    assert prints[0]["title"] == ("deep::leaf<T> | deep::middle | "
                                  "deep::Outer::call"), prints[0]


def test_several_files():
    """several files: plain, gzipped, stdin; errors are told for each"""
    program = compile_names("program", "-O2")
    report = crash(program)
    plain = pathlib.Path("plain.dmp")
    plain.write_bytes(lib.unpack(report))
    pathlib.Path("bad.dmp").write_bytes(b"MDMP of a kind")
    pathlib.Path("core").write_bytes(b"\177ELF" + bytes(60))
    outcome = lib.epitaph("symbolize", "--json", report, plain, "-", "bad.dmp",
                          "missing.dmp", "core", stdin=plain.read_bytes())
    assert outcome.exit == 1
    documents = [json.loads(x) for x in outcome.stdout.splitlines()]
    assert len(documents) == 3
    assert documents[0] == documents[1] == documents[2]
    errors = outcome.stderr.decode().splitlines()
    assert [e.split(": ")[1] for e in errors] == [
        "symbolize bad.dmp", "symbolize missing.dmp", "symbolize core"]


def test_usage():
    """symbolize says what is wrong with its command line, with status 2"""
    for args in ([], ["--args"], ["--no-such", "x"], ["-S"]):
        outcome = lib.epitaph("symbolize", *args)
        assert outcome.exit == 2, (args, outcome)
        assert outcome.stderr.startswith(b"epitaph: symbolize: ") or \
            b"option" in outcome.stderr, outcome.stderr


def test_text():
    """the text names the crash and its frames, and cannot drive a terminal"""
    program = compile_names("pro\x1b[31mgram", "-O2")
    report = crash(program)
    text = lib.epitaph_ok("symbolize", report)
    assert "\x1b" not in text and "pro\\x1b[31mgram" in text
    assert text.startswith("SIGSEGV SEGV_MAPERR at 0x0\n"), text
    assert re.search(r"^#0 +0x[0-9a-f]{16} in deep::leaf<int> .*"
                     r"names\.cc:\d+ \[inlined\]$", text, re.M), text
    everything = lib.epitaph_ok("symbolize", "--all-threads", report)
    assert everything.startswith(text.splitlines()[0])


def test_core():
    """a core is named like the report of the same crash"""
    lib.need_cores()
    program = compile_names("program", "-O2")
    outcome = lib.run_under_shim([program, "die"], cores=True)
    check_stack(outcome.report)
    core = lib.core_in(".")
    check_stack(core)
    ours, theirs = lib.symbolize(outcome.report), lib.symbolize(core)
    assert theirs["signal"]["name"] == ours["signal"]["name"] == "SIGSEGV"
    assert lib.pcs(lib.crashed_thread(ours)) == \
        lib.pcs(lib.crashed_thread(theirs))
    assert ours["fingerprint"]["semantic"] == \
        theirs["fingerprint"]["semantic"]


# Go's table of functions, in a program that is none of Go's

GO_TABLE = r"""
void crash(void), call(void);

__asm__(
	".text\n"
	".balign 16\n"
	"crash: .cfi_startproc\n"   /* offset 0 */
	"movl $1, 0\n"
	"ret\n"
	".cfi_endproc\n"
	".balign 16, 0xcc\n"
	"call: .cfi_startproc\n"    /* offset 16; the call is at 20 */
	"sub $8, %rsp\n"
	".cfi_adjust_cfa_offset 8\n"
	"call crash\n"
	"add $8, %rsp\n"
	".cfi_adjust_cfa_offset -8\n"
	"ret\n"
	".cfi_endproc\n"
	"end:\n"
	".globl crash, call\n"
	".section .gopclntab, \"aw\", @progbits\n"
	".balign 32\n"
	"table: .long 0xfffffff0, 0x08010000\n"
	".quad 2, 1, crash\n"
	".quad names - table, units - table, files - table\n"
	".quad values - table, records - table\n"
	"names: .asciz \"main.crash\"\n"
	"name2: .asciz \"main.(*T).call\"\n"
	".balign 4\n"
	"units: .long 0\n"
	"files: .asciz \"/src/main.go\"\n"
	"values: .byte 0\n"
	"file: .byte 2, 64, 0\n"
	"line1: .byte 86, 64, 0\n"   /* 42 */
	"line2: .byte 16, 4, 4, 60, 0\n" /* 7, then 9 */
	".balign 8\n"
	"records: .long 0, record1 - records, 16, record2 - records\n"
	".long end - crash\n"
	"record1: .long 0, 0, 0, 0, 0, file - values, line1 - values\n"
	".long 0, 0, 0\n"
	"record2: .long 16, name2 - names, 0, 0, 0, file - values\n"
	".long line2 - values, 0, 0, 0\n"
	".text\n");

int main(void)
{
	call();
	return 0;
}
"""


def test_go_table():
    """A stripped program has the names and lines of its Go function table"""
    pathlib.Path("go.c").write_text(GO_TABLE)
    for name, options in (("pie", ["-pie", "-fPIE"]), ("fixed", ["-no-pie"])):
        program = pathlib.Path(name).absolute()
        subprocess.run(["gcc", "-O1", "-s", "-Wl,--build-id", *options, "-o",
                        program, "go.c"], check=True)
        report = crash(program)
        frames = lib.crashed_thread(lib.symbolize(report))["frames"]
        found = [(f["function"], f["file"], f["line"]) for f in frames[:2]]
        assert found == [("main.crash", "/src/main.go", 42),
                         ("main.(*T).call", "/src/main.go", 9)], (name, found)
        assert module_of(report, name)["symbols"] == "found"


# Hostile files


def sections(path):
    """{name: (offset, size)} of PATH."""
    table = subprocess.run(["readelf", "-SW", path], text=True, check=True,
                           capture_output=True).stdout
    return {m[1]: (int(m[2], 16), int(m[3], 16)) for m in re.finditer(
        r"\] (\.\S+) +\w+ +\w+ +(\w+) +(\w+)", table)}


@lib.deadline(300)
def test_hostile_dwarf():
    """damaged debug information costs names, never the program"""
    program = compile_names("program", "-O2")
    report = crash(program)
    debug = split_debug(program)
    where = sections(debug)
    clean = debug.read_bytes()
    rng = random.Random(1)
    kept = [where[name] for name in (".debug_info", ".debug_abbrev",
                                     ".debug_line", ".debug_rnglists",
                                     ".debug_str", ".symtab", ".debug_aranges")
            if name in where] + [(0, 64)]
    folder = pathlib.Path("folder")
    folder.mkdir()
    for round_ in range(150):
        bad = bytearray(clean)
        offset, size = kept[round_ % len(kept)]
        for _ in range(1 + rng.randrange(40)):
            bad[offset + rng.randrange(size)] = rng.randrange(256)
        if round_ % 10 == 9:
            del bad[rng.randrange(len(bad)):]
        (folder / "debug").write_bytes(bad)
        lib.forget_symbols()
        outcome = lib.epitaph("symbolize", "--json", "-S", folder, report)
        assert outcome.exit == 0, (round_, outcome)
        frames = lib.crashed_thread(json.loads(outcome.stdout))["frames"]
        assert len(frames) >= 3, round_


def test_lost_child():
    """a lost reader of symbols costs names, and the output says why"""
    program = compile_names("program", "-O2")
    report = crash(program)
    os.mkdir("folder")
    for i in range(4000):  # to look through, so that it takes a while
        os.link(program, f"folder/{i}")
    program.unlink()
    pathlib.Path("folder/0").unlink()
    with lib.start_plain([lib.EPITAPH, "symbolize", "--json", "-S", "folder",
                          report]) as process:
        child = lib.wait_for(lambda: lib.descendants(process.pid),
                             what="a child")
        os.kill(child.pop(), 9)
        outcome = process.wait()
    assert outcome.exit == 0, outcome
    found = json.loads(outcome.stdout)
    assert "SIGKILL" in found["trouble"], found["trouble"]
    assert lib.crashed_thread(found)["frames"]


def test_little_memory():
    """with little memory there are fewer names, and still an answer"""
    import resource
    program = compile_names("program", "-O2", "-gz")
    report = crash(program)
    for mib in (12, 16, 24, 32, 64):
        limit = mib << 20
        outcome = lib.run_plain(
            [lib.EPITAPH, "symbolize", "--json", report],
            preexec=lambda: resource.setrlimit(resource.RLIMIT_AS,
                                               (limit, limit)))
        assert outcome.exit in (0, 1, 127), (mib, outcome)
        if outcome.exit == 0:
            assert lib.crashed_thread(json.loads(outcome.stdout))["frames"]
    assert outcome.exit == 0


# Dumps of others


def test_breakpad():
    """Breakpad's dumps are unwound from their stacks"""
    for name, signal, first in (
            ("linux_divide_by_zero.dmp", "SIGFPE", "driver"),
            ("linux_raise_sigabrt.dmp", "SIGABRT", "libpthread-2.19.so"),
            ("linux-mini.dmp", "SIGSEGV", "crash")):
        dump = lib.ROOT / "tests/data/minidumps" / name
        found = lib.symbolize(dump)
        assert found["signal"]["name"] == signal
        assert found["tier"] is None and found["id"] is None
        frames = lib.crashed_thread(found)["frames"]
        assert frames[0]["module"] == first, frames[0]
        assert frames[0]["trust"] == "context"
        assert len(frames) >= 3, frames
        title = found["fingerprint"]["title"]
        assert re.match(r"[\w.-]+!\+0x[0-9a-f]+", title), title


# What rust-minidump expects of it (its snapshot linux_human), as addresses.
RUST_MINIDUMP = [
    0x401d72, 0x7f514025002e, 0x7f51401e4800, 0x7f5140cebac6, 0x401ec0,
    0x414c30, 0x7f514017d830, 0x401c70, 0x401dc0, 0x401c70, 0x414ca0,
    0x401dc0, 0x401de9, 0x400040, 0x401dc0]


def test_rust_minidump():
    """without files the words of a stack are rust-minidump's"""
    dump = lib.ROOT / "tests/data/minidumps/linux-mini.dmp"
    pcs = lib.pcs(lib.crashed_thread(lib.symbolize(dump)))
    # Padding lies before that one, as the dump's own piece of code shows.
    assert pcs == [pc for pc in RUST_MINIDUMP if pc != 0x401dc0], \
        list(map(hex, pcs))


def test_breakpad_with_files():
    """a dump without frames is unwound by the CFI of the files it names"""
    program = compile_names("program", "-O2")
    report = crash(program)
    wanted = lib.pcs(lib.crashed_thread(lib.symbolize(report)))
    dump = bytearray(lib.unpack(report))
    count, where = struct.unpack_from("<II", dump, 8)
    for i in range(count):  # without our stream it is as anybody's
        kind = struct.unpack_from("<I", dump, where + 12 * i)[0]
        if kind == lib.EPITAPH_STREAM:
            struct.pack_into("<I", dump, where + 12 * i, 0x7FFF0000)
    pathlib.Path("bare.dmp").write_bytes(dump)
    check_stack("bare.dmp")
    thread = lib.crashed_thread(lib.symbolize("bare.dmp"))
    assert lib.pcs(thread) == wanted
    assert {f["trust"] for f in thread["frames"]} <= {"context", "cfi"}

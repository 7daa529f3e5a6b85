"""Breakpad's symbol files: names and unwind rules where there is no ELF file
with debug information, and other people's dumps that come with them."""

import gzip
import json
import os
import pathlib
import re
import shutil
import struct

import lib
import symfiles
from test_symbolize import build_id, compile_names, crash, load_base, objcopy

DATA = lib.ROOT / "tests/data"
DUMPS = DATA / "minidumps"
SYMBOLS = DATA / "symbols"
INLINE_ID = "BBA6FA10B8AAB33D00000000000000000"


def dump_of(name):
    plain = DUMPS / f"{name}.dmp"
    return plain if plain.exists() else DUMPS / f"{name}.dmp.gz"


def walk(dump, *options):
    """[(trust, "module+offset")] of the crashed thread, and the thread."""
    thread = lib.crashed_thread(lib.symbolize(dump, *options))
    return [(frame["trust"],
             f"{frame['module']}+{frame['offset']}" if frame["module"]
             else hex(int(frame["pc"], 16)))
            for frame in thread["frames"] if lib.is_physical(frame)], thread


def module_of(report, name, *options):
    return next(m for m in lib.symbolize(report, *options)["modules"]
                if m["path"].split("/")[-1] == name)


def named(frame):
    return (frame["function"], frame["file"], frame["line"], frame["inline"])


# Other people's dumps


def breakpad_stacks():
    """{dump: [(trust, place)]} as Breakpad prints them."""
    stacks = {}
    for line in (DATA / "breakpad-stacks.txt").read_text().splitlines():
        fields = line.split()
        if len(fields) == 1:
            frames = stacks[fields[0]] = []
        elif fields and fields[0] != "#":
            frames.append((fields[0], fields[1]))
    return stacks


# What Breakpad does not find: raise's caller, which has no frame pointer in
# between, and so is skipped by one who follows those.
OURS_ALONE = {"linux_raise_sigabrt": {"driver+0x1e64"}}
# Where nothing but words on the stack can be had.
SCANNED = {"linux_inline", "linux_null_read_av"}


def in_order(places, among):
    """Whether AMONG has all PLACES, in their order."""
    rest = iter(among)
    return all(place in rest for place in places)


def check_walk(name, theirs):
    """Our stack of the dump NAME against Breakpad's: all that they know by
    more than scanning we have; all that we have they have; and where they go
    on scanning behind main, we are at the end."""
    ours, thread = walk(dump_of(name))
    places = [place for _, place in ours]
    known = [place for trust, place in theirs if trust != "scan"]
    assert in_order(known, places), (name, known, places)
    alone = OURS_ALONE.get(name, set())
    assert alone <= set(places), (name, places)
    assert in_order([p for p in places if p not in alone],
                    [place for _, place in theirs]), (name, places, theirs)
    if name in SCANNED:
        return
    assert places[-1].startswith("libc-2.19.so+0x21ec5"), (name, places)
    assert thread["truncated"] is None, (name, thread["truncated"])


def test_breakpad_walks():
    """Breakpad's dumps have the frames that Breakpad is sure of, and no more"""
    stacks = breakpad_stacks()
    names = {path.name.split(".")[0] for path in DUMPS.glob("linux_*")}
    assert set(stacks) == names and len(names) == 13, set(stacks) ^ names
    for name, theirs in stacks.items():
        check_walk(name, theirs)
    ours, _ = walk(dump_of("linux_inline"))
    assert [place for _, place in ours] == \
        [place for _, place in stacks["linux_inline"]], ours


def store_sym(directory, name, identity, source):
    """SOURCE where a store of Breakpad's has it."""
    place = pathlib.Path(directory, name, identity)
    place.mkdir(parents=True, exist_ok=True)
    packed = ".gz" if source.name.endswith(".gz") else ""
    shutil.copy(source, place / f"{name}.sym{packed}")


def test_inlined_calls():
    """Breakpad's linux_inline has its inlined calls, of the new and old form"""
    for form, files in (("new", ("linux_inline.cpp", "c.cpp", "b.cpp",
                                 "a.cpp")),
                        ("old", ("linux_inline.cpp",) * 4)):
        store_sym(form, "linux_inline", INLINE_ID,
                  SYMBOLS / f"linux_inline.{form}.sym")
        lib.forget_symbols()
        found = lib.symbolize(dump_of("linux_inline"), "-S", form)
        frames = lib.crashed_thread(found)["frames"]
        assert [named(frame) for frame in frames[:4]] == [
            ("func()", files[0], 27, True), ("bar()", files[1], 32, True),
            ("foo()", files[2], 39, True), ("main", files[3], 42, False)]
        assert all(frame["offset"] == "0x161b6" for frame in frames[:4])
        assert found["fingerprint"]["title"] == "func | bar | foo"


def test_rules_of_libc():
    """libc's rules from a packed symbol file lead through it to the end"""
    os.mkdir("folder")
    for name in ("libc-2.13.so.sym.gz", "ld-2.13.so.sym.gz"):
        shutil.copy(SYMBOLS / name, "folder")
    ours, thread = walk(dump_of("linux_null_read_av"), "-S", "folder")
    # crash, main, __libc_start_main, _start: those of Breakpad with all of the
    # files. With libc's alone it takes a word of the stack for bsearch.
    assert ours == [
        ("context", "null_read_av+0x2170"), ("scan", "null_read_av+0x1fcf"),
        ("cfi_scan", "libc-2.13.so+0x1eead"),
        ("cfi_scan", "null_read_av+0x205d")], ours
    assert thread["truncated"] is None
    frame = thread["frames"][2]
    assert frame["function"] == "__libc_start_main"
    assert "approximate" in frame["flags"]
    module = module_of(dump_of("linux_null_read_av"), "libc-2.13.so", "-S",
                       "folder")
    assert module["symbols"] == "found"
    assert module["why"] == ("1 line left out of its symbol file, the first "
                             "is 2512: no rule for .cfa")


# Against the truth: the rules of ELF files


def bare(report, path):
    """REPORT as anybody's dump at PATH: without our stream, and with modules
    that are nowhere to be found."""
    dump = bytearray(lib.unpack(report))
    count, where = struct.unpack_from("<II", dump, 8)
    for i in range(count):
        kind = struct.unpack_from("<I", dump, where + 12 * i)[0]
        if kind == lib.EPITAPH_STREAM:
            struct.pack_into("<I", dump, where + 12 * i, 0x7FFF0000)
    for root in ("/usr/", "/lib/"):
        dump = dump.replace(root.encode("utf-16-le"),
                            "/gone/"[:len(root) - 1].encode("utf-16-le") +
                            "/".encode("utf-16-le"))
    pathlib.Path(path).write_bytes(dump)
    return path


@lib.deadline(300)
def test_rules_of_files():
    """rules in a symbol file lead through python and libc as their CFI does"""
    lib.need("readelf")
    report = lib.run_under_shim(
        ["/usr/bin/python3", "-c",
         "import ctypes; list(map(ctypes.string_at, [1]))"]).report
    found = lib.symbolize(report)
    wanted = lib.pcs(lib.crashed_thread(found))
    assert len(wanted) > 10, wanted
    hidden = bare(report, "bare.dmp")
    _, without = walk(hidden)
    assert lib.pcs(without) != wanted, "the files are not hidden"
    os.mkdir("folder")
    for number, module in enumerate(found["modules"]):
        path = pathlib.Path(module["path"])
        if path.is_file():
            symfiles.write(f"folder/{number}.sym", module["build_id"],
                           path.name,
                           symfiles.rules_of(path, load_base(path)))
    _, thread = walk(hidden, "-S", "folder")
    assert lib.pcs(thread) == wanted, list(map(hex, lib.pcs(thread)))
    assert {f["trust"] for f in thread["frames"]} == {"context", "cfi"}
    assert thread["truncated"] is None
    for module in lib.symbolize(hidden, "-S", "folder")["modules"]:
        assert module["why"] is None, module


def is_by_rules(thread):
    return {f["trust"] for f in thread["frames"]} == {"context", "cfi"}


def test_rules_of_indexes():
    """a dump without frames is unwound by indexes when the files are gone"""
    for option in ("-O2", "-fno-asynchronous-unwind-tables"):
        program = compile_names("program", "-O2", option)
        report = crash(program)
        wanted = lib.pcs(lib.crashed_thread(lib.symbolize(report)))
        hidden = bare(report, "bare.dmp")
        program.unlink()
        _, thread = walk(hidden)
        assert lib.pcs(thread) == wanted, list(map(hex, lib.pcs(thread)))
        assert is_by_rules(thread) and thread["truncated"] is None, option
        lib.forget_symbols()
        _, without = walk(hidden)
        assert lib.pcs(without) != wanted, "the files are not hidden"


def test_rules_of_later_files():
    """an index of a debug file gets the rules of the binary that is added"""
    program = compile_names("program", "-O2")
    report = crash(program)
    wanted = lib.pcs(lib.crashed_thread(lib.symbolize(report)))
    hidden = bare(report, "bare.dmp")
    identity = build_id(program)
    objcopy("--only-keep-debug", program, "debug")
    objcopy("--strip-all", program)
    store = lib.symbol_store()
    stored = store / identity[:2] / identity[2:]
    os.unlink(f"{stored}.csym")
    os.rename(program, "aside")
    lib.epitaph_ok("symbols", "add", "-S", store, "debug")
    assert not is_by_rules(walk(hidden)[1])
    lib.epitaph_ok("symbols", "add", "-S", store, "aside")
    for path in ("aside", stored, f"{stored}.debug"):
        os.unlink(path)
    _, thread = walk(hidden)
    assert lib.pcs(thread) == wanted and is_by_rules(thread), thread


def test_rules_of_kept_files():
    """an index of a symbol file has its rules, and what of them is missing"""
    program, report = stripped("program")
    wanted = lib.pcs(lib.crashed_thread(lib.symbolize(report)))
    hidden = bare(report, "bare.dmp")
    symfiles.write("program.sym", build_id(program), "program",
                   [*function_record(report), "STACK CFI INIT 1 1 .cfa: 1\n",
                    *symfiles.rules_of(program, load_base(program))])
    program.unlink()
    _, without = walk(hidden)
    assert not is_by_rules(without)
    lib.epitaph_ok("symbols", "index", "-S", lib.symbol_store(), "program.sym")
    os.unlink("program.sym")
    _, thread = walk(hidden)
    assert lib.pcs(thread) == wanted, list(map(hex, lib.pcs(thread)))
    assert is_by_rules(thread)
    assert module_of(hidden, "program")["why"] == (
        "1 line left out of its symbol file, the first is 6: no rule for .ra")


# Which file is taken


def function_record(report, name="from the file(int)"):
    """FUNC and a line for what REPORT's frame 0 is in."""
    frame = lib.crashed_thread(lib.symbolize(report))["frames"][0]
    start = int(frame["offset"], 16) & ~0xFF
    return [f"FILE 3 the/file.c\nFUNC {start:x} 100 0 {name}\n"
            f"{start:x} 100 77 3\n"]


def first_name(report, *options, env=None):
    """What frame 0 is called by what files there are now."""
    lib.forget_symbols()
    return kept_name(report, *options, env=env)


def kept_name(report, *options, env=None):
    """The same, or by what is in the store."""
    out = lib.epitaph_ok("symbolize", "--json", *options, report, env=env)
    return named(lib.crashed_thread(json.loads(out))["frames"][0])


FROM_FILE = ("from the file(int)", "the/file.c", 77, False)


def stripped(name):
    """A program without any symbols, and the report of its crash."""
    program = compile_names(name, "-O2")
    report = crash(program)
    objcopy("--strip-all", program)
    return program, report


def test_places():
    """a symbol file is found in a store, by -S or the default, and a folder"""
    program, report = stripped("program")
    identity = build_id(program)
    source = pathlib.Path("source.sym")
    symfiles.write(source, identity, "program", function_record(report))
    assert first_name(report)[0] is None
    store_sym("store", "program", symfiles.debug_id(identity), source)
    assert first_name(report, "-S", "store") == FROM_FILE
    assert first_name(report, env={"EPITAPH_SYMBOLS": "store"}) == FROM_FILE
    os.makedirs("folder/below")
    shutil.copy(source, "folder/below/anything.sym")
    assert first_name(report, "-S", "folder") == FROM_FILE
    assert module_of(report, "program", "-S", "folder")["symbols"] == "found"
    os.rename("folder/below/anything.sym", "folder/below/anything")
    assert first_name(report, "-S", "folder")[0] is None
    packed = pathlib.Path("source.sym.gz")
    packed.write_bytes(gzip.compress(source.read_bytes()))
    store_sym("packed", "program", symfiles.debug_id(identity), packed)
    assert first_name(report, "-S", "packed") == FROM_FILE
    assert first_name(report, env={"EPITAPH_SYMBOLS": "packed"}) == FROM_FILE


def test_other_files_are_refused():
    """a symbol file of another build is refused, wherever it lies"""
    program, report = stripped("program")
    identity = build_id(program)
    records = function_record(report)
    place = pathlib.Path("store/program", symfiles.debug_id(identity))
    place.mkdir(parents=True)
    other = f"{int(identity[0], 16) ^ 1:x}{identity[1:]}"
    end = f"{identity[:-1]}{int(identity[-1], 16) ^ 1:x}"  # in CODE_ID alone
    for wrong in (other, end):
        symfiles.write(place / "program.sym", wrong, "program", records)
        assert first_name(report, "-S", "store")[0] is None
        assert module_of(report, "program",
                         "-S", "store")["symbols"] == "missing"
    (place / "program.sym").write_text("no such file\n" + records[0])
    assert first_name(report, "-S", "store")[0] is None
    (place / "program.sym").unlink()
    os.mkfifo(place / "program.sym")
    assert first_name(report, "-S", "store")[0] is None


def test_rank():
    """a symbol file comes after DWARF, and before a bare symbol table"""
    program = compile_names("program", "-O2")
    report = crash(program)
    real = first_name(report)
    os.mkdir("folder")
    symfiles.write("folder/a.sym", build_id(program), "program",
                   function_record(report))
    assert first_name(report, "-S", "folder") == real
    objcopy("--only-keep-debug", program, "debug")
    objcopy("--strip-debug", program)
    lib.forget_symbols()
    assert first_name(report)[0] not in (None, FROM_FILE[0])
    assert first_name(report, "-S", "folder") == FROM_FILE
    program.unlink()
    assert first_name(report, "-S", "folder") == FROM_FILE
    shutil.move("debug", "folder")
    assert kept_name(report, "-S", "folder") == real


def test_publics():
    """a PUBLIC names code up to the next, but a symbol with a size is better"""
    program = compile_names("program", "-O0")
    report = crash(program)
    objcopy("--strip-debug", program)
    real = first_name(report)
    os.mkdir("folder")
    offset = int(lib.crashed_thread(lib.symbolize(report))["frames"][0]
                 ["offset"], 16)
    symfiles.write("folder/a.sym", build_id(program), "program",
                   [f"PUBLIC {offset - 8:x} 0 _ZN4some4nameEv\n"])
    assert first_name(report, "-S", "folder") == real
    objcopy("--strip-all", program)
    frame = lib.crashed_thread(lib.symbolize(report, "-S", "folder"))[
        "frames"][0]
    assert named(frame) == ("some::name()", None, None, False), frame
    assert frame["flags"] == ["approximate"]


def add_symbols(*files):
    return lib.epitaph("symbols", "add", "-S", "store", *files)


def test_index():
    """the index of a symbol file names frames when the file is gone"""
    program, report = stripped("program")
    identity = build_id(program)
    symfiles.write("a.sym", identity, "program", function_record(report))
    assert add_symbols("a.sym").stdout == b"1 indexed, 0 without lines\n"
    entries = json.loads(lib.epitaph_ok("symbols", "list", "--json", "-S",
                                        "store"))
    assert [(e["build_id"], e["kind"], e["source"]) for e in entries] == \
        [(identity, "index", "a.sym")], entries
    os.unlink("a.sym")
    in_store = {"EPITAPH_SYMBOLS": "store"}
    assert kept_name(report, env=in_store) == FROM_FILE
    program.unlink()
    assert kept_name(report, env=in_store) == FROM_FILE


def test_index_of_elsewhere():
    """an index made without the binary fits one that is not based at 0"""
    program = compile_names("program", "-O2", "-no-pie")
    report = crash(program)
    objcopy("--strip-all", program)
    records = function_record(report)
    frame = lib.crashed_thread(lib.symbolize(report))["frames"][0]
    base = load_base(program)
    assert base != 0
    symfiles.write("a.sym", build_id(program), "program", records)
    assert add_symbols("a.sym").exit == 0
    assert kept_name(report, env={"EPITAPH_SYMBOLS": "store"}) == FROM_FILE
    said = lib.epitaph_ok("addr2line", "-fe", program,
                          hex(base + int(frame["offset"], 16)),
                          env={"EPITAPH_SYMBOLS": "store"})
    assert said == "from the file(int)\nthe/file.c:77\n", said


def test_not_kept():
    """a symbol file that is of no build-id, or has bad lines, is not kept"""
    program, report = stripped("program")
    identity = build_id(program)
    symfiles.write("a.sym", identity, "program", function_record(report))
    program.unlink()
    whole = pathlib.Path("a.sym").read_text()
    module, _, rest = whole.split("\n", 2)
    for text, why in ((f"{module}\n{rest}", "it has no CODE_ID"),
                      (f"{whole}nonsense\n", "1 line left out")):
        pathlib.Path("a.sym").write_text(text)
        done = add_symbols("a.sym")
        assert done.exit == 1 and why in done.stderr.decode(), done
        assert first_name(report, "-S", ".") == FROM_FILE
        for store in ("store", lib.symbol_store()):
            assert not list(pathlib.Path(store).rglob(
                f"{identity[2:]}.csym")), text


def test_bad_lines():
    """what is wrong with a symbol file is told, and the rest of it counts"""
    program, report = stripped("program")
    os.mkdir("folder")
    symfiles.write("folder/a.sym", build_id(program), "program",
                   function_record(report) + ["FUNC here 1 0 f\n1 1 1 1\n"])
    assert first_name(report, "-S", "folder") == FROM_FILE
    why = module_of(report, "program", "-S", "folder")["why"]
    assert why == ("2 lines left out of its symbol file, the first is 6: "
                   "no address and size"), why
    whole = gzip.compress(pathlib.Path("folder/a.sym").read_bytes() * 100)
    pathlib.Path("folder/a.sym").unlink()
    pathlib.Path("folder/a.sym.gz").write_bytes(whole[:-9])
    module = module_of(report, "program", "-S", "folder")
    assert re.match("its symbol file: .*gzip", module["why"]), module
    assert module["symbols"] == "missing"

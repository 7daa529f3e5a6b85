#!/usr/bin/python3
"""Names for Go programs that were stripped of symbols and DWARF, from the table
that the runtime keeps for itself: held against Go's own reader of that table,
against the DWARF that the same program had before it was stripped, and against
what a dying program says of its stack. Debian's golang-go."""

import json
import random
import re
import signal
import subprocess

import compare
import lib
import test_symbolize as symbols

SOURCES = compare.HERE / "go"
WAYS = {  # what go build is told
    "static": ["names.go"],
    "PIE of Go's linker": ["-buildmode=pie", "names.go"],
    "cgo": ["names.go", "names_c.go"],
    "cgo, PIE": ["-buildmode=pie", "names.go", "names_c.go"],
}
RANDOM_PCS = 3000


def build(*words):
    """names.go as a program in a directory of its own."""
    program = lib.temp_dir("built.") / "names"
    compare.build(
        "go", "build", "-o", program, *words, cwd=SOURCES,
        env={"GOCACHE": str(lib.BUILD / "programs/gocache"),
             "GOTOOLCHAIN": "local", "PATH": "/usr/bin:/bin"})
    return program


def stripped(program):
    """A copy of PROGRAM without symbols and DWARF, code where it was."""
    copy = lib.temp_dir("stripped.") / program.name
    subprocess.run(["strip", "-s", "-o", copy, program], check=True)
    sections = subprocess.run(["readelf", "-SW", copy], text=True, check=True,
                              capture_output=True).stdout
    assert not re.search(r"\.symtab|\.debug_info", sections), sections
    return copy


def plain(name):
    """NAME as the runtime's table has it: dots for what stands between
    brackets, and nothing of how arguments are passed."""
    return name and re.sub(r"\[.*\]", "[...]", name).removesuffix(".abi0")


# Three tools, one form: [(function, file, line), ...] for each address


def ask_epitaph(path, addresses):
    start = 0x7F0000000000
    bias = start - symbols.load_base(path)
    size = max(addresses) + 4096 - symbols.load_base(path)
    report = symbols.make_report(
        "asked.dmp.gz", [(str(path), symbols.build_id(path), start, size)],
        [a + bias for a in sorted(addresses)])
    answers = {}
    found = lib.symbolize(report)
    assert found["modules"][0]["symbols"] == "found", found["modules"]
    for thread in found["threads"]:
        for frame in thread["frames"]:
            answers.setdefault(int(frame["pc"], 16) - bias, []).append(
                (plain(frame["function"]), frame["file"], frame["line"] or 0))
    return answers


def ask_go(path, addresses):
    """By `go tool addr2line`: {address: (function that is not inlined, file
    and line of what is)}, where it knows a function. Padding has no place."""
    text = subprocess.run(
        ["go", "tool", "addr2line", path], text=True, check=True,
        capture_output=True, env=lib.clean_env({"GOTOOLCHAIN": "local"}),
        input="".join(f"0x{a:x}\n" for a in addresses)).stdout.splitlines()
    found = {}
    for address, function, place in zip(addresses, text[::2], text[1::2]):
        file, line = place.rsplit(":", 1)
        if function != "?":
            found[address] = plain(function), file or None, max(int(line), 0)
    return found


def ask_dwarf(path, addresses):
    """By llvm-symbolizer, where it has a line for all. (addr2line of binutils
    2.40 calls what is inlined from another unit by its caller's name.)"""
    return {address: levels for address, levels in
            zip(addresses, symbols.ask_llvm(path, addresses))
            if levels and all(line for _, _, line in levels)
            and levels[-1][1].endswith((".go", ".s"))}


# Comparison


def check_all(case, theirs, ours, tolerated=0):
    """OURS(address) has to be what THEIRS says, at all its addresses but
    TOLERATED of a thousand."""
    wrong = []
    for address, wanted in theirs.items():
        found = ours(address)
        if found != wanted:
            wrong.append(f"0x{address:x}: {found}, not {wanted}")
    for line in wrong[:10]:
        compare.say(f"{case}: {line}")
    compare.say(f"{case}: {len(theirs) - len(wrong)} of {len(theirs)}")
    assert len(theirs) > 1000, len(theirs)
    assert len(wrong) <= len(theirs) * tolerated / 1000, \
        f"{len(wrong)} of {len(theirs)} differ"


def against_go(case, program, addresses, levels):
    """The function, and the place of what may be inlined into it."""
    check_all(case, ask_go(program, addresses),
              lambda pc: (levels[pc][-1][0], *levels[pc][0][1:]))


def against_dwarf(case, program, addresses, levels):
    """Go's DWARF says nothing of what is inlined into a wrapper that it has
    made, and may end an inlined call one instruction too soon."""
    theirs = {pc: [(plain(function), file, line)
                   for function, file, line in found]
              for pc, found in ask_dwarf(program, addresses).items()}
    inlined = sum(len(found) > 1 for found in theirs.values())
    compare.say(f"{case}: {inlined} with inlined calls")
    assert inlined > 100, inlined
    check_all(case, theirs,
              lambda pc: [(symbols.short(function), symbols.tidy(file), line)
                          for function, file, line in levels[pc]],
              tolerated=1)


# A program's own word


def own_stack(text):
    """[(function, file, line)] of main's, of the first goroutine in a
    traceback."""
    block = re.search(r"^goroutine 1 \[.*?\]:\n(.*?)(\n\n|\Z)", text,
                      re.M | re.S)
    assert block, text[-2000:]
    return [(function, file, int(line)) for function, file, line in re.findall(
        r"^(main\..*)\(.*\)\n\t(.*):(\d+)", block[1], re.M)]


def shown_stack(thread):
    return [(f["function"], f["file"], f["line"]) for f in thread["frames"]
            if (f["function"] or "").startswith("main.")]


def check_stack(ours, theirs):
    assert ours == theirs, f"{ours}, not {theirs}"
    names = [name for name, _, _ in ours]
    assert names[-5:] == ["main.(*account).post", "main.settle",
                          "main.main.func1", "main.each[...]",
                          "main.main"], names


def live(program):
    """Where it waits, by `epitaph stack`; but for the line of the innermost
    function, which goes on to wait after it has said where it is."""
    with lib.start_plain([program, "wait"]) as process:
        lib.wait_for(lambda: b"ready" in process.output(), what="ready")
        own = own_stack(process.output().decode())
        stacks = [shown_stack(thread) for thread in json.loads(
            lib.epitaph_ok("stack", "--json", "-p", process.pid))["threads"]]
    ours = [stack for stack in stacks if stack]
    assert len(ours) == 1 and ours[0][0][0] == own[0][0] == "main.wait", ours
    check_stack(ours[0][1:], own[1:])


def by_core(program):
    """How it died, and the core that it left."""
    where = lib.temp_dir("core.")
    outcome = lib.run_plain([program], {"GOTRACEBACK": "crash"}, cwd=where,
                            cores=True)
    return outcome, lib.core_in(where)


def by_report(program):
    outcome = lib.run_under_shim([program], {"GOTRACEBACK": "crash"})
    return outcome, outcome.report


def dead(program, run):
    outcome, left = run(program)
    assert outcome.signal == signal.SIGABRT, outcome
    check_stack(shown_stack(lib.crashed_thread(lib.symbolize(left))),
                own_stack(outcome.stderr.decode()))


# What there is


def case(name, function, *args):
    compare.say(name)
    try:
        function(*args)
    except (AssertionError, KeyError) as error:
        compare.failed(name, error)
    else:
        compare.ok(name)


def look_up(way, program):
    """All starts of functions, and random addresses, of PROGRAM's Go code."""
    start, size = symbols.text_range(program)
    rng = random.Random(way)
    addresses = sorted(set(symbols.function_starts(program)) |
                       {start + rng.randrange(size)
                        for _ in range(RANDOM_PCS)})
    addresses = [pc for pc in addresses if start <= pc < start + size]
    levels = ask_epitaph(stripped(program), addresses)
    name = f"{way}: names as the DWARF has them"
    case(name, against_dwarf, name, program, addresses, levels)
    if "PIE" not in way:  # Go 1.19's tool knows no function there
        name = f"{way}: names as go tool addr2line has them"
        case(name, against_go, name, program, addresses, levels)


def c_and_go():
    """In a program without DWARF C has the names of its ELF symbols."""
    program = build(*WAYS["cgo"])
    subprocess.run(["strip", "-g", program], check=True)
    table = subprocess.run(["readelf", "-sW", program], text=True, check=True,
                           capture_output=True).stdout
    wanted = {}
    for name in (r"_cgo_\w+_Cfunc_in_c", r"main\.wait"):
        found = re.search(rf"^ *\d+: (\w+) .* FUNC .* ({name})$", table, re.M)
        wanted[found[2]] = int(found[1], 16)
    levels = ask_epitaph(program, list(wanted.values()))
    for name, address in wanted.items():
        function, file, line = levels[address][-1]
        assert function == name, levels
        assert bool(file and line) == (name == "main.wait"), levels


compare.need("go", "gcc", "llvm-symbolizer", "readelf", "strip")
lib.need_cores()
for each, words in WAYS.items():
    whole = build(*words)
    look_up(each, whole)
    bare = build("-ldflags=-s -w", *words)
    case(f"{each}, -s -w: the stack of a process", live, bare)
    case(f"{each}, -s -w: the stack of a core", dead, bare, by_core)
    if "cgo" in each:  # no other is for the shim
        case(f"{each}, -s -w: the stack of a report", dead, bare, by_report)
case("C has its ELF symbols beside Go's table", c_and_go)

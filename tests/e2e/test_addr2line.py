"""epitaph addr2line: binutils' options and output."""

import os
import random
import re
import subprocess

import lib
import test_symbolize

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>

namespace outer {
struct inner {
	__attribute__((noinline)) int method(int n)
	{
		return printf("%d\n", n);
	}
};
}

static inline __attribute__((always_inline)) int inlined(int n)
{
	outer::inner in;

	return in.method(n) + 1;
}

extern "C" __attribute__((noinline)) int host(int n)
{
	return inlined(n) * 2;
}

int main(int argc, char **argv)
{
	return host(argc) > 100 ? abs(argv[0][0]) : 0;
}
"""

OPTIONS = ([], ["-f"], ["-i"], ["-f", "-i"], ["-C", "-f", "-i"],
           ["-a", "-f", "-i"], ["-p", "-f", "-i"], ["-Cfpia"], ["-pi"],
           ["-s"], ["-s", "-f", "-i", "-C"], ["--addresses", "--functions"],
           ["--demangle", "--functions", "--inlines", "--pretty-print"],
           ["--demangle=gnu-v3", "-f"], ["--basenames", "--inlines"],
           ["-b", "elf64-x86-64", "-f"], ["-r", "-f"])


def compile_program(name, *flags, source=SOURCE, compiler="g++"):
    with open(f"{name}.cc", "w", encoding="ascii") as file:
        file.write(source)
    subprocess.run([compiler, "-g", *flags, "-o", name, f"{name}.cc"],
                   check=True)
    return os.path.abspath(name)


def plain(text):
    """TEXT of another tool, without what an index does not keep, and with
    llvm's addresses as long as binutils'."""
    text = re.sub(r" \(discriminator \d+\)", "", text)
    return re.sub(r"^0x([0-9a-f]+)", lambda m: f"0x{m[1]:>016}", text,
                  flags=re.M)


def ask(tool, path, options, addresses, stdin=None):
    done = subprocess.run([*tool, *options, "-e", path, *addresses],
                          input=stdin, capture_output=True, text=True,
                          check=False, env=lib.clean_env())
    assert done.returncode == 0, done
    assert done.stderr == "", done.stderr
    return done.stdout


def both(path, options, addresses, stdin=None, other="addr2line"):
    """Our answers and those of OTHER."""
    ours = ask([str(lib.EPITAPH), "addr2line"], path, options, addresses,
               stdin)
    return ours, plain(ask([other], path, options, addresses, stdin))


def differences(ours, theirs):
    return [pair for pair in zip(ours.split("\n"), theirs.split("\n"))
            if pair[0] != pair[1]]


def code_addresses(path):
    """Addresses of all instructions of the program's own functions."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path],
                          capture_output=True, text=True, check=True).stdout
    found, wanted = [], False
    for line in text.splitlines():
        function = re.match(r"[0-9a-f]+ <(.*)>:", line)
        if function:
            wanted = function[1] in ("main", "host") or \
                "method" in function[1]
        place = re.match(r" +([0-9a-f]+):", line)
        if place and wanted and "nop" not in line and "xchg" not in line:
            found.append(f"0x{place[1]}")
    assert len(found) > 10, found
    return found


def sure_addresses(path, inlined):
    """Those of code_addresses() of which binutils and llvm say the same, either
    where something is INLINED or where nothing is."""
    addresses = code_addresses(path)
    numbers = [int(a, 16) for a in addresses]
    found = [a for a, llvm, binutils in
             zip(addresses, test_symbolize.ask_llvm(path, numbers),
                 test_symbolize.ask_binutils(path, numbers))
             if llvm == binutils and inlined == (len(llvm) > 1)]
    assert found or inlined, addresses
    return found


def test_options():
    """each option prints what binutils and llvm-addr2line print"""
    for flags in (["-O0"], ["-O2"], ["-O2", "-gdwarf-4"],
                  ["-O1", "-no-pie", "-gz"]):
        path = compile_program("program", *flags)
        # What binutils says where something is inlined depends on what it was
        # asked before, and on the options.
        alone, inlined = (sure_addresses(path, i) for i in (False, True))
        for options in OPTIONS:
            found = both(path, options, alone)
            assert found[0] == found[1], (flags, options,
                                          differences(*found))
            if not inlined or options[0:1] in (
                    ["-b"], ["-r"], ["-pi"], ["--demangle=gnu-v3"]):
                continue  # llvm knows them not, or otherwise
            found = both(path, options, inlined, other="llvm-addr2line")
            assert found[0] == found[1], (flags, options,
                                          differences(*found))


def test_input():
    """addresses come from stdin too, and each is answered at once"""
    path = compile_program("program", "-O2")
    addresses = sure_addresses(path, False)
    lines = "".join(a.removeprefix("0x") + "\n" for a in addresses)
    ours, theirs = both(path, ["-fi"], [], lines)
    assert ours == theirs
    ours, theirs = both(path, ["-fi"], [], lines.removesuffix("\n"))
    assert ours == theirs
    # One address, and the answer before the next one.
    with subprocess.Popen([lib.EPITAPH, "addr2line", "-Cfie", path],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True, env=lib.clean_env()) as process:
        for address in addresses[:3]:
            process.stdin.write(f"{address}\n")
            process.stdin.flush()
            expected = ask(["addr2line"], path, ["-Cfi"], [address])
            answer = "".join(process.stdout.readline()
                             for _ in expected.splitlines())
            assert answer == plain(expected), answer
        process.stdin.close()
        process.stdout.read()
        assert process.wait() == 0


def test_order():
    """100,000 addresses in any order are answered as they came"""
    source = SOURCE.replace("host", "h" * 4000)
    path = compile_program("program", "-O1", source=source)
    start, size = test_symbolize.text_range(path)
    addresses = [f"{a:x}" for a in range(start, start + size)]
    each = dict(zip(addresses, ask_in_blocks(path, addresses)))
    # Answers to a batch that are more than what is kept of one.
    long = [address for address, text in each.items() if len(text) > 4000]
    chance = random.Random(1)
    asked = [chance.choice(addresses if i % 4 else long)
             for i in range(100000)]
    for wanted, found in zip(asked, ask_in_blocks(path, asked)):
        assert found == each[wanted], (wanted, found, each[wanted])


UNIT = r"""
static inline __attribute__((always_inline)) int inlined(int n)
{
	return n * 3;
}

extern "C" __attribute__((noinline)) int method_NAME(int n)
{
	volatile int kept = inlined(n);

	return kept;
}
"""


def compile_units(flags):
    """A program of six units."""
    for name in "abcdef":
        with open(f"{name}.cc", "w", encoding="ascii") as file:
            file.write(UNIT.replace("NAME", name))
    with open("main.cc", "w", encoding="ascii") as file:
        for name in "abcdef":
            file.write(f'extern "C" int method_{name}(int);\n')
        calls = " + ".join(f"method_{name}(argc)" for name in "abcdef")
        file.write(f"int main(int argc, char **) {{ return {calls}; }}\n")
    sources = ["main.cc"] + [f"{name}.cc" for name in "abcdef"]
    subprocess.run(["g++", "-g", "-O1", *flags, "-o", "units", *sources],
                   check=True)
    return os.path.abspath("units")


def test_once():
    """what is asked once is answered at once; asked again, there is an index"""
    for flags in ([], ["-gdwarf-4"], ["-gz"], ["-flto"], ["-gsplit-dwarf"]):
        path = compile_units(flags)
        few = code_addresses(path)[::3][:60]
        answers = [text for text, _ in ask_thrice(path, few)]
        kept = [is_kept for _, is_kept in ask_thrice(path, few)]
        assert kept == [False, True, True], (flags, kept)
        assert answers[0] == answers[1] == answers[2], (flags, answers)
        for name in "abcdef":
            assert f"/{name}.cc:" in answers[0], (flags, answers[0])
        # What no unit says that it has may be anywhere.
        kept = [is_kept for _, is_kept in ask_thrice(path, few + ["0x10"])]
        assert kept == [True, True, True], (flags, kept)


def ask_thrice(path, addresses):
    """The answers to the same question, and whether there is an index then."""
    lib.forget_symbols()
    found = []
    for _ in range(3):
        text = ask([str(lib.EPITAPH), "addr2line"], path, ["-afi"], addresses)
        found.append((text, any(lib.symbol_store().rglob("*.csym"))))
    lib.forget_symbols()
    return found


def ask_in_blocks(path, addresses):
    """The answer to each of ADDRESSES, with its inlined calls."""
    text = ask([str(lib.EPITAPH), "addr2line"], path, ["-afi"], [],
               "".join(f"{a}\n" for a in addresses))
    blocks = re.split(r"^0x", text, flags=re.M)[1:]
    assert len(blocks) == len(addresses), (len(blocks), len(addresses))
    assert all(int(block.split("\n", 1)[0], 16) == int(a, 16)
               for a, block in zip(addresses, blocks))
    return blocks


def test_unknown():
    """places where nothing is, and symbols alone, look as in binutils"""
    path = compile_program("program", "-O2")
    for options in ([], ["-f"], ["-fi"], ["-pf"], ["-a"], ["-pfa"]):
        ours, theirs = both(path, options, ["0x10", "zz", "0"])
        assert ours == theirs, (options, ours, theirs)
    stripped = compile_program("stripped", "-O2")
    subprocess.run(["objcopy", "--strip-debug", stripped], check=True)
    for options in ([], ["-f"], ["-Cfi"]):
        ours, theirs = both(stripped, options, code_addresses(stripped))
        assert ours == theirs, (options, ours, theirs)


def test_sections():
    """-j counts from the start of a section; a file of options is read"""
    path = compile_program("program", "-O2")
    start, _ = test_symbolize.text_range(path)
    addresses = sure_addresses(path, False)
    offsets = [hex(int(a, 16) - start) for a in addresses]
    ours, theirs = both(path, ["-fi", "-j", ".text"], offsets)
    assert ours == theirs
    assert ours == both(path, ["-fi"], addresses)[0]
    with open("options", "w", encoding="ascii") as file:
        file.write("-f -i\n-C")
    ours, theirs = both(path, ["@options"], sure_addresses(path, False))
    assert ours == theirs


def test_build_id():
    """--build-id finds a file that is in no place of its own"""
    path = compile_program("program", "-O2")
    identity = test_symbolize.build_id(path)
    address = code_addresses(path)[3]
    expected = ask([str(lib.EPITAPH), "addr2line"], path, ["-fi"], [address])
    os.mkdir("folder")
    os.rename(path, "folder/anything")
    found = lib.epitaph_ok("addr2line", "-fi", "-S", "folder", "--build-id",
                           identity, address)
    assert found == expected
    lib.forget_symbols()
    missing = lib.epitaph_ok("addr2line", "-fi", "--build-id", identity,
                             address)
    assert missing == "??\n??:0\n", missing


def test_errors():
    """a file that is not there, or none, is named, and the status is 1"""
    with open("text", "w", encoding="ascii") as file:
        file.write("no ELF file")
    for name, reason in {"nowhere": "No such file", "text": "not an ELF",
                         ".": "not a regular file"}.items():
        done = lib.epitaph("addr2line", "-e", name, "0x10")
        assert done.exit == 1, done
        said = done.stderr.decode()
        assert said.startswith(f"epitaph: addr2line {name}: "), done
        assert reason in said, done
        assert done.stdout == b"", done
    path = compile_program("program", "-O2")
    done = lib.epitaph("addr2line", "-e", path, "-j", ".nothing", "0")
    assert done.exit == 1 and b".nothing" in done.stderr, done
    done = lib.epitaph("addr2line", "--build-id", "xyz", "0")
    assert done.exit == 1 and b"xyz" in done.stderr, done
    done = lib.epitaph("addr2line", "--nonsense")
    assert done.exit == 2, done

#!/usr/bin/python3
"""Names of large programs and libraries that many makers' compilers have made,
at all function starts and very many random addresses: where llvm-symbolizer and
addr2line agree, ours have to be the same. Debian's packages of debug
information, and programs by clang, rustc and Go. The table that it makes is
left in build/programs/names.txt."""

import subprocess
import sys

import compare
import lib
import test_symbolize as symbols

# One file of each, the largest: how many random addresses.
PACKAGES = {
    "openjdk-17-dbg": 100_000,    # C++: libjvm
    "libc6-dbg": 20_000,          # C and assembler
    "libstdc++6-12-dbg": 20_000,  # C++, for debugging
    "librados2-dbg": 20_000,      # C++17 and Boost
    "mono-runtime-dbg": 20_000,   # C
    "python3.11-dbg": 20_000,     # C, LTO
    "valgrind-dbg": 20_000,       # C, static, at an address of its own
}
table = []


def largest(package):
    """The largest file of PACKAGE that has DWARF and is no archive, or
    None."""
    listed = subprocess.run(["dpkg", "-L", package], text=True, check=False,
                            capture_output=True).stdout.splitlines()
    files = [path for path in map(lib.pathlib.Path, listed)
             if path.is_file() and not path.is_symlink()
             and path.suffix != ".a"]
    for path in sorted(files, key=lambda path: -path.stat().st_size):
        sections = subprocess.run(["readelf", "-SW", path], text=True,
                                  check=False, capture_output=True).stdout
        if ".debug_info" in sections:
            return path
    return None


def look_up(name, path, count):
    compare.say(f"{name}: {path}")
    addresses = symbols.pcs_of(path, name, count)
    same, agree, rest = symbols.compare(path, addresses, symbols.ask_many)
    line = (f"{name}: of {len(addresses)} addresses the two agree on {agree}, "
            f"ours are the same at {same}")
    compare.say(line)
    table.append(line)
    for address, ours, theirs in rest[:20]:
        compare.say(f"0x{address:x}: {ours}, not {theirs}")
    if same == agree > len(addresses) // 2:
        compare.ok(name)
    else:
        compare.failed(name, line)


def by_clang(where):
    """This very project's command line, by another compiler."""
    program = where / "clang/epitaph"
    compare.build("make", "-C", lib.ROOT, f"B={where}/clang", "CC=clang",
                  program)
    return program


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


compare.need("llvm-symbolizer", "addr2line", "readelf", "clang", "rustc", "go")
for package, number in PACKAGES.items():
    found = largest(package)
    if found:
        look_up(package, found, number)
    else:
        compare.skipped(package, "it is not installed; scripts/setup programs "
                        "installs it")
for maker in (by_clang, by_rustc, by_go):
    look_up(maker.__name__, maker(lib.temp_dir("built.")), 20_000)
(lib.BUILD / "programs").mkdir(exist_ok=True)
(lib.BUILD / "programs/names.txt").write_text("\n".join(table) + "\n")
sys.exit(0)

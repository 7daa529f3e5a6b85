#!/usr/bin/python3
"""Symbol files in Breakpad's form, written of large programs and libraries: our
own reader says by them what it says by the debug file, at every address at
which a record begins or ends, all function starts and very many random ones;
and what is read is written again as the same bytes."""

import os
import pathlib
import sys

import compare
import lib
import symfiles
import test_symbolize as symbols

RANDOM_PCS = 20_000
FILES = {  # by package
    "libc6-dbg": "/lib/x86_64-linux-gnu/libc.so.6",
    "python3.11-dbg": "/usr/bin/python3.11",
    "openjdk-17-dbg":
        "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so",
}


def check(name, path):
    base, sym = symbols.load_base(path), f"{path.name}.sym"
    text = symfiles.dump(path, sym)
    addresses = [address - base
                 for address in symbols.pcs_of(path, name, RANDOM_PCS)]
    wrong, number = symfiles.differences(path, text, sym, addresses, base)
    compare.say(f"{name}: {len(text)} bytes, {number} addresses")
    for found in wrong[:20]:
        compare.say(f"{name}: {found}")
    if wrong or number < RANDOM_PCS:
        compare.failed(name, f"{len(wrong)} of {number} addresses differ")
    elif symfiles.dump(sym, "again.sym", "--name", path.name) != text:
        compare.failed(name, "it is not written again as it was")
    else:
        compare.ok(name)


compare.need("readelf", "nm")
os.chdir(lib.temp_dir("symdump."))
for package, place in FILES.items():
    found = pathlib.Path(place)
    if found.exists():
        check(package, found.resolve())
    else:
        compare.skipped(package, f"there is no {place}")
sys.exit(0)

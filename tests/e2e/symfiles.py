"""Symbol files in Breakpad's form, written for the tests: of an ELF file's
CFI, as readelf prints it row by row, or of given records."""

import pathlib
import re
import subprocess
import uuid

import lib

PRESERVED = {"rbx", "rbp", "r12", "r13", "r14", "r15"}


def debug_id(build_id):
    """What Breakpad calls the debug id of BUILD_ID, in hex."""
    guid = bytes.fromhex(build_id)[:16].ljust(16, b"\0")
    return uuid.UUID(bytes_le=guid).hex.upper() + "0"


def head(build_id, name):
    return (f"MODULE Linux x86_64 {debug_id(build_id)} {name}\n"
            f"INFO CODE_ID {build_id.upper()}\n")


def _rule(register, cell):
    """The rule for a cell of readelf's table; None where Breakpad's form has
    none, as for an expression."""
    if register == "CFA":
        base = re.fullmatch(r"([a-z]\w+)\+(\d+)", cell)
        return base and f".cfa: ${base[1]} {base[2]} +"
    name = ".ra" if register == "ra" else f"${register}"
    saved = re.fullmatch(r"c([+-]\d+)", cell)
    if saved:
        return f"{name}: .cfa {int(saved[1])} + ^"
    if cell in ("u", "s") and register in PRESERVED:
        return f"{name}: {name}"
    return f"{name}: .undef" if cell == "u" else None


def _rows(lines):
    """[(address, rules)] of one table, up to a row that has none."""
    registers = lines[0].split()[1:]
    rows = []
    for line in lines[1:]:
        address, *cells = line.split()
        rules = [_rule(*pair) for pair in zip(registers, cells)]
        if None in rules:
            break
        rows.append((int(address, 16), " ".join(rules)))
    return rows, len(rows) == len(lines) - 1


def rules_of(path, base):
    """STACK CFI of the ELF file PATH, whose own addresses begin at BASE, in
    lines."""
    # It fails where the file has no interpreter or a debug file, and all the
    # same prints everything.
    table = subprocess.run(["readelf", "-wF", path], capture_output=True,
                           text=True).stdout
    plain = {}  # a CIE's own row, for FDEs without any
    for entry in table.split("\n\n"):
        lines = entry.strip("\n").split("\n")
        cie = re.match(r"([0-9a-f]+) [0-9a-f]+ [0-9a-f]+ CIE", lines[0])
        fde = re.match(r".* FDE cie=([0-9a-f]+) "
                       r"pc=([0-9a-f]+)\.\.([0-9a-f]+)", lines[0])
        if cie:
            plain[cie[1]] = lines[1:]
        if not fde:
            continue
        start, end = int(fde[2], 16), int(fde[3], 16)
        rows, is_whole = _rows(lines[1:] or plain[fde[1]])
        if not rows:
            continue
        if not is_whole:
            end = int(lines[2 + len(rows)].split()[0], 16)
        yield (f"STACK CFI INIT {start - base:x} {end - start:x} "
               f"{rows[0][1]}\n")
        for address, rules in rows[1:]:
            yield f"STACK CFI {address - base:x} {rules}\n"


def write(path, build_id, name, records):
    with open(path, "w") as file:
        file.write(head(build_id, name))
        file.writelines(records)


# Those that we write


def dump(path, out, *options):
    """Write OUT, the symbol file of PATH, by itself: its text. No index is
    taken from another's making."""
    store = lib.temp_dir("store.")
    lib.epitaph_ok("symbols", "dump", "-S", store, *options, path, "-o", out,
                   seconds=300)
    return pathlib.Path(out).read_text()


def edges(text):
    """First and last address of all that has one in TEXT, a symbol file's, and
    the one behind it."""
    found = set()
    for line in text.splitlines():
        fields = line.replace("FUNC m ", "FUNC ").split()
        if fields[0] == "FUNC":
            pairs = [fields[1:3]]
        elif fields[0] == "INLINE":
            pairs = zip(fields[5::2], fields[6::2])
        elif re.fullmatch("[0-9a-f]+", fields[0]):
            pairs = [fields[:2]]
        else:
            continue
        for start, size in pairs:
            end = int(start, 16) + int(size, 16)
            found |= {int(start, 16), end - 1, end}
    return found


def answers(path, addresses):
    """What there is to be said of ADDRESSES by PATH: functions with what was
    inlined, files and lines, as text."""
    said = lib.epitaph_ok("addr2line", "-aCfie", path, seconds=300,
                          stdin="".join(f"{address:x}\n" for address
                                        in addresses).encode())
    found = [answer.split("\n", 1)[1] for answer in said.split("0x00")[1:]]
    assert len(found) == len(addresses), (len(found), len(addresses))
    return found


def is_no_fault(direct, again):
    """Whether two answers differ in what a symbol file cannot say: of a PUBLIC
    where it ends and, for a local one, its file; and that code has no line
    where there was one before it in the same call."""
    name, place, *around = again.split("\n")
    direct_name, direct_place, *direct_around = direct.split("\n")
    if place == "??:?" and direct_name == "??":
        return True
    return name == direct_name and direct_place.endswith(":?") and \
        around == direct_around


def differences(path, text, sym, addresses, base):
    """[(address, what PATH says, what SYM says)] where they differ, of
    ADDRESSES from the module's base, which PATH has at BASE, and of all that
    TEXT, which is in SYM, has; and how many these are."""
    addresses = sorted(edges(text) | set(addresses))
    direct = answers(path, [base + address for address in addresses])
    lib.forget_symbols()
    again = answers(sym, addresses)
    return [found for found in zip(map(hex, addresses), direct, again)
            if found[1] != found[2] and not is_no_fault(*found[1:])], \
        len(addresses)

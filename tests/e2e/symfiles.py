"""Symbol files in Breakpad's form, written for the tests: of an ELF file's
CFI, as readelf prints it row by row, or of given records."""

import re
import subprocess
import uuid

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

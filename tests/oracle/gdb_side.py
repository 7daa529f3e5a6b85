"""Runs inside gdb, on a program of the corpus: at the places where our walk and
elfutils' go wrong by the tables, does gdb find the true caller? The environment
variable ORACLE_PLACES names a file with lines `pc sp number caller at`, in hex
but for the number: at PC and SP, the frame NUMBER is CALLER, its sp AT. Prints
for each place how often the program came there, and how often gdb was right. A
place in a loop is right as long as nothing has been overwritten yet; one at a
`ret` is left out, because there gdb asks no table."""

import os

import gdb


RET = b"\xc3"


def places():
    found = {}
    with open(os.environ["ORACLE_PLACES"]) as lines:
        for line in lines:
            pc, sp, number, caller, at = line.split()
            found[int(pc, 16), int(sp, 16)] = (
                int(number), (int(caller, 16), int(at, 16)))
    return found


def place_of(frame):
    return frame.pc(), int(frame.read_register("rsp"))


def frame_place(number):
    """Where the frame NUMBER is; None where gdb does not come so far."""
    try:
        frame = gdb.newest_frame()
        for _ in range(number):
            frame = frame.older()
            if frame is None:
                return None
        return place_of(frame)
    except gdb.error:
        return None


def main():
    wanted = places()
    seen = {key: [0, 0] for key in wanted}
    for command in ("set confirm off", "set pagination off",
                    "set startup-with-shell off", "unset environment LINES",
                    "unset environment COLUMNS", "handle all nostop noprint",
                    "unset environment ORACLE_PLACES", "starti",
                    "tbreak main", "continue"):
        gdb.execute(command, to_string=True)
    for pc in sorted({pc for pc, _ in wanted}):
        gdb.execute(f"break *{pc}", to_string=True)
    while True:
        gdb.execute("continue", to_string=True)
        if not gdb.selected_inferior().pid:
            break
        key = place_of(gdb.newest_frame())
        code = gdb.selected_inferior().read_memory(key[0], 1)
        if key in wanted and bytes(code) != RET:
            number, caller = wanted[key]
            seen[key][0] += 1
            seen[key][1] += frame_place(number) == caller
    for (pc, sp), (times, right) in seen.items():
        print(f"place {pc:x} {sp:x} {times} {right}")


main()

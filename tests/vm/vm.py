"""What the tests that run in a virtual machine stand on, besides lib.py."""

import os
import pathlib
import pwd
import struct
import tempfile

import lib
import menu

SCOPE = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")
CORE_PATTERN = pathlib.Path("/proc/sys/kernel/core_pattern")

# An emulated machine is ten times slower, and still no report takes so long.
REPORT_S = 15

# Which tier is reached where, (scope of Yama, as root): 1 is a witness that
# traces, 2 one that stops the other threads by signal.
TIERS = {
    (0, True): 1,
    (0, False): 1,
    (1, True): 1,
    (1, False): 1,
    (2, True): 1,
    (2, False): 2,
    (3, True): 2,
    (3, False): 2,
}

# Entries of the menu that reach the same tier everywhere: a thread without
# siblings has nobody to be stopped; without execve there is no helper.
FIXED = {"fork-child": 1, "no-exec": 4}

# Before 5.16 a core dump, even one that nobody wants, kills the parent that a
# vfork child shares its memory with.
RELEASE = tuple(map(int, os.uname().release.split(".")[:2]))
KILLED = {"vfork-child": 11} if RELEASE < (5, 16) else {}


def set_scope(scope):
    SCOPE.write_text(str(scope), encoding="ascii")
    assert int(SCOPE.read_text()) == scope


def make_dir(owner="root", prefix="vm.", mode=0o700):
    """A new directory that OWNER's programs reach and write to."""
    user = pwd.getpwnam(owner)
    path = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir="/var/tmp"))
    os.chown(path, user.pw_uid, user.pw_gid)
    path.chmod(mode)
    return path


def become(name):
    """A preexec function: be the user NAME, with no other group."""
    user = pwd.getpwnam(name)

    def change():
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)

    return None if name == "root" else change


def both(entry, *args, user="root", env=None):
    """ENTRY of the menu, plain and under the shim, as USER: (Outcome,
    Outcome, reports once those left raw are finished)."""
    argv = [entry.program, entry.name, *args]
    options = {"cwd": make_dir(user), "preexec": become(user)}
    plain = lib.run_plain(argv, env, **options)
    spool = make_dir(user, "spool.")
    with lib.start_under_shim(argv, env, spool, **options) as process:
        shim = process.wait(reports=0)
    if list(spool.glob("*.raw")):
        # There is no collector: what cannot be shipped stays.
        lib.epitaph("flush", "-s", spool, "-c", "http://127.0.0.1:9")
    return plain, shim, lib.spool_reports(spool)


def differences(entry, tier, user):
    """What is not as it should be with ENTRY of the menu, as text; None. An
    emulated machine on a loaded one may be too slow for the half second that
    a helper has; that it is late three times on end is no chance."""
    for _ in range(3):
        trouble = differences_once(entry, tier, user)
        if not trouble or "was late" not in trouble:
            break
    return trouble


def differences_once(entry, tier, user):
    try:
        plain, shim, reports = both(entry, "2", user=user)
    except AssertionError as error:
        return str(error).replace("\n", " ")[-300:]
    if (shim.status, shim.stdout) != (plain.status, plain.stdout):
        return f"{shim.status} {shim.stdout} for " \
            f"{plain.status} {plain.stdout}"
    if plain.signal != KILLED.get(entry.name, entry.signal):
        return f"signal {plain.signal}, not {entry.signal}"
    if len(reports) != entry.reports:
        return f"{len(reports)} reports, not {entry.reports}"
    for report in reports:
        meta = lib.user_stream(report)
        due = FIXED.get(entry.name, tier)
        if meta["tier"] != due:
            return f"tier {meta['tier']}, not {due}: {meta['tier_reason']}"
        if "plain" in entry.traits and len(meta["threads"]) < 3:
            return f"{len(meta['threads'])} threads"
    return None


def check_menu(scope, user):
    """The whole menu, plain and under the shim, as USER in SCOPE: the same
    death, the reports due, and the tier that TIERS promises."""
    set_scope(scope)
    tier = TIERS[scope, user == "root"]
    wrong = []
    for entry in menu.entries():
        if "sent" in entry.traits:
            continue
        trouble = differences(entry, tier, user)
        print(f"{entry.name}: {trouble or 'as it should be'}", flush=True)
        if trouble:
            wrong.append(entry.name)
    assert not wrong, f"{len(wrong)} of {len(menu.entries())} differ: {wrong}"


def check_others(scope, user):
    """The other crashers, as USER in SCOPE: the same death."""
    set_scope(scope)
    wrong = []
    for entry in menu.others(10)[0]:
        plain, shim, _ = both(entry, user=user)
        if shim.status != plain.status:
            wrong.append(f"{entry.program.name} {entry.name}: "
                         f"{shim.status:#x} for {plain.status:#x}")
    assert not wrong, wrong


def core_siginfo(path):
    """(si_signo, si_code, si_addr) of the core file PATH, from its note
    NT_SIGINFO; there is no gdb in the machine."""
    data = pathlib.Path(path).read_bytes()
    headers, = struct.unpack_from("<Q", data, 32)
    count, = struct.unpack_from("<H", data, 56)
    for n in range(count):
        kind, _, start, _, _, size = struct.unpack_from(
            "<IIQQQQ", data, headers + 56 * n)
        if kind != 4:  # PT_NOTE
            continue
        at = start
        while at < start + size:
            name, length, note = struct.unpack_from("<III", data, at)
            body = at + 12 + (name + 3 & ~3)
            if note == 0x53494749:
                signo, _, code, _, address = struct.unpack_from(
                    "<iiiiQ", data, body)
                return signo, code, address
            at = body + (length + 3 & ~3)
    raise AssertionError(f"{path}: no siginfo")

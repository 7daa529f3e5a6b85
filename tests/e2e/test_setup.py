"""scripts/setup, with apt-get, dpkg-query, id and sudo faked: what it calls,
and what it says where it cannot go on."""

import shutil

import lib

ALL_HERE = 'shift 2; for p; do echo "installed $p"; done'
NO_GDB = ('shift 2; for p; do [ $p = gdb ] && [ ! -e "$STATE/gdb" ] || '
          'echo "installed $p"; done')


def setup(*options, **fakes):
    """Run scripts/setup in a tree of its own with FAKES ({"id": script}) in
    front of PATH: (Outcome, what apt-get was called with)."""
    root = lib.temp_dir("tree.")
    (root / "scripts").mkdir()
    shutil.copy(lib.ROOT / "scripts/setup", root / "scripts/setup")
    (root / "bin").mkdir()
    for name in ("awk", "cat", "cut", "dirname", "env", "grep", "mkdir",
                 "sleep", "tail", "touch"):
        (root / "bin" / name).symlink_to(shutil.which(name))
    fakes = {"dpkg-query": ALL_HERE, "id": "echo 0", **fakes}
    for name, script in fakes.items():
        name = name.replace("_", "-")
        (root / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (root / "bin" / name).chmod(0o755)
    outcome = lib.run_plain(
        ["/bin/sh", root / "scripts/setup", *options],
        {"PATH": root / "bin", "STATE": root})
    calls = root / "calls"
    return outcome, calls.read_text() if calls.exists() else ""


APT = 'echo "$*" >>"$STATE/calls"'
INSTALLING_APT = APT + '; case "$*" in *install*) touch "$STATE/gdb";; esac'


def test_nothing_missing():
    """scripts/setup calls no apt-get and says nothing where all is there"""
    outcome, calls = setup(apt_get=APT)
    assert outcome.exit == 0
    assert (outcome.stdout, outcome.stderr, calls) == (b"", b"", "")


def test_installs_what_is_missing():
    """scripts/setup installs what is missing, and only that"""
    outcome, calls = setup(apt_get=INSTALLING_APT, dpkg_query=NO_GDB)
    assert outcome.exit == 0, outcome
    assert calls.splitlines()[0].endswith(" update")
    assert calls.splitlines()[1].endswith(
        " install --no-install-recommends gdb")
    assert len(calls.splitlines()) == 2


def test_list():
    """scripts/setup --list names what is missing and installs nothing"""
    outcome, calls = setup("--list", apt_get=APT, dpkg_query=NO_GDB)
    assert (outcome.exit, outcome.stdout, calls) == (0, b"gdb\n", "")


def test_no_root():
    """scripts/setup says what is missing where there is no root and no sudo"""
    outcome, calls = setup(apt_get=APT, dpkg_query=NO_GDB, id="echo 1000")
    assert outcome.exit == 1 and calls == ""
    assert outcome.stderr == b"setup: not root and no sudo; missing: gdb\n"


def test_sudo():
    """scripts/setup goes through sudo where it is not root"""
    outcome, calls = setup(apt_get=INSTALLING_APT, dpkg_query=NO_GDB,
                           id="echo 1000",
                           sudo='[ "$1" = -v ] || exec "$@"')
    assert outcome.exit == 0 and "install" in calls, outcome


def test_no_network():
    """scripts/setup says so where the mirror cannot be reached"""
    outcome, _ = setup(
        dpkg_query=NO_GDB,
        apt_get="echo 'E: Failed to fetch http://x Could not resolve'; exit 1")
    assert outcome.exit == 1
    assert b"setup: cannot reach the package mirror" in outcome.stderr


def test_no_debian():
    """scripts/setup says so where there is no dpkg"""
    root = lib.temp_dir("bin.")
    (root / "dirname").symlink_to(shutil.which("dirname"))
    outcome = lib.run_plain(["/bin/sh", lib.ROOT / "scripts/setup"],
                            {"PATH": root})
    assert outcome.exit == 1
    assert b"this is no Debian" in outcome.stderr

"""Sources of packages from Debian's archives, for tests that come with them."""

import pathlib
import shutil
import subprocess
import sys

import compare


def _apt(where, *args):
    """apt-get with this machine's archives, but lists and sources of its own:
    the source entries that the machine itself may not have."""
    own = where / "apt"
    options = {"Dir::Etc::sourcelist": own / "sources.list",
               "Dir::Etc::sourceparts": "-",
               "Dir::State::lists": own / "lists", "Dir::Cache": own / "cache",
               "APT::Sandbox::User": "root"}
    argv = ["apt-get", "-q"]
    for name, value in options.items():
        argv += ["-o", f"{name}={value}"]
    with (own / "log").open("a") as log:
        done = subprocess.run([*argv, *args], cwd=where, stdout=log,
                              stderr=log, stdin=subprocess.DEVNULL,
                              check=False)
    if done.returncode:
        sys.exit(f"apt-get {' '.join(args)} failed: see {log.name}")


def _write_sources(path):
    """A deb-src line for each archive of Debian's that apt has here."""
    text = subprocess.run(
        ["apt-get", "indextargets", "--format",
         "$(REPO_URI) $(RELEASE) $(COMPONENT) $(CREATED_BY) $(ORIGIN)"],
        capture_output=True, text=True, check=True).stdout
    lines = set()
    for line in text.splitlines():
        uri, release, component, made_by, origin = line.split(" ", 4)
        if made_by == "Packages" and origin == "Debian":
            lines.add(f"deb-src {uri} {release} {component}\n")
    path.write_text("".join(sorted(lines)))


def source(package) -> pathlib.Path:
    """The unpacked source of the binary PACKAGE that is installed."""
    name, wanted = subprocess.run(
        ["dpkg-query", "-W", "-f", "${source:Package} ${source:Version}",
         package], capture_output=True, text=True, check=True).stdout.split()
    where = compare.lib.BUILD / "programs" / name
    mark = where / "version"
    if not mark.exists() or mark.read_text() != wanted:
        shutil.rmtree(where, ignore_errors=True)
        for directory in ("apt/lists/partial", "apt/cache/archives/partial"):
            (where / directory).mkdir(parents=True)
        _write_sources(where / "apt/sources.list")
        _apt(where, "update")
        _apt(where, "source", f"{name}={wanted}")
        mark.write_text(wanted)
    return next(path for path in where.glob(f"{name}-*") if path.is_dir())

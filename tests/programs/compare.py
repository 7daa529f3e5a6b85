"""What every program in this directory stands on: it runs something twice,
without the shim and with it, and says of each single test or case whether the
outcome was the same, in the lines `ok - NAME` and `not ok - NAME` that
tests/run counts. A test that fails, skips itself or changes its mind without
the shim too shows nothing about the shim: it is counted as skipped, with that
reason, and never hidden."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import lib  # noqa: E402

# Once more without and with, as long as a test's outcomes differ: one round
# cannot tell a difference from a test that is not sure of itself.
ROUNDS = 5


def say(text):
    """A line of progress; tests/run shows the last one while it waits."""
    print(f"# {text}", flush=True)


def ok(name):
    print(f"ok - {name}", flush=True)


def skipped(name, reason):
    print(f"ok - {name} # SKIP {reason}", flush=True)


def failed(name, reason):
    print(f"not ok - {name}", flush=True)
    say(f"{name}: {reason}")


def need(*programs):
    """End here, as one skipped test, where one of PROGRAMS is missing."""
    for program in programs:
        if not shutil.which(program):
            skipped("all of it", f"{program} is not installed; "
                    "scripts/setup programs installs it")
            sys.exit(0)


def build(*argv, env=None, cwd=None):
    """Run a compiler; what it says is shown where it fails."""
    done = subprocess.run([str(a) for a in argv], env=lib.clean_env(env),
                          cwd=cwd, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, argv))}: {done.stderr}")


def open_way(path):
    """Let users who are not us pass through to PATH, which is in a directory
    of the test's own."""
    for parent in path.parents:
        if parent.owner() == path.owner() and parent != pathlib.Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)


class Round:
    """One pass over a suite: with or without the shim, in a directory of its
    own that goes when it is over."""

    def __init__(self, number, shim):
        self.number = number
        self.shim = shim
        self.word = "under the shim" if shim else "without the shim"
        self.where = lib.temp_dir(f"{'shim' if shim else 'plain'}.")
        self.where.chmod(0o755)
        open_way(self.where)
        self.spool = self.where / "spool"
        self.spool.mkdir()

    def env(self, extra=None):
        """An environment with nothing in it that a suite might mind, and the
        shim, where that is what this round is for."""
        env = {"HOME": str(self.where), "TMPDIR": str(self.where / "tmp")}
        (self.where / "tmp").mkdir(exist_ok=True)
        if self.shim:
            # All reports: how many there are is what is compared.
            env |= lib.shim_env(self.spool, {"EPITAPH_BUDGET": "0"})
        return lib.clean_env(env | (extra or {}))

    def run(self, argv, seconds, cwd=None, env=None):
        """Run ARGV to its end, its output into a file: (status, text). A hang
        is an outcome, too: status None."""
        log = self.where / "output"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(a) for a in argv], env=self.env(env), cwd=cwd,
                stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, process_group=0)
            try:
                if self.shim:
                    must_be_loaded(process)
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                status = None
        return status, log.read_text(errors="replace")

    def reports(self):
        lib.settle()
        return lib.spool_reports(self.spool)

    def end(self):
        lib.settle()
        shutil.rmtree(self.where, ignore_errors=True)


def must_be_loaded(process):
    """A comparison of nothing with nothing would always pass."""
    maps = pathlib.Path(f"/proc/{process.pid}/maps")

    def loaded():
        return process.poll() is not None or lib.SHIM.name in maps.read_text()

    lib.wait_for(loaded, what="the shim to be loaded")


def first_word(outcome):
    return outcome.split(":")[0]


def test_by_test(name, run, reports=0):
    """Compare a suite. RUN(round, only) gives {test: outcome}: "passed",
    "failed: why" or "skipped: why"; ONLY is None, or the tests that matter.
    Under the shim at least REPORTS reports have to come of it."""
    plain, shim = {}, {}
    only = None
    for number in range(ROUNDS):
        for outcomes, with_shim in ((plain, False), (shim, True)):
            one = Round(number, with_shim)
            started = time.monotonic()
            found = run(one, only)
            for test in set(found) | set(only or ()):
                outcomes.setdefault(test, []).append(
                    found.get(test, "absent"))
            say(f"{name}: {len(found)} tests {one.word}, "
                f"{time.monotonic() - started:.0f} s")
            if with_shim and number == 0:
                count_reports(name, one, reports)
            one.end()
        if number == 0:
            add_absent(plain, shim)
        only = sorted(t for t in plain if differ(plain[t], shim[t]))
        if not only:
            break
        say(f"{name}: once more, because they differ: {', '.join(only)}")
    for test in sorted(plain):
        verdict(f"{name} {test}", plain[test], shim[test])


def add_absent(plain, shim):
    for test in set(plain) | set(shim):
        plain.setdefault(test, ["absent"])
        shim.setdefault(test, ["absent"])


def count_reports(name, one, least):
    found = len(one.reports())
    text = f"{name}: at least {least} reports of what crashed in it"
    if least and found >= least:
        ok(text)
    elif least:
        failed(text, f"there are {found}")


def kinds(outcomes):
    return {first_word(outcome) for outcome in outcomes}


def differ(plain, shim):
    """Whether something happened under the shim that has not been seen
    without it, or more rounds are wanted to know that."""
    return kinds(plain) != kinds(shim) and not kinds(shim) < kinds(plain)


def verdict(name, plain, shim):
    if differ(plain, shim):
        failed(name, f"without the shim {plain}, with it {shim}")
    elif len(kinds(plain)) > 1:
        skipped(name, "flaky without the shim too: "
                f"{', '.join(map(first_word, plain))}; with it "
                f"{', '.join(map(first_word, shim))}")
    elif first_word(plain[0]) == "passed":
        ok(name)
    elif first_word(plain[0]) == "skipped":
        skipped(name, "skips itself, with and without the shim: " +
                " ".join(plain[0].split(":", 1)[-1].split())[:100])
    else:
        skipped(name, "fails without the shim too: " +
                " ".join(plain[0].split())[:100])


# Single programs, whose every outcome is known


def case(name, argv, reports, exit=None, sig=None, says=(), files=(),
         env=None, check=None, preload=None, tiers=(1,), **options):
    """Run ARGV without the shim and with it: the same status, EXIT or SIG;
    the texts SAYS in its output both times; the same files that match FILES
    in its directory; and under the shim exactly REPORTS reports, of one of
    TIERS, complete if it is the first.
    PRELOAD are other libraries, loaded after the shim or, where it holds
    "SHIM", around it. CHECK gets the JSON of the one report. Where ARGV is a
    function, it makes the command out of the program's environment, which
    the command itself then does not have."""
    say(name)
    try:
        plain = once(argv, False, env, preload, options)
        shim = once(argv, True, env, preload, options)
        for which, (outcome, where) in (("without the shim", plain),
                                        ("under the shim", shim)):
            text = (outcome.stdout + outcome.stderr).decode(errors="replace")
            end = f"{which}: status {outcome.status:#x}: {text[-4000:]}"
            assert sig is None or outcome.signal == sig, end
            assert exit is None or outcome.exit == exit, end
            for wanted in says:
                assert re.search(wanted, text), f"no {wanted!r} {end}"
            for pattern in files:
                assert list(where.glob(pattern)), f"no {pattern} {end}"
        assert plain[0].status == shim[0].status, \
            f"status {shim[0].status:#x}, without {plain[0].status:#x}"
        found = reports_in(shim[1] / "spool", reports)
        assert len(found) == reports, f"{len(found)} reports, not {reports}"
        for report in found:
            meta = lib.user_stream(report)
            assert meta["tier"] in tiers and \
                meta["complete"] == (meta["tier"] == 1), \
                f"tier {meta['tier']}: {meta['tier_reason']}"
            if check:
                check(meta)
    except (AssertionError, OSError) as error:
        failed(name, error)
    else:
        ok(name)


def reports_in(spool, wanted):
    """The reports in SPOOL, once WANTED are there and no more can come."""
    def found():
        return lib.spool_reports(spool) + list(spool.glob("*.raw"))

    try:
        lib.wait_for(lambda: len(found()) >= wanted)
    except AssertionError:
        pass
    lib.settle()
    if list(spool.glob("*.raw")):
        lib.epitaph("flush", "-s", spool, "-c", "http://127.0.0.1:9")
    return lib.spool_reports(spool)


def once(argv, with_shim, env, preload, options):
    """(Outcome, directory) of one run in a directory of its own."""
    where = lib.temp_dir("case.")
    spool = where / "spool"
    spool.mkdir()
    env = dict(env or {})
    libraries = list(preload or ())
    if with_shim and "SHIM" not in libraries:
        libraries.insert(0, "SHIM")
    libraries = [str(lib.SHIM) if each == "SHIM" else each
                 for each in libraries if with_shim or each != "SHIM"]
    if libraries:
        env["LD_PRELOAD"] = ":".join(map(str, libraries))
    if with_shim:
        env["EPITAPH_SPOOL"] = spool
    options = {"cwd": where, "seconds": 120} | options
    if callable(argv):
        argv, env = argv(env), None
    return lib.run_plain(argv, env, **options), where

"""make install, and what is installed."""

import json
import re
import signal

import lib


def test_install():
    """What make install puts in place works from there"""
    lib.need("make")
    root = lib.temp_dir("root.")
    built = lib.run_plain(
        ["make", "-C", lib.ROOT, f"B={lib.BUILD}", "install",
         f"DESTDIR={root}", "PREFIX=/usr"], seconds=110)
    assert built.exit == 0, built
    found = sorted(str(path.relative_to(root)) for path in root.rglob("*")
                   if path.is_file())
    assert found == [
        "usr/bin/epitaph", "usr/bin/epitaphd",
        "usr/include/epitaph.h",
        "usr/lib/epitaph/epitaph-helper", "usr/lib/epitaph/libepitaph.so",
        "usr/lib/systemd/system/epitaph-flush.service",
        "usr/lib/systemd/system/epitaph-flush.timer",
        "usr/lib/systemd/system/epitaphd.service",
        "usr/share/man/man1/epitaph.1", "usr/share/man/man7/libepitaph.7",
        "usr/share/man/man8/epitaphd.8"], found
    unit = root / "usr/lib/systemd/system/epitaphd.service"
    assert "ExecStart=/usr/bin/epitaphd\n" in unit.read_text()
    spool = lib.temp_dir("spool.")
    outcome = lib.run_plain([root / "usr/bin/epitaph", "run", "-s", spool,
                             "--", "/bin/bash", "-c", "kill -SEGV $$"])
    assert outcome.signal == signal.SIGSEGV, outcome
    report, = lib.wait_for(lambda: lib.spool_reports(spool))
    lib.settle()
    symbolized = json.loads(lib.run_plain(
        [root / "usr/bin/epitaph", "symbolize", "--json", report]).stdout)
    assert symbolized["signal"]["name"] == "SIGSEGV"


def manual(name):
    """The text of a man page, without roff's escapes."""
    text = (lib.ROOT / "docs/man" / name).read_text()
    return text.replace("\\-", "-")


def test_manual():
    """The man pages know every verb, option and variable that there is"""
    verbs = re.findall(r"^  ([a-z]+)  +", lib.epitaph_ok("--help"), re.M)
    assert len(verbs) >= 7, verbs
    for verb in verbs:
        assert f"epitaph {verb}\n" in manual("epitaph.1"), verb
        assert f"\n.B {verb}\n" in manual("epitaph.1"), verb
    text = lib.run_plain([lib.EPITAPHD, "--help"]).stdout.decode()
    options = set(re.findall(r"^  (--[a-z-]+)", text, re.M))
    assert len(options) >= 5, options
    missing = {o for o in options if o not in manual("epitaphd.8")}
    assert missing <= {"--version"}, missing
    variables = set(re.findall(
        r'"(EPITAPH_[A-Z_]+)"',
        (lib.ROOT / "shim/settings.c").read_text()))
    assert len(variables) >= 8, variables
    missing = {v for v in variables if v not in manual("libepitaph.7")}
    assert not missing, missing

"""make install, and what is installed."""

import json
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

"""What a newcomer runs first."""

import os
import re
import signal

import lib


@lib.deadline(180)
def test_demo():
    """The demo crashes seven programs, and judges every report well"""
    outcome = lib.run_plain([lib.ROOT / "scripts/demo"], seconds=170)
    text = outcome.stdout.decode()
    assert outcome.exit == 0, text + outcome.stderr.decode()
    assert "7 crashes, 7 reports, all of tier 1" in text, text
    assert re.search(r"^the page: http://127\.0\.0\.1:\d+/$", text, re.M)
    left = [name for name in os.listdir() if name.startswith("epitaph-demo")]
    assert not left, left


@lib.deadline(180)
def test_keep():
    """KEEP=1 leaves the demo's collector running, and says how to stop it"""
    outcome = lib.run_plain([lib.ROOT / "scripts/demo"], {"KEEP": "1"},
                            seconds=170)
    text = outcome.stdout.decode()
    stop = re.search(r"^stop it with: kill (\d+) && rm -r (\S+)$", text, re.M)
    assert outcome.exit == 0 and stop, text
    pid = int(stop[1])
    try:
        assert pid in lib.processes()
        assert os.path.isdir(stop[2])
    finally:
        os.kill(pid, signal.SIGTERM)
    lib.wait_for(lambda: lib.processes().get(pid, (0, "Z", ""))[1] in "ZX",
                 20, "the collector to end")

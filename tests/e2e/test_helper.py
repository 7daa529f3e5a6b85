"""The helper: what it may do, and what a hostile process can make of it."""

import re
import signal
import socket

import lib

MENU = lib.CRASHERS / "menu"


def helper_status():
    """/proc/PID/status of the helper of this test; None while there is
    none."""
    for pid in lib.helpers():
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8") as status:
                text = status.read()
        except OSError:
            continue
        if "Name:\tepitaph-helper\n" in text:
            return text
    return None


def test_sandbox():
    """While it makes and ships a report the helper is under its filter"""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("collector.sock")  # accepts, and never answers
        listener.listen(1)
        where = f"{lib.pathlib.Path.cwd()}/collector.sock"
        outcome = lib.run_under_shim(
            [MENU, "null-write"], {"EPITAPH_URL": f"http+unix://{where}"})
        assert len(outcome.reports) == 1, outcome
        status = lib.wait_for(helper_status)
        assert re.search(r"^Seccomp:\t2$", status, re.M), status
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M), status
    lib.settle()


def test_by_name():
    """A collector known by name gets the report, which takes epitaph flush"""
    with lib.Collector() as collector:
        port = collector.url.rsplit(":", 1)[1]
        outcome = lib.run_under_shim(
            [MENU, "null-write"],
            {"EPITAPH_URL": f"http://localhost:{port}"}, reports=0)
        assert outcome.signal == signal.SIGSEGV
        collector.wait_count(1)
        lib.settle()

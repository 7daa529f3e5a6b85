"""Under systemd as process 1: services that crash, and our own units."""

import json
import pathlib
import re
import shutil
import subprocess

import lib
import menu
import vm

SPOOL = pathlib.Path("/var/spool/epitaph")
SHIM = "/usr/lib/epitaph/libepitaph.so"
EPITAPH = "/usr/bin/epitaph"
COREDUMP = "|/lib/systemd/systemd-coredump %P %u %g %s %t %c %h"

# What an administrator may ask for, and the tier that it leaves. Where nothing
# but the spool's directory may be written, that has to be said.
STRICT = ["ProtectSystem=strict", f"ReadWritePaths={SPOOL}"]
HARDENINGS = {
    "nothing": (1, []),
    "another user": (1, ["User=tester"]),
    "a dynamic user": (1, ["DynamicUser=yes", *STRICT]),
    "no new privileges": (1, ["NoNewPrivileges=yes", "User=tester"]),
    "a read-only system": (1, [*STRICT, "ProtectHome=yes", "User=tester"]),
    "private places": (1, ["PrivateTmp=yes", "PrivateDevices=yes",
                           "PrivateNetwork=yes", "PrivateIPC=yes",
                           "User=tester"]),
    "users of its own": (1, ["PrivateUsers=yes", "User=tester"]),
    "others' processes hidden": (1, ["ProtectProc=invisible",
                                     "ProcSubset=pid", "User=tester"]),
    "no code that was written": (1, ["MemoryDenyWriteExecute=yes",
                                     "User=tester"]),
    "no namespaces": (1, ["RestrictNamespaces=yes", "User=tester"]),
    "no capabilities": (1, ["CapabilityBoundingSet=", "AmbientCapabilities="]),
    "calls refused": (2, ["SystemCallFilter=@system-service",
                          "SystemCallErrorNumber=EPERM", "User=tester"]),
    "calls that kill": (2, ["SystemCallFilter=@system-service",
                            "User=tester"]),
    "everything": (2, ["DynamicUser=yes", *STRICT, "ProtectHome=yes",
                       "PrivateTmp=yes", "PrivateDevices=yes",
                       "PrivateNetwork=yes", "PrivateUsers=yes",
                       "ProtectProc=invisible", "ProcSubset=pid",
                       "ProtectClock=yes", "ProtectControlGroups=yes",
                       "ProtectHostname=yes", "ProtectKernelLogs=yes",
                       "ProtectKernelModules=yes",
                       "ProtectKernelTunables=yes",
                       "MemoryDenyWriteExecute=yes",
                       "RestrictNamespaces=yes", "RestrictRealtime=yes",
                       "RestrictSUIDSGID=yes", "RestrictAddressFamilies="
                       "AF_UNIX AF_INET", "LockPersonality=yes",
                       "SystemCallArchitectures=native",
                       "SystemCallFilter=@system-service",
                       "CapabilityBoundingSet=", "UMask=0077"]),
}

OUTCOME = ("Result", "ExecMainCode", "ExecMainStatus", "NRestarts")


def ran(*argv):
    """Stdout of ARGV, which has to succeed."""
    done = subprocess.run(argv, text=True, timeout=60, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f"{argv}: {done.stdout}"
    return done.stdout


def show(unit, *properties):
    text = ran("systemctl", "show", unit, "-p", ",".join(properties))
    return dict(line.split("=", 1) for line in text.splitlines())


def start(unit, argv, properties=(), env=None):
    """Start ARGV as the service UNIT."""
    subprocess.run(["systemctl", "reset-failed", unit], check=False,
                   stderr=subprocess.DEVNULL)
    words = [f"--property={word}" for word in properties]
    words += [f"--setenv={key}={value}" for key, value in (env or {}).items()]
    ran("systemd-run", "--quiet", f"--unit={unit}", *words, *argv)


def serve(unit, name, properties=(), env=None):
    """The entry NAME of the menu as the service UNIT, to its end: what
    systemd has recorded."""
    start(unit, [str(menu.PROGRAM), name, "3"], properties, env)
    lib.wait_for(lambda: show(unit, "ActiveState")["ActiveState"]
                 in ("failed", "inactive"), 60, f"{unit} to end")
    return show(unit, *OUTCOME)


def under_shim(env=None):
    return {"LD_PRELOAD": SHIM, **(env or {})}


def empty_spool():
    for path in SPOOL.iterdir():
        if path.is_file():
            path.unlink()


def reports_within(seconds, count=1):
    """What is in the spool that all share once COUNT are, or SECONDS over."""
    try:
        lib.wait_for(lambda: len(lib.spool_reports(SPOOL)) >= count, seconds)
    except AssertionError:
        pass
    return lib.spool_reports(SPOOL)


def reports(count):
    """The COUNT reports in that spool."""
    found = reports_within(vm.REPORT_S, count)
    assert len(found) == count, \
        f"{len(found)} reports, not {count}: {list(SPOOL.iterdir())}"
    return found


@lib.deadline(400)
def test_hardening():
    """Whatever a service is denied: the same result, and the report"""
    vm.set_scope(1)
    wrong = {}
    for number, (what, (tier, properties)) in enumerate(HARDENINGS.items()):
        empty_spool()
        plain = serve(f"plain-{number}", "null-write", properties)
        shim = serve(f"shim-{number}", "null-write", properties, under_shim())
        try:
            assert shim == plain, f"{shim} for {plain}"
            meta = lib.user_stream(reports(1)[0])
            assert meta["tier"] == tier, \
                f"tier {meta['tier']}, not {tier}: {meta['tier_reason']}"
            assert len(meta["threads"]) == 4, len(meta["threads"])
            print(f"{what}: as it should be", flush=True)
        except AssertionError as error:
            wrong[what] = str(error)
            print(f"{what}: {error}", flush=True)
            print(ran("journalctl", "--no-pager", "-n", "20", "-u",
                      f"shim-{number}"))
    assert not wrong, wrong


@lib.deadline(400)
def test_kill_mode():
    """systemd ends what a crashed service leaves, and never the report"""
    vm.set_scope(1)
    wrong = []
    for mode in ("control-group", "mixed", "process"):
        for more in ([], ["SendSIGHUP=yes"], ["KillSignal=SIGQUIT"],
                     ["TimeoutStopSec=1"], ["KillSignal=SIGKILL"]):
            properties = [f"KillMode={mode}", "User=tester", *more]
            plain = serve("kill-plain", "null-write", properties)
            lost = 0
            for _ in range(5):
                empty_spool()
                shim = serve("kill-shim", "null-write", properties,
                             under_shim())
                assert shim == plain, f"{properties}: {shim} for {plain}"
                assert shim["Result"] in ("signal", "core-dump"), shim
                lost += not reports_within(3)
            print(f"{properties}: {lost} of 5 lost", flush=True)
            if lost:
                wrong.append((properties, lost))
    assert not wrong, wrong


@lib.deadline(200)
def test_restart():
    """Restarted on failure, each crash is reported and restarts are the same"""
    properties = ["Restart=on-failure", "RestartSec=50ms", "User=tester",
                  "StartLimitBurst=4", "StartLimitIntervalSec=1h",
                  "MemoryMax=100M", "MemorySwapMax=0"]
    empty_spool()
    plain = serve("again-plain", "null-write", properties)
    shim = serve("again-shim", "null-write", properties, under_shim())
    assert shim == plain, f"{shim} for {plain}"
    reports(4)


@lib.deadline(200)
def test_restart_memory():
    """Restarted at once, two copies of a service fit where one did"""
    argv = [str(menu.PROGRAM), "null-write", "3", "64"]
    properties = ["Restart=on-failure", "RestartSec=0", "StartLimitBurst=5",
                  "StartLimitIntervalSec=1h", "MemoryMax=96M",
                  "MemorySwapMax=0"]
    results = []
    for unit, env in (("big-plain", None), ("big-shim", under_shim())):
        empty_spool()
        start(unit, argv, properties, env)
        lib.wait_for(lambda: show(unit, "ActiveState")["ActiveState"]
                     == "failed", 60, f"{unit} to end")
        results.append(show(unit, *OUTCOME))
    assert results[0] == results[1], results
    reports(5)


def coredumps():
    """[(pid, signal)] of what systemd-coredump has kept."""
    done = subprocess.run(["coredumpctl", "--json=short", "list"], text=True,
                          check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    return [(entry["pid"], entry["sig"])
            for entry in json.loads(done.stdout or "[]")]


def dumped_by(unit, name, env):
    """The fields of si_signo, si_code and si_addr in the core that
    systemd-coredump keeps of NAME as UNIT, and what systemd recorded."""
    before = len(coredumps())
    result = serve(unit, name, ["LimitCORE=infinity", "User=tester"], env)
    lib.wait_for(lambda: len(coredumps()) > before, 60, "the core")
    fresh = coredumps()[before:]
    assert len(fresh) == 1, fresh
    core = vm.make_dir() / "core"
    ran("coredumpctl", "dump", str(fresh[0][0]), f"--output={core}")
    return result, vm.core_siginfo(core)


@lib.deadline(300)
def test_coredump():
    """systemd-coredump keeps the core it would without, and no other"""
    was = vm.CORE_PATTERN.read_text()
    vm.CORE_PATTERN.write_text(COREDUMP)
    try:
        for name in ("null-write", "abort", "divide"):
            empty_spool()
            plain, theirs = dumped_by(f"dump-{name}-plain", name, None)
            shim, ours = dumped_by(f"dump-{name}-shim", name, under_shim())
            assert shim == plain, f"{shim} for {plain}"
            assert shim["Result"] == "core-dump", shim
            assert ours[:2] == theirs[:2], f"{ours} for {theirs}"
            if name == "null-write":
                assert ours[2] == theirs[2] == 16, f"{ours} for {theirs}"
            reports(1)
    finally:
        vm.CORE_PATTERN.write_text(was)


# Our own units


def journal(unit):
    return ran("journalctl", "--no-pager", "--output=cat", "-u", unit)


def answers():
    return subprocess.run([EPITAPH, "list"], check=False,
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


def collector_up():
    ran("systemctl", "start", "epitaphd.service")
    lib.wait_for(answers, 60, "epitaphd to answer")
    lib.wait_for(lambda: "listening on http://127.0.0.1:7350"
                 in journal("epitaphd.service"), 60, "it to be said")


def groups():
    return json.loads(ran(EPITAPH, "list", "--json"))["groups"]


def total():
    return sum(group["count"] for group in groups())


def test_units_verify():
    """systemd finds nothing to say against our units"""
    for unit in ("epitaphd.service", "epitaph-flush.service",
                 "epitaph-flush.timer"):
        assert ran("systemd-analyze", "verify", "--man=no", unit) == "", unit


@lib.deadline(300)
def test_collector():
    """epitaphd.service starts, takes reports, and survives its own death"""
    collector_up()
    empty_spool()
    before = total()
    env = under_shim({"EPITAPH_URL": "http://127.0.0.1:7350"})
    serve("client", "null-write", ["User=tester"], env)
    lib.wait_for(lambda: total() == before + 1, 60, "the report to arrive")
    assert lib.spool_reports(SPOOL) == []
    ran("systemctl", "kill", "--kill-whom=main", "--signal=KILL",
        "epitaphd.service")
    lib.wait_for(lambda: show("epitaphd.service", "NRestarts")["NRestarts"]
                 == "1", 60, "a restart")
    lib.wait_for(answers, 60, "epitaphd again")
    assert total() == before + 1
    ran("systemctl", "stop", "epitaphd.service")
    after = show("epitaphd.service", "Result", "ActiveState")
    assert after == {"Result": "success", "ActiveState": "inactive"}, after


@lib.deadline(300)
def test_flush():
    """epitaph-flush.service ships what waits, of whatever user"""
    ran("systemctl", "stop", "epitaphd.service")
    empty_spool()
    serve("early-root", "abort", [], under_shim())
    serve("early-user", "divide", ["User=tester"], under_shim())
    serve("early-other", "illegal", ["DynamicUser=yes", *STRICT],
          under_shim())
    reports(3)
    down = subprocess.run(["systemctl", "start", "epitaph-flush.service"],
                          check=False, stderr=subprocess.PIPE)
    assert down.returncode != 0, "flushed to nowhere"
    reports(3)
    collector_up()
    before = total()
    ran("systemctl", "start", "epitaph-flush.service")
    assert lib.spool_reports(SPOOL) == [], journal("epitaph-flush.service")
    lib.wait_for(lambda: total() == before + 3, 60, "three reports")


@lib.deadline(300)
def test_timer():
    """epitaph-flush.timer comes again, also where there was nothing to do"""
    vm.set_scope(1)
    place = pathlib.Path("/run/systemd/system/epitaph-flush.timer.d")
    place.mkdir(parents=True, exist_ok=True)
    (place / "soon.conf").write_text(
        "[Timer]\nOnBootSec=\nOnBootSec=1s\nOnUnitActiveSec=3s\n"
        "RandomizedDelaySec=0\nAccuracySec=100ms\n")
    try:
        ran("systemctl", "daemon-reload")
        collector_up()
        empty_spool()
        ran("systemctl", "start", "epitaph-flush.timer")

        def last():
            return show("epitaph-flush.timer", "LastTriggerUSec")

        first = lib.wait_for(lambda: last()["LastTriggerUSec"], 60, "a start")
        lib.wait_for(lambda: last()["LastTriggerUSec"] != first, 60,
                     "another")
        before = total()
        serve("timed", "null-read", ["User=tester"], under_shim())
        lib.wait_for(lambda: total() == before + 1, 60, "the report")
        assert lib.spool_reports(SPOOL) == []
    finally:
        subprocess.run(["systemctl", "stop", "epitaph-flush.timer"],
                       check=False)
        shutil.rmtree(place)


def test_drop_in():
    """The drop-in of the packaging guide puts a service under the shim"""
    guide = pathlib.Path("/epitaph/docs/packaging/README.md").read_text()
    drop_in = re.search(r"```\n(.*?)```", guide, re.S)[1]
    collector_up()
    empty_spool()
    unit = pathlib.Path("/run/systemd/system/shop.service")
    unit.write_text(f"[Service]\nExecStart={menu.PROGRAM} null-call 2\n")
    place = unit.with_name("shop.service.d")
    place.mkdir()
    (place / "epitaph.conf").write_text(
        "\n".join(line.strip() for line in drop_in.splitlines()) + "\n")
    ran("systemctl", "daemon-reload")
    before = total()
    ran("systemctl", "start", "shop.service")
    lib.wait_for(lambda: total() == before + 1, 60, "the report")

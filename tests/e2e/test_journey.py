"""Crashes on their way through everything: shim, helper, spool, collector,
symbolizer, command line."""

import json
import pathlib
import signal

import lib

KNOWN = lib.CRASHERS / "known"
REBUILT = lib.CRASHERS / "rebuilt/known"


def crash(argv, url, spool, env=None):
    """Crash ARGV under the shim, reports to URL."""
    outcome = lib.run_under_shim(argv, {"EPITAPH_URL": url, **(env or {})},
                                 spool, reports=0)
    assert outcome.signal == signal.SIGSEGV, outcome


def wait_named(collector, count):
    """The groups, once COUNT crashes are counted and each group has a title
    made of names."""
    collector.wait_count(count)

    def named():
        groups = collector.groups()
        whole = [collector.group(group["id"]) for group in groups]
        ready = all(group["report"] and any(lib.functions(
            lib.crashed_thread(group["report"]))) for group in whole)
        return groups if ready else None

    return lib.wait_for(named, 30, "every group to have names")


@lib.deadline(240)
def test_duplicates():
    """100 times one crash is one group, count 100, at most 5 bodies"""
    spool = lib.temp_dir("spool.")
    with lib.Collector() as collector:
        for _ in range(100):
            crash([KNOWN], collector.url, spool)
        lib.settle()
        # What came after ten in a minute was only counted.
        told = lib.epitaph_ok("flush", "-c", collector.url, "-s", spool)
        assert "more crashes" in told, told
        collector.wait_count(100, 60)
        crash(["/bin/bash", "-c", "kill -SEGV $$"], collector.url, spool)
        groups = sorted(wait_named(collector, 101), key=lambda g: g["count"])
        assert [group["count"] for group in groups] == [1, 100], groups
        bodies = collector.group(groups[1]["id"])["reports"]
        assert 1 <= len(bodies) <= 5, f"{len(bodies)} bodies"
        # Roles tell the supervisor what they counted once a second or so.
        lib.wait_for(lambda: collector.metrics()["epitaph_hits_total"] >= 12,
                     10, "a hit of each report, and one for the rest")
        lib.settle()
        assert lib.spool_reports(spool) == []


@lib.deadline(180)
def test_rebuilt():
    """The same bug in a rebuilt program is in the same group"""
    spool = lib.temp_dir("spool.")
    with lib.Collector() as collector:
        for program in (KNOWN, REBUILT):
            crash([program], collector.url, spool)
        collector.wait_count(2)
        group = lib.wait_for(lambda: one_group(collector), 30, "one group")
        assert group["count"] == 2, group
        reports = [lib.symbolize_at(collector, report) for report in
                   collector.group(group["id"])["reports"]]
        assert len(reports) == 2
        frames = [lib.crashed_thread(report)["frames"] for report in reports]
        for a, b in zip(*frames):
            assert base(a) == base(b), f"{a['function']}, {b['function']}"
            if a["module"] in ("known", "libknown.so") and a["line"]:
                assert a["build_id"] != b["build_id"]
                assert a["offset"] != b["offset"], a


def base(frame):
    """The function's name: which clone of it gcc made may differ."""
    return (frame["function"] or "").split("(")[0]


def one_group(collector):
    groups = collector.groups()
    return groups[0] if len(groups) == 1 else None


def test_flush():
    """With the collector down a report waits; flush delivers it, once"""
    spool = lib.temp_dir("spool.")
    port = lib.free_port()
    url = f"http://127.0.0.1:{port}"
    crash([KNOWN], url, spool)
    report, = lib.wait_for(lambda: lib.spool_reports(spool))
    assert lib.epitaph("flush", "-c", url, "-s", spool).exit == 1
    assert lib.spool_reports(spool) == [report]
    with lib.Collector(listen=f"127.0.0.1:{port}") as collector:
        for _ in range(2):
            lib.epitaph_ok("flush", "-c", url, "-s", spool)
            assert lib.spool_reports(spool) == []
        group, = collector.wait_count(1)
        assert group["count"] == 1
        report_id = report.name.split(".")[0]
        assert collector.group(group["id"])["reports"] == [report_id]


def test_next_crash_ships():
    """A report that waits in the spool goes with the next crash, once"""
    spool = lib.temp_dir("spool.")
    port = lib.free_port()
    url = f"http://127.0.0.1:{port}"
    crash([KNOWN], url, spool)
    lib.wait_for(lambda: lib.spool_reports(spool))
    lib.settle()
    with lib.Collector(listen=f"127.0.0.1:{port}") as collector:
        crash(["/bin/bash", "-c", "kill -SEGV $$"], url, spool)
        collector.wait_count(2)
        lib.settle()
        assert lib.spool_reports(spool) == []
        assert sorted(g["count"] for g in collector.groups()) == [1, 1]


def test_host_name():
    """A collector that is no numeric address is reached through the flush"""
    spool = lib.temp_dir("spool.")
    with lib.Collector() as collector:
        # inet_pton refuses it, resolvers do not; and it needs no resolver.
        url = collector.url.replace("127.0.0.1", "127.1")
        assert url != collector.url
        crash([KNOWN], url, spool)
        collector.wait_count(1)
        lib.settle()
        assert lib.spool_reports(spool) == []


def test_known_frames():
    """Every C++ frame has function, file, line and inlines, offline"""
    report = lib.run_under_shim([KNOWN]).report
    frames = lib.crashed_thread(lib.symbolize(report))["frames"]
    found = [(frame["function"].split("(")[0],
              pathlib.Path(frame["file"]).name, frame["inline"])
             for frame in frames[:6]]
    assert found == [
        ("known::credit", "known_lib.cc", True),
        ("known::book", "known_lib.cc", False),
        ("known::Ledger::post", "known_lib.cc", False),
        ("Clerk::serve", "known.cc", True),
        ("work_through", "known.cc", False),
        ("main", "known.cc", False)], found
    sources = {name: (lib.ROOT / "tests/crashers" / name).read_text()
               .splitlines() for name in ("known.cc", "known_lib.cc")}
    calls = ["account->", "credit(", "book(", "ledger.post", "serve(",
             "work_through("]
    for frame, call in zip(frames, calls):
        line = sources[pathlib.Path(frame["file"]).name][frame["line"] - 1]
        assert call in line, f"{frame['function']}: line {frame['line']}"


def test_command_line():
    """list and show say of a crash what the collector's JSON says"""
    spool = lib.temp_dir("spool.")
    with lib.Collector() as collector:
        outcome = lib.run_plain(
            [lib.EPITAPH, "run", "-c", collector.url, "-s", spool, "-t",
             "team=blue", "-r", "1.2", "--", KNOWN])
        assert outcome.signal == signal.SIGSEGV, outcome
        group, = wait_named(collector, 1)
        options = ("-c", collector.url)
        listed = json.loads(lib.epitaph_ok("list", "--json", *options))
        assert [g["id"] for g in listed["groups"]] == [group["id"]]
        shown = json.loads(lib.epitaph_ok("show", "--json", *options,
                                          group["id"]))
        assert shown["count"] == 1
        assert shown["report"]["process"]["tags"] == {"team": "blue"}
        assert shown["report"]["process"]["release"] == "1.2"
        report = json.loads(lib.epitaph_ok("show", "--json", *options,
                                           shown["reports"][0]))
        assert report["threads"] == shown["report"]["threads"]
        text = lib.epitaph_ok("show", *options, shown["reports"][0])
        for word in ("known::credit", "known_lib.cc:2", "SIGSEGV"):
            assert word in text, text
        text = lib.epitaph_ok("list", *options)
        assert "known::credit | known::book" in text, text
        page = collector.get("/")
        assert page.status == 200 and "known::" in page.text, page

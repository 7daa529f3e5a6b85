"""The command line but for symbolize and stack: run, list, show, dmp, flush,
doctor, help. Where a collector has to say something unusual, a fake one says
it."""

import json
import os
import pathlib
import shutil
import stat
import subprocess

import lib

VERBS = ["doctor", "dmp", "flush", "list", "run", "show", "stack", "symbolize"]
CRASH = ["sh", "-c", "kill -SEGV $$"]

GROUP = {"id": "g1", "title": "f | g", "reason": "null pointer read at 0x0",
         "signal": "SIGSEGV", "status": "open", "count": 3,
         "first_seen": "2026-11-20T12:00:00.000Z",
         "last_seen": "2026-11-20T13:00:00.000Z", "hosts": 2,
         "releases": ["1.4"]}
LIST = json.dumps({"groups": [GROUP], "next": None})


def one_line(outcome):
    """The one line of OUTCOME's stderr."""
    lines = outcome.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def make_report(spool="spool"):
    return lib.run_under_shim(CRASH, spool=spool).report


# help


def test_help():
    """help, with an example, for the program and for each verb"""
    text = lib.epitaph_ok("--help")
    for verb in VERBS:
        assert f"\n  {verb} " in text, verb
        own = lib.epitaph_ok(verb, "--help")
        assert own.startswith(f"usage: epitaph {verb} "), own
        assert f"Example:\n  epitaph {verb}" in own, own
        assert max(map(len, own.splitlines()[1:])) <= 80, own
    assert "Example:\n" in text
    assert lib.epitaph_ok("--version").startswith("epitaph ")


def test_usage():
    """a wrong command line has status 2, and says where help is"""
    for args in ([], ["no-such-verb"], ["list", "a", "b"], ["show"],
                 ["dmp", "x"], ["flush", "--id", "1"], ["run"],
                 ["run", "-t", "novalue", "true"], ["doctor", "x"],
                 ["list", "--limit", "0"], ["list", "--limit", "many"]):
        outcome = lib.epitaph(*args)
        assert outcome.exit == 2, (args, outcome)
        assert b"help" in outcome.stderr, (args, outcome)


# run


def test_run_environment():
    """run puts the shim in front of LD_PRELOAD and passes its options on"""
    script = ("import os, json; print(json.dumps({k: v for k, v in "
              "os.environ.items() if k.startswith(('EPITAPH', 'LD_'))}))")
    libm = subprocess.run(["gcc", "-print-file-name=libm.so.6"], text=True,
                          capture_output=True, check=True).stdout.strip()
    text = lib.epitaph_ok("run", "-c", "http://127.0.0.1:9", "-s", "spool",
                          "-t", "a=1", "-t", "b=x y", "-r", "1.4", "--",
                          "python3", "-c", script, env={"LD_PRELOAD": libm})
    found = json.loads(text)
    assert found["LD_PRELOAD"] == f"{lib.SHIM}:{libm}", found
    assert found["EPITAPH_URL"] == "http://127.0.0.1:9"
    assert found["EPITAPH_SPOOL"] == os.path.abspath("spool"), found
    assert found["EPITAPH_TAGS"] == "a=1,b=x y"
    assert found["EPITAPH_RELEASE"] == "1.4"


def test_run_status():
    """run has the program's own status, and 126 or 127 without a program"""
    assert lib.epitaph("run", "sh", "-c", "exit 7").exit == 7
    spool = pathlib.Path("spool")
    outcome = lib.run_plain([lib.EPITAPH, "run", "-s", spool, "-t", "k=v",
                             *CRASH])
    assert outcome.signal == 11
    report = lib.wait_for(lambda: lib.spool_reports(spool), what="a report")
    assert lib.symbolize(report[0])["process"]["tags"] == {"k": "v"}
    lib.settle()
    missing = lib.epitaph("run", "no-such-program")
    assert missing.exit == 127
    assert one_line(missing) == ("epitaph: run no-such-program: "
                                 "No such file or directory")
    pathlib.Path("text").write_text("no program")
    assert lib.epitaph("run", "./text").exit == 126


def test_run_warns():
    """run warns where LD_PRELOAD will be ignored"""
    pathlib.Path("p.c").write_text("int main(void) { return 3; }\n")
    subprocess.run(["gcc", "-static", "-o", "static", "p.c"], check=True)
    subprocess.run(["gcc", "-o", "dynamic", "p.c"], check=True)
    outcome = lib.epitaph("run", "./static")
    assert outcome.exit == 3 and "statically linked" in one_line(outcome)
    outcome = lib.epitaph("run", "./dynamic")
    assert outcome.exit == 3 and outcome.stderr == b"", outcome
    if os.geteuid() == 0:
        shutil.copy("dynamic", "setuid")
        os.chown("setuid", 65534, 65534)
        os.chmod("setuid", 0o4755 | stat.S_ISUID)
        outcome = lib.epitaph("run", "./setuid")
        assert outcome.exit == 3 and "setuid" in one_line(outcome)


# list, show, dmp


def test_list():
    """list prints groups as a table, or passes the collector's JSON on"""
    with lib.fake_collector({"/api/v1/groups": (200, LIST)}) as (url, asked):
        text = lib.epitaph_ok("list", "-c", url)
        assert "GROUP" in text and "f | g" in text and "SIGSEGV" in text
        assert json.loads(lib.epitaph_ok("list", "--json", "-c", url)) == \
            json.loads(LIST)
        lib.epitaph_ok("list", "-c", url, "--status", "open", "--limit", "7",
                       "a b&c")
        assert asked[-1][1] == ("/api/v1/groups?limit=7&q=a%20b%26c"
                                "&status=open")
        lib.epitaph_ok("list", env={"EPITAPH_URL": url + "/"})
        assert asked[-1][1] == "/api/v1/groups?limit=50"


def test_list_empty_and_odd():
    """list takes what a collector may say: nothing, other types, escapes"""
    odd = dict(GROUP, title="a\x1b[31m", id="\x1b]0;x\x07", count="many",
               hosts=None)
    with lib.fake_collector(
            lambda _, path, __: (200, json.dumps({"groups": [odd]}))) \
            as (url, _):
        text = lib.epitaph_ok("list", "-c", url)
        assert "\x1b" not in text and "\\x1b[31m" in text
    with lib.fake_collector({"/api/v1/groups": (200, '{"groups":[]}')}) \
            as (url, _):
        assert lib.epitaph_ok("list", "-c", url) == "no groups\n"
    for body in ("", "[]", "null", '{"groups":1}', "<html>"):
        with lib.fake_collector({"/api/v1/groups": (200, body)}) as (url, _):
            outcome = lib.epitaph("list", "-c", url)
            assert outcome.exit == 1, (body, outcome)
            assert one_line(outcome).startswith("epitaph: list: "), outcome


def test_token():
    """the token comes from --token-file, else EPITAPH_TOKEN"""
    pathlib.Path("token").write_text("from-file\n")
    with lib.fake_collector({"/api/v1/groups": (200, LIST)}) as (url, asked):
        lib.epitaph_ok("list", "-c", url)
        assert asked[-1][2].get("Authorization") is None
        lib.epitaph_ok("list", "-c", url, env={"EPITAPH_TOKEN": "from-env"})
        assert asked[-1][2]["Authorization"] == "Bearer from-env"
        lib.epitaph_ok("list", "-c", url, "--token-file", "token",
                       env={"EPITAPH_TOKEN": "from-env"})
        assert asked[-1][2]["Authorization"] == "Bearer from-file"
        assert lib.epitaph("list", "-c", url, "--token-file",
                           "missing").exit == 1


def test_unix_socket():
    """http+unix:// reaches a collector's socket"""
    path = pathlib.Path("socket").absolute()
    with lib.fake_collector({"/api/v1/groups": (200, LIST)}, unix=path) \
            as (url, _):
        assert "f | g" in lib.epitaph_ok("list", "-c", url)


def test_errors_of_a_collector():
    """what a collector refuses is told in its words, with status 1"""
    for status, body, word in (
            (401, '{"error":"no token","detail":"read"}', "--token-file"),
            (403, '{"error":"wrong role","detail":"ingest"}', "wrong role"),
            (500, "oops", "500"), (503, '{"error":"draining"}', "draining")):
        with lib.fake_collector(lambda *_: (status, body)) as (url, _):
            outcome = lib.epitaph("list", "-c", url)
            assert outcome.exit == 1 and word in one_line(outcome), outcome
    for url in (f"http://127.0.0.1:{lib.free_port()}",
                "http+unix:///no/such/socket", "ftp://x", "nonsense"):
        outcome = lib.epitaph("list", "-c", url)
        assert outcome.exit == 1 and url in one_line(outcome), outcome
    outcome = lib.epitaph("show", "-c", "http://127.0.0.1:1", "x")
    assert outcome.exit == 1


def test_show():
    """show prints a group with its best report, and a report"""
    report = make_report()
    document = lib.symbolize(report)
    group = dict(GROUP, report=document, reports=[document["id"]],
                 fingerprints=[], why="because")
    answers = {"/api/v1/groups/g1": (200, json.dumps(group)),
               f"/api/v1/reports/{document['id']}":
               (200, json.dumps(document))}
    with lib.fake_collector(answers) as (url, _):
        text = lib.epitaph_ok("show", "-c", url, "g1")
        assert "because" in text and "\n#0 " in text, text
        assert lib.epitaph_ok("symbolize", report) in text
        assert lib.epitaph_ok("show", "-c", url, document["id"]) == \
            lib.epitaph_ok("symbolize", report)
        assert json.loads(lib.epitaph_ok("show", "--json", "-c", url,
                                         "g1")) == group
        outcome = lib.epitaph("show", "-c", url, "../../x")
        assert outcome.exit == 1
        assert one_line(outcome).startswith("epitaph: show ../../x: no group")


def test_show_odd():
    """show survives documents that are not what they should be"""
    frame = {"index": "x", "pc": 5, "flags": {}, "function": ["f"],
             "file": 7, "line": "many", "trust": None}
    for odd in ({"threads": 1}, {"threads": [1, None, {"crashed": True,
                "frames": [frame, 3, []]}]}, {"signal": [], "threads": []},
                {"report": {"threads": [{"frames": "x"}]}}, {},
                {"modules": [{"build_id": 4, "symbols": "missing"}],
                 "threads": [], "process": {"args": [1, None]}}):
        with lib.fake_collector(lambda *_: (200, json.dumps(odd))) as (url, _):
            assert lib.epitaph("show", "-c", url, "--all-threads",
                               "x").exit == 0, odd


def test_dmp():
    """dmp writes the plain minidump of a file or of a report"""
    report = make_report()
    plain = lib.unpack(report)
    lib.epitaph_ok("dmp", report, "-o", "out.dmp")
    assert pathlib.Path("out.dmp").read_bytes() == plain
    assert os.stat("out.dmp").st_mode & 0o777 == 0o600
    lib.epitaph_ok("dmp", "out.dmp", "-o", "again.dmp")
    assert pathlib.Path("again.dmp").read_bytes() == plain
    identity = report.name.split(".")[0]
    with lib.fake_collector({f"/api/v1/reports/{identity}/dmp":
                            (200, plain)}) as (url, _):
        lib.epitaph_ok("dmp", "-c", url, identity, "-o", "fetched.dmp")
        assert pathlib.Path("fetched.dmp").read_bytes() == plain
        assert lib.epitaph("dmp", "-c", url, "other", "-o", "x").exit == 1
    pathlib.Path("text").write_text("no dump")
    assert lib.epitaph("dmp", "text", "-o", "x").exit == 1
    assert not pathlib.Path("x").exists()


# flush


def wants_all(method, path, body):
    """A collector that wants every body."""
    if path == "/api/v1/hits":
        return 200, json.dumps({"want": [json.loads(body)["id"]]})
    return 201, '{"id":"x","group":"g"}'


def test_flush():
    """flush ships what lies in the spool, with its bodies where wanted"""
    spool = pathlib.Path("spool")
    reports = [make_report(spool) for _ in range(3)]
    bodies = [r.read_bytes() for r in reports]
    with lib.fake_collector(wants_all) as (url, asked):
        text = lib.epitaph_ok("flush", "-c", url, "-s", spool,
                              env={"EPITAPH_TOKEN": "t"})
    assert text.startswith("shipped 3 reports of spool (3 with its body)")
    assert [a[3] for a in asked if a[1] == "/api/v1/reports"] == bodies
    for method, path, headers, _ in asked:
        assert method == "POST" and headers["Authorization"] == "Bearer t"
        if path == "/api/v1/reports":
            assert headers["Content-Encoding"] == "gzip"
    assert lib.spool_reports(spool) == []
    assert "nothing to ship" in lib.epitaph_ok("flush", "-s", spool)


def test_flush_hits_only():
    """flush sends no body that the collector does not want"""
    make_report("spool")
    with lib.fake_collector({"/api/v1/hits": (200, '{"want":[]}')}) \
            as (url, asked):
        text = lib.epitaph_ok("flush", "-c", url, "-s", "spool")
    assert "(0 with its body)" in text
    assert [a[1] for a in asked] == ["/api/v1/hits"]


def test_flush_later():
    """what cannot be shipped stays, with status 1 and what to do"""
    report = make_report("spool")
    url = f"http://127.0.0.1:{lib.free_port()}"
    outcome = lib.epitaph("flush", "-c", url, "-s", "spool")
    assert outcome.exit == 1
    assert "1 stay: " in one_line(outcome)
    assert "epitaph flush again" in one_line(outcome)
    with lib.fake_collector(lambda *_: (503, '{"error":"draining"}')) \
            as (url, _):
        outcome = lib.epitaph("flush", "-c", url, "-s", "spool")
    assert outcome.exit == 1 and "draining" in one_line(outcome)
    assert lib.spool_reports("spool") == [report]


def test_flush_refused():
    """what the collector will never take goes aside, with status 1"""
    report = make_report("spool")
    with lib.fake_collector(lambda *_: (410, '{"error":"too old"}')) \
            as (url, _):
        outcome = lib.epitaph("flush", "-c", url, "-s", "spool")
    assert outcome.exit == 1 and "too old" in one_line(outcome), outcome
    assert lib.spool_reports("spool") == []
    assert (pathlib.Path("spool/refused") / report.name).exists()


def test_flush_one():
    """flush --id ships that report and leaves the others"""
    first, second = make_report("spool"), make_report("spool")
    identity = second.name.split(".")[0]
    with lib.fake_collector(wants_all) as (url, _):
        lib.epitaph_ok("flush", "-c", url, "-s", "spool", "--id", identity)
        outcome = lib.epitaph("flush", "-c", url, "-s", "spool", "--id",
                              identity)
        assert outcome.exit == 1, "shipped twice"
    assert lib.spool_reports("spool") == [first]


# doctor


def test_doctor():
    """doctor finds that tier 1 works here, and says so in JSON"""
    outcome = lib.epitaph("doctor", "--json", "-s", "spool")
    found = json.loads(outcome.stdout)
    checks = {c["name"]: c for c in found["checks"]}
    assert found["tier"] == 1 and found["complete"], checks
    assert outcome.exit == 0
    for name in ("kernel", "ptrace", "memory", "yama", "seccomp", "pid ns",
                 "limits", "core", "spool", "helper", "shim", "status",
                 "probe"):
        assert checks[name]["finding"] == "ok", checks[name]
    assert checks["collector"]["finding"] == "warn"
    assert checks["collector"]["advice"]
    assert sorted(os.listdir(".")) == ["spool"], "it left something behind"
    text = lib.epitaph("doctor", "-s", "spool").stdout.decode()
    assert "tier 1 work here" in text


def test_doctor_collector():
    """doctor looks at the collector's readiness and at the token"""
    with lib.fake_collector({"/ready": (200, "ready"),
                            "/api/v1/groups": (401, '{"error":"no"}')}) \
            as (url, _):
        outcome = lib.epitaph("doctor", "--json", "-s", "spool", "-c", url)
    checks = {c["name"]: c for c in json.loads(outcome.stdout)["checks"]}
    assert checks["collector"]["finding"] == "ok"
    assert checks["token"]["finding"] == "warn"


def test_doctor_without_helper():
    """doctor warns where the helper is not there, and says what it is for"""
    os.mkdir("bin")
    shutil.copy(lib.EPITAPH, "bin/epitaph")
    shutil.copy(lib.SHIM, "bin/libepitaph.so")
    outcome = lib.run_plain(["bin/epitaph", "doctor", "--json", "-s",
                             "spool"])
    found = json.loads(outcome.stdout)
    checks = {c["name"]: c for c in found["checks"]}
    assert outcome.exit == 0 and found["tier"] == 1, found
    assert checks["helper"]["finding"] == "warn" and checks["helper"]["advice"]
    assert checks["status"]["finding"] == "ok", "the death itself is the same"


# With the real collector


def test_with_the_collector():
    """list, show and dmp speak with epitaphd"""
    report = make_report("spool")
    identity = report.name.split(".")[0]
    plain = lib.unpack(report)
    with lib.Collector() as collector:
        env = {"EPITAPH_URL": collector.url}
        lib.epitaph_ok("flush", "-s", "spool", env=env)
        groups = lib.wait_for(
            lambda: json.loads(lib.epitaph_ok("list", "--json",
                                              env=env))["groups"],
            what="a group")
        assert len(groups) == 1 and groups[0]["count"] == 1, groups
        assert groups[0]["id"] in lib.epitaph_ok("list", env=env)
        assert "SIGSEGV" in lib.epitaph_ok("show", groups[0]["id"], env=env)
        shown = lib.wait_for(
            lambda: json.loads(lib.epitaph_ok("show", "--json", identity,
                                              env=env)).get("threads"),
            what="the symbolized report")
        assert shown[0]["frames"]
        lib.epitaph_ok("dmp", identity, "-o", "out.dmp", env=env)
        assert pathlib.Path("out.dmp").read_bytes() == plain

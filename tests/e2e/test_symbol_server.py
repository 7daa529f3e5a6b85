"""The collector as a symbol server: files that are uploaded, looked into, kept
and served, and the reports that waited for them."""

import gzip
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import time

import lib
import test_collector
import test_symbolize

SYMBOLS = "/api/v1/symbols"


def put(collector, body, headers=None):
    body = body if isinstance(body, bytes) else pathlib.Path(body).read_bytes()
    return collector.request("PUT", SYMBOLS, body, headers)


def parted(name, *options):
    """A program without symbols at NAME, its debug file, and its build-id."""
    program = test_symbolize.compile_names(name, *options)
    debug = program.with_name(f"{program.name}.debug")
    test_symbolize.objcopy("--only-keep-debug", program, debug)
    test_symbolize.objcopy("--strip-all", program)
    return program, debug, test_symbolize.build_id(program)


def stored(collector, identity, ending=".debug"):
    return collector.data / "symbols" / identity[:2] / (identity[2:] + ending)


def leftovers(collector):
    """What is neither a file of symbols nor an index, nor being received."""
    return [p for top in ("symbols", "incoming")
            for p in (collector.data / top).rglob("*")
            if p.is_file() and not p.name.startswith("web-") and
            (top == "incoming" or p.suffix not in ("", ".debug", ".csym",
                                                   ".sym"))]


def nothing_left(collector):
    """Of a request that is answered no file stays; it goes a moment later."""
    lib.wait_for(lambda: not leftovers(collector), 5, "what was received")


# Uploads


def test_upload():
    """what is uploaded is kept as it is, once, and answered with its build"""
    program, debug, identity = parted("program", "-O2")
    with lib.Collector() as collector:
        for path, ending in ((debug, ".debug"), (program, "")):
            first = put(collector, path)
            assert first.status == 201, first
            assert first.json() == {"build_id": identity}
            again = put(collector, path)
            assert again.status == 200, again
            assert again.json() == {"build_id": identity}
            assert stored(collector, identity, ending).read_bytes() == \
                path.read_bytes()
        nothing_left(collector)
        lib.wait_for(lambda: collector.metrics()["epitaph_symbols_total"] == 4,
                     what="all to be counted")


def test_packed():
    """a gzip'ed upload is kept unpacked; gzip within gzip is refused"""
    _, debug, identity = parted("program", "-O2")
    packed = gzip.compress(debug.read_bytes())
    encoding = {"Content-Encoding": "gzip"}
    with lib.Collector() as collector:
        for bad, status, word in (
                (packed[:-9], 400, "truncated"),
                (packed[:-8] + b"\0\0\0\0" + packed[-4:], 400, "corrupt"),
                (gzip.compress(packed), 415, "gzip within gzip")):
            test_collector.expect_error(put(collector, bad, encoding), status,
                                        word)
        test_collector.expect_error(
            put(collector, packed, {"Content-Encoding": "br"}), 415, "gzip")
        assert not stored(collector, identity).exists()
        assert put(collector, packed, encoding).status == 201
        assert stored(collector, identity).read_bytes() == debug.read_bytes()
        nothing_left(collector)


def test_refused():
    """what is no file of symbols, or not all of one, is refused, and why"""
    program, debug, identity = parted("program", "-O2")
    whole = debug.read_bytes()
    bare = test_symbolize.compile_names("bare", "-Wl,--build-id=none")
    cases = [(whole[:n], "cut short")
             for n in (60, 1000, len(whole) // 2, len(whole) - 1)]
    cases += [(program.read_bytes()[:-1], "cut short"), (b"", ""),
              (b"hello world" * 1000, "not an ELF file"),
              (bare.read_bytes(), "build-id"),
              (b"MODULE Linux x86_64 92F97F3D3C8E8D57B7A10644A2BB8DB50 x\n"
               b"FILE 0 a.c", "no end"),
              (b"MODULE Linux x86_64 92F97F3D3C8E8D57B7A10644A2BB8DB50 ../x\n",
               "name")]
    with lib.Collector() as collector:
        for body, word in cases:
            test_collector.expect_error(put(collector, body), 400, word)
        assert not stored(collector, identity).exists()
        nothing_left(collector)
        assert collector.request("POST", SYMBOLS, b"").status == 405
        assert collector.get(SYMBOLS).status == 405


def test_too_large():
    """above the limit an upload is 413, which names it, sent or unpacked"""
    _, debug, _ = parted("program", "-O2")
    size = debug.stat().st_size
    zeros = gzip.compress(b"\0" * (size + 100))
    with lib.Collector("--max-symbols", str(size)) as collector:
        test_collector.expect_error(put(collector, b"x" * (size + 1)), 413,
                                    str(size), "symbols")
        test_collector.expect_error(
            put(collector, zeros, {"Content-Encoding": "gzip"}), 413,
            str(size), "unpacked")
        assert put(collector, debug).status == 201
        nothing_left(collector)


def test_disk_full():
    """where the disk takes no more an upload is 503, and nothing is kept"""
    _, debug, identity = parted("program", "-O2")
    large = debug.read_bytes() + b"\0" * (1 << 20)
    with lib.Collector() as collector:
        for pid in test_collector.role_pids(collector)["ingest"]:
            subprocess.run(["prlimit", f"--fsize={1 << 19}:", "--pid",
                            str(pid)], check=True)
        test_collector.expect_error(put(collector, large), 503, "keep")
        assert not stored(collector, identity).exists()
        nothing_left(collector)


def test_better_stays():
    """a file with fewer symbols takes no other's place; with more, it does"""
    program = test_symbolize.compile_names("program", "-O2")
    identity = test_symbolize.build_id(program)
    full = program.read_bytes()
    test_symbolize.objcopy("--strip-all", program)
    poor = program.read_bytes()
    with lib.Collector() as collector:
        assert put(collector, poor).status == 201
        assert put(collector, full).status == 201
        assert stored(collector, identity, "").read_bytes() == full
        assert put(collector, poor).status == 200
        assert stored(collector, identity, "").read_bytes() == full
        # Debug information that is in the binary is served as such.
        debug = collector.get(f"/buildid/{identity}/debuginfo")
        assert debug.status == 200 and debug.body == full
        # A damaged one is nobody's.
        stored(collector, identity, "").write_bytes(full[:5000])
        assert put(collector, poor).status == 201


def test_streamed():
    """an upload of 300 MB is not held in memory"""
    program, _, identity = parted("program", "-O2")
    fill = pathlib.Path("fill")
    with open(fill, "wb") as file:
        file.write(os.urandom(1 << 20))
        file.truncate(300 << 20)
    test_symbolize.objcopy("--add-section", f".fill={fill}", program)
    with lib.Collector() as collector:
        pids = test_collector.role_pids(collector)
        pids = pids["ingest"] + pids["check"]
        done = lib.run_plain(["curl", "-sS", "-w", "%{http_code}", "-T",
                              program, collector.url + SYMBOLS])
        assert done.stdout.endswith(b"201"), done
        assert max(map(lib.peak_rss_kib, pids)) < 64 << 10
        kept = stored(collector, identity, "")
        assert kept.stat().st_size == program.stat().st_size
        nothing_left(collector)


def test_gives_up():
    """of an upload that breaks off nothing is kept"""
    _, debug, identity = parted("program", "-O2")
    whole = debug.read_bytes()
    with lib.Collector() as collector:
        with lib.raw_connection(collector) as sock:
            sock.sendall(b"PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d"
                         b"\r\n\r\n" % (SYMBOLS.encode(), len(whole)))
            sock.sendall(whole[:-100])
            lib.wait_for(lambda: list((collector.data / "incoming").glob(
                "[0-9]*")), what="the file to be received")
        nothing_left(collector)
        assert not stored(collector, identity).exists()


def test_breakpad():
    """a symbol file of Breakpad's is kept where the symbolizer finds it"""
    text = (b"MODULE Linux x86_64 92F97F3D3C8E8D57B7A10644A2BB8DB50 victims\n"
            b"FUNC 1000 10 0 f\n1000 10 7 0\n")
    guid = "3d7ff9928e3c578db7a10644a2bb8db5"
    with lib.Collector() as collector:
        answer = put(collector, text)
        assert answer.status == 201 and answer.json()["build_id"] == guid, \
            answer
        assert put(collector, text).status == 200
        kept = collector.data / "symbols" / "victims" / (
            "92F97F3D3C8E8D57B7A10644A2BB8DB50/victims.sym")
        assert kept.read_bytes() == text


def form(**fields):
    """A form as Breakpad's sym_upload (version 1) sends it, and its headers."""
    edge = "------------------------6a53d555e0adde03"
    body = b""
    for name, value in fields.items():
        text = value if isinstance(value, bytes) else value.encode()
        file = '; filename="app.sym"\r\nContent-Type: ' \
               "application/octet-stream" if name == "symbol_file" else ""
        body += (f"--{edge}\r\nContent-Disposition: form-data; "
                 f'name="{name}"{file}\r\n\r\n').encode() + text + b"\r\n"
    return body + f"--{edge}--\r\n".encode(), {
        "Content-Type": f"multipart/form-data; boundary={edge}"}


def test_sym_upload():
    """Breakpad's sym_upload is understood, its token in the URL"""
    identity = "3d7ff9928e3c578db7a10644a2bb8db5e78a7a31"
    text = (b"MODULE Linux x86_64 92F97F3D3C8E8D57B7A10644A2BB8DB50 victims\n"
            b"INFO CODE_ID " + identity.upper().encode() + b"\nFILE 0 a.c\n"
            + b"".join(b"FUNC %x 10 0 f%d\n" % (0x1000 + 16 * i, i)
                       for i in range(20000)))
    rest = {"code_file": "victims", "cpu": "x86_64", "debug_file": "victims",
            "debug_identifier": "92F97F3D3C8E8D57B7A10644A2BB8DB50",
            "os": "Linux"}
    data = lib.temp_dir("data.")
    words = {role: test_collector.token(
        data, "add", "--role", role, role).stdout.decode().strip()
        for role in ("symbols", "read")}
    with lib.Collector("--max-symbols", "600000", data=data) as collector:
        def send(body, headers, word="symbols"):
            return collector.request(
                "POST", f"/symupload?token={words.get(word, word)}", body,
                headers)

        body, headers = form(**rest, symbol_file=text)
        assert send(body, headers, "none").status == 401
        assert send(body, headers, "read").status == 403
        answer = send(body, headers)
        assert answer.status == 201, answer
        assert answer.json() == {"build_id": identity}
        assert send(body, headers).status == 200
        kept = data / "symbols/victims" / rest["debug_identifier"]
        assert (kept / "victims.sym").read_bytes() == text
        test_collector.expect_error(send(*form(**rest)), 400)
        test_collector.expect_error(send(text, {}), 415, "form-data")
        test_collector.expect_error(send(b"no form at all", headers), 400)
        test_collector.expect_error(
            send(*form(symbol_file=text + b"X" * 600000)), 413, "600000")
        nothing_left(collector)


def test_add_there():
    """symbols add -c sends files, and of a folder those that are symbols"""
    program, debug, identity = parted("program", "-O2")
    os.mkdir("folder")
    shutil.move(debug, "folder/debug")
    shutil.copy(program, "folder/program")
    pathlib.Path("folder/text").write_text("none")
    with lib.Collector() as collector:
        said = lib.epitaph_ok("symbols", "add", "-c", collector.url, "folder")
        assert said == "2 sent, 0 there already\n", said
        said = lib.epitaph_ok("symbols", "add", "-c", collector.url,
                              "folder/debug")
        assert said == "0 sent, 1 there already\n", said
        assert stored(collector, identity).exists()
        assert stored(collector, identity, "").exists()
        done = lib.epitaph("symbols", "add", "-c", collector.url,
                           "folder/text")
        assert done.exit == 1 and b"not an ELF file" in done.stderr, done
    done = lib.epitaph("symbols", "add", "-c", collector.url, "folder/debug")
    assert done.exit == 1 and b"folder/debug" in done.stderr, done
    for words in (("list",), ("add",), ("missing", "folder")):
        done = lib.epitaph("symbols", words[0], "-c", "http://x", *words[1:])
        assert done.exit == 2, done


def test_reader_dies():
    """a file that ends its reader, or holds it up, is refused"""
    _, debug, _ = parted("program", "-O2")
    killed = test_collector.fake_symbolizer("kill -SEGV $$\n")
    with lib.Collector("--epitaph", killed) as collector:
        test_collector.expect_error(put(collector, debug), 400, "signal 11")
    lost = test_collector.fake_symbolizer("echo nonsense\n")
    with lib.Collector("--epitaph", lost) as collector:
        test_collector.expect_error(put(collector, debug), 503)
    with lib.Collector("--epitaph", "/nowhere/epitaph") as collector:
        test_collector.expect_error(put(collector, debug), 503, "start")


def test_roles():
    """symbols go in by a token for symbols, and come out by one for reading"""
    program, _, identity = parted("program", "-O2")
    report = test_symbolize.crash(program)
    data = lib.temp_dir("data.")
    words = {role: test_collector.token(
        data, "add", "--role", role, f"a-{role}").stdout.decode().strip()
        for role in ("ingest", "read", "symbols", "admin")}
    paths = [f"/buildid/{identity}/executable", "/api/v1/symbols/missing"]
    with lib.Collector(data=data) as collector:
        collector.token = words["ingest"]
        identifier = collector.post_report(report).json()["id"]
        paths.append(f"/api/v1/reports/{identifier}/core")
        for role in (None, "ingest", "read", "symbols", "admin"):
            collector.token = words.get(role)
            wanted = {None: 401, "symbols": 201, "admin": 200}.get(role, 403)
            assert put(collector, program).status == wanted, role
        for role in (None, "ingest", "symbols", "read", "admin"):
            collector.token = words.get(role)
            wanted = {None: 401, "read": 200, "admin": 200}.get(role, 403)
            for path in paths:
                assert collector.get(path).status == wanted, (role, path)
        # As gdb and elfutils send one: user and password of the URL.
        collector.token = None
        done = lib.run_plain(
            ["curl", "-sS", "-w", "%{http_code}", "-o", "/dev/null",
             collector.url.replace("//", f"//x:{words['read']}@") + paths[0]])
        assert done.stdout == b"200", done
        secret = pathlib.Path("secret")
        secret.write_text(words["symbols"] + "\n")
        assert lib.epitaph_ok("symbols", "add", "-c", collector.url,
                              "--token-file", secret, program) == \
            "0 sent, 1 there already\n"
        done = lib.epitaph("symbols", "add", "-c", collector.url, program)
        assert done.exit == 1 and b"--token-file" in done.stderr, done
        collector.token = words["read"]


# Served


def test_serves():
    """a file is served whole or in part, under its build-id alone"""
    program, debug, identity = parted("program", "-O2")
    whole = debug.read_bytes()
    path = f"/buildid/{identity}/debuginfo"
    with lib.Collector() as collector:
        test_collector.expect_error(collector.get(path), 404)
        put(collector, debug)
        answer = collector.get(path)
        assert answer.status == 200 and answer.body == whole
        assert answer.headers["X-DEBUGINFOD-SIZE"] == str(len(whole))
        assert answer.headers["X-DEBUGINFOD-FILE"].endswith(".debug")
        head = collector.request("HEAD", path)
        assert head.status == 200 and head.body == b""
        assert head.headers["Content-Length"] == str(len(whole))
        for words, part in (("5-99", whole[5:100]), ("-7", whole[-7:]),
                            (f"{len(whole) - 3}-", whole[-3:]),
                            (f"0-{2 * len(whole)}", whole)):
            answer = collector.get(path, {"Range": f"bytes={words}"})
            assert answer.status == 206 and answer.body == part, words
        assert collector.get(path, {"Range": f"bytes={len(whole)}-"}) \
            .status == 416
        for words in ("5-4", "x-", "1-2,4-5", "-"):
            answer = collector.get(path, {"Range": f"bytes={words}"})
            assert answer.status == 200 and answer.body == whole, words
        for bad in (f"/buildid/{identity}/executable",
                    f"/buildid/{identity}/source/x.c",
                    f"/buildid/{identity}", "/buildid/", "/buildid//debuginfo",
                    "/buildid/../../tokens/debuginfo",
                    "/buildid/zz/debuginfo", "/buildid/ab/debuginfo",
                    f"/buildid/{'ab' * 65}/debuginfo"):
            test_collector.expect_error(collector.get(bad), 404)


def test_debuginfod_find():
    """debuginfod-find and gdb have debug information of a collector"""
    lib.need("debuginfod-find", "gdb")
    program, debug, identity = parted("program", "-O2")
    with lib.Collector() as collector:
        put(collector, program)
        put(collector, debug)
        env = {"DEBUGINFOD_URLS": collector.url,
               "DEBUGINFOD_CACHE_PATH": os.path.abspath("cache")}
        for what, path in (("debuginfo", debug), ("executable", program)):
            found = lib.run_plain(["debuginfod-find", what, identity], env)
            assert found.exit == 0, found
            assert pathlib.Path(found.stdout.decode().strip()).read_bytes() \
                == path.read_bytes()
        found = lib.run_plain(["debuginfod-find", "debuginfo", "00" * 20],
                              env)
        assert found.exit == 1, found
        shutil.rmtree("cache")
        said = lib.run_plain(
            ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled on", "-ex",
             f"file {program}", "-ex", "info line main"], env).stdout
        assert b"names.cc" in said, said


def test_core():
    """a report's core comes over HTTP as epitaph core makes it"""
    program, _, _ = parted("program", "-O2")
    report = test_symbolize.crash(program)
    lib.epitaph_ok("core", report, "-o", "mine")
    with lib.Collector() as collector:
        identity = collector.post_report(report).json()["id"]
        answer = collector.get(f"/api/v1/reports/{identity}/core")
        assert answer.status == 200, answer
        assert answer.body == pathlib.Path("mine").read_bytes()
        nothing_left(collector)
        test_collector.expect_error(collector.get(
            f"/api/v1/reports/{test_collector.new_id()}/core"), 404)
    lost = test_collector.fake_symbolizer(
        "echo half > $3\necho it went wrong >&2\nexit 1\n")
    with lib.Collector("--epitaph", lost) as collector:
        identity = collector.post_report(report).json()["id"]
        test_collector.expect_error(
            collector.get(f"/api/v1/reports/{identity}/core"), 503,
            "it went wrong")
        nothing_left(collector)


# Symbolized again


def title_of(collector, group):
    return collector.group(group)["title"]


def is_named(collector, group):
    """Whether all of the group's frames in the program have names now."""
    found = collector.group(group)
    return "!+0x" not in found["title"] and found


def test_again():
    """a group is named once its symbols arrive, and counts as it did"""
    program, debug, identity = parted("program", "-O2")
    reports = [test_symbolize.crash(program) for _ in range(3)]
    with lib.Collector() as collector:
        ids = [collector.post_report(r).json()["id"] for r in reports]
        for each in ids:
            test_collector.wait_state(collector, each, "symbolized")
        group, = collector.groups()
        assert "program!+0x" in group["title"], group
        assert group["count"] == 3
        assert lib.epitaph_ok("symbols", "add", "-c", collector.url, debug) \
            == "1 sent, 0 there already\n"
        named = lib.wait_for(lambda: is_named(collector, group["id"]), 30,
                             "the group to be named")
        assert named["id"] == group["id"] and named["count"] == 3, named
        for each in ids:
            def has_lines():
                test_collector.wait_state(collector, each, "symbolized")
                frames = lib.crashed_thread(
                    lib.symbolize_at(collector, each))["frames"]
                return frames[0]["line"] and frames
            frames = lib.wait_for(has_lines, 30, "its frames to be named")
            assert frames[0]["file"].endswith("names.cc"), frames[0]
        assert len(collector.groups()) == 1
        missing = collector.get("/api/v1/symbols/missing").json()["missing"]
        assert identity not in [m["build_id"] for m in missing], missing


def test_again_by_sym():
    """a symbol file that knows half of a build-id names what waited, too"""
    program = test_symbolize.compile_names("program", "-O2")
    lib.epitaph_ok("symbols", "dump", program, "-o", "program.sym")
    test_symbolize.objcopy("--strip-all", program)
    report = test_symbolize.crash(program)
    text = b"".join(line for line in pathlib.Path("program.sym").read_bytes()
                    .splitlines(keepends=True)
                    if not line.startswith(b"INFO "))
    identity = test_symbolize.build_id(program)
    with lib.Collector() as collector:
        made = collector.post_report(report).json()
        test_collector.wait_state(collector, made["id"], "symbolized")
        assert "program!+0x" in title_of(collector, made["group"])
        answer = put(collector, text)
        assert answer.status == 201, answer
        assert answer.json()["build_id"] == identity[:32], answer
        lib.wait_for(lambda: is_named(collector, made["group"]), 30,
                     "the group to be named")


def test_becomes_one():
    """two groups that are one by their symbols become one; both ids answer"""
    first, first_debug, _ = parted("program", "-O2")
    report = test_symbolize.crash(first)
    with lib.Collector() as collector:
        one = collector.post_report(report).json()
        test_collector.wait_state(collector, one["id"], "symbolized")
        os.mkdir("rebuilt")
        second, second_debug, _ = parted("rebuilt/program", "-O0")
        two = collector.post_report(test_symbolize.crash(second)).json()
        test_collector.wait_state(collector, two["id"], "symbolized")
        assert len(collector.groups()) == 2, collector.groups()
        assert put(collector, first_debug).status == 201
        lib.wait_for(lambda: is_named(collector, one["group"]), 30,
                     "the first to be named")
        assert put(collector, second_debug).status == 201
        lib.wait_for(lambda: len(collector.groups()) == 1, 30,
                     "the second to be the first")
        for each in (one, two):
            found = collector.group(each["group"])
            assert found["id"] == one["group"] and found["count"] == 2, found


def test_missing():
    """the modules that would name most frames of all crashes come first"""
    program, debug, identity = parted("program", "-O2")
    other, _, other_identity = parted("other", "-O1")
    report = test_symbolize.crash(program)
    other_report = test_symbolize.crash(other)
    with lib.Collector() as collector:
        for each in (report, other_report):
            made = collector.post_report(each).json()
            test_collector.wait_state(collector, made["id"], "symbolized")
        exact = lib.symbolize(report)["fingerprint"]["exact"]
        test_collector.post_hit(collector, test_collector.hit(
            fingerprint=exact, count=99))
        found = json.loads(lib.epitaph_ok(
            "symbols", "missing", "-c", collector.url, "--json"))["missing"]
        ours = {m["build_id"]: m for m in found}
        frames = sum(f["build_id"] == identity and not f["inline"]
                     for t in lib.symbolize(report)["threads"]
                     for f in t["frames"])
        assert ours[identity] == {
            "build_id": identity, "path": str(program), "groups": 1,
            "frames": 100 * frames, "crashes": 100}, (found, frames)
        assert ours[other_identity]["crashes"] == 1, found
        order = [m["frames"] for m in found]
        assert order == sorted(order, reverse=True), found
        text = lib.epitaph_ok("symbols", "missing", "-c", collector.url)
        assert identity in text and str(program) in text, text
        put(collector, debug)
        lib.wait_for(lambda: identity not in lib.epitaph_ok(
            "symbols", "missing", "-c", collector.url), 30, "it to go")


def test_late():
    """symbols that come while a report is symbolized are not lost on it"""
    program, debug, _ = parted("program", "-O2")
    report = test_symbolize.crash(program)
    slow = test_collector.fake_symbolizer(
        f'[ "$1" = symbolize ] || exec {lib.EPITAPH} "$@"\n'
        f'{lib.EPITAPH} "$@" >said.$$\n'
        'touch found; while ! [ -e go ]; do sleep 0.05; done\n'
        'cat said.$$; rm said.$$\n')
    with lib.Collector("--epitaph", slow) as collector:
        made = collector.post_report(report).json()
        lib.wait_for((collector.data / "found").exists, what="the job")
        assert put(collector, debug).status == 201
        time.sleep(1)  # all who are known to wait have been told
        (collector.data / "go").touch()
        lib.wait_for(lambda: lib.crashed_thread(lib.symbolize_at(
            collector, made["id"]))["frames"][0]["function"], 30, "its names")


@lib.deadline(180)
def test_many():
    """symbols for thousands of reports hold no hit up, and outlive a restart"""
    program, debug, identity = parted("program", "-O2")
    report = test_symbolize.crash(program)
    data = lib.temp_dir("data.")
    with lib.Collector(data=data) as collector:
        made = collector.post_report(report).json()
        test_collector.wait_state(collector, made["id"], "symbolized")
    # As after months: 3000 reports, each fingerprint has three.
    base = sqlite3.connect(data / "epitaph.db")
    columns = [row[1] for row in base.execute("PRAGMA table_info(report)")]
    row = dict(zip(columns, base.execute("SELECT * FROM report WHERE state = 2")
                   .fetchone()))
    lack = base.execute("SELECT generation, frames FROM lack WHERE build_id ="
                        " ?", (bytes.fromhex(identity),)).fetchone()
    for i in range(3000):
        edge = base.execute(
            "SELECT id FROM edge WHERE kind = 1 AND fp = ?",
            (f"{i // 3:016d}".encode(),)).fetchone()
        edge = edge[0] if edge else base.execute(
            "INSERT INTO edge(kind, fp, grp, why, who, at_ms, first_ms,"
            " last_ms, count) SELECT 1, ?, grp, why, who, at_ms, first_ms,"
            " last_ms, 1 FROM edge WHERE id = ?",
            (f"{i // 3:016d}".encode(), row["edge"])).lastrowid
        identifier = test_collector.new_id()
        new = dict(row, number=1000 + i, edge=edge,
                   id=bytes.fromhex(identifier.replace("-", "")),
                   file=row["file"])
        base.execute(f"INSERT INTO report({','.join(columns)}) VALUES("
                     f"{','.join('?' * len(columns))})",
                     [new[c] for c in columns])
        base.execute("INSERT INTO lack(build_id, generation, later, report,"
                     " edge, frames) VALUES(?, ?, ?, ?, ?, ?)",
                     (bytes.fromhex(identity), lack[0], int(i % 3 > 0),
                      1000 + i, edge, lack[1]))
    base.commit()

    def left():
        return base.execute("SELECT count(*) FROM lack WHERE build_id = ?"
                            " AND generation < 1",
                            (bytes.fromhex(identity),)).fetchone()[0]

    collector = lib.Collector(data=data).start()
    try:
        assert put(collector, debug).status == 201
        worst = 0
        while left() > 2000:
            begun = time.monotonic()
            test_collector.post_hit(collector, test_collector.hit())
            worst = max(worst, time.monotonic() - begun)
        assert left() > 0, "it was not interrupted half way"
        assert worst < 1, f"a hit took {worst} s"
    finally:
        collector.process.end()
    with lib.Collector(data=data) as collector:
        lib.wait_for(lambda: left() == 0, 60, "all to wait")
        rows = base.execute(
            "SELECT number, not_before_ms FROM report WHERE number"
            " BETWEEN 1000 AND 3999"
        ).fetchall()
        firsts = [t for n, t in rows if n % 3 == 1000 % 3]
        others = [t for n, t in rows if n % 3 != 1000 % 3]
        assert 0 < max(firsts) <= min(others), (max(firsts), min(others))


def test_old_format():
    """a database of the format before is taken over"""
    with lib.Collector() as collector:
        data = collector.data
        test_collector.post_hit(collector, test_collector.hit())
    base = sqlite3.connect(data / "epitaph.db")
    base.executescript("DROP TABLE lack; DROP TABLE wanted; ALTER TABLE report"
                       " DROP COLUMN claimed; PRAGMA user_version = 1;")
    base.close()
    program, debug, _ = parted("program", "-O2")
    report = test_symbolize.crash(program)
    with lib.Collector(data=data) as collector:
        assert collector.count() == 1
        group = collector.post_report(report).json()["group"]
        lib.wait_for(lambda: "!+0x" in title_of(collector, group), 30,
                     "the report to be symbolized")
        put(collector, debug)
        lib.wait_for(lambda: is_named(collector, group), 30, "its names")

"""Symbols from debuginfod servers: who is asked, what is believed, and what it
costs when a server is not well."""

import contextlib
import gzip
import http.server
import json
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import threading
import time

import lib
import test_collector
import test_symbol_server
import test_symbolize

ENOUGH = 30  # seconds, of a server that has no end


class Server:
    """A debuginfod server for FILES, {build-id: path}, and all the ways in
    which one may be unwell: the first word of the path says which."""

    def __init__(self, files):
        self.files = files
        self.asked = []
        self.over = threading.Event()

    def url(self, way="good"):
        return f"http://127.0.0.1:{self.port}/{way}"

    def count(self, way):
        return sum(each.startswith(f"/{way}/") for each in self.asked)

    def __enter__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                _, way, _, identity, kind = self.path.split("/")
                assert kind == "debuginfo", self.path
                path = outer.files.get(identity)
                body = pathlib.Path(path).read_bytes() if path else None
                with contextlib.suppress(OSError):
                    getattr(outer, way)(self, body)
                self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever).start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def send(request, body, status=200, **headers):
        request.send_response(status)
        headers.setdefault("Content_Length", len(body))
        for name, value in headers.items():
            if value is not None:
                request.send_header(name.replace("_", "-"), str(value))
        request.end_headers()
        request.wfile.write(body)

    def for_ever(self, write, pause):
        end = time.monotonic() + ENOUGH
        while time.monotonic() < end and not self.over.wait(pause):
            write()

    def good(self, request, body):
        self.send(request, body or b"", 200 if body else 404)

    def moved(self, request, body):
        self.send(request, b"", 302,
                  Location=request.path.replace("moved", "good"))

    def slow(self, request, body):
        """As a link of 100 kB/s, and a file of 300."""
        body = body + b"\0" * 300000 if body else b""
        self.send(request, b"", Content_Length=len(body))
        for at in range(0, len(body), 10000):
            request.wfile.write(body[at:at + 10000])
            if self.over.wait(0.1):
                return

    # The server's fault, or the network's

    def refuses(self, request, body):
        self.send(request, b"no", 403)

    def breaks(self, request, body):
        self.send(request, b"oh", 500)

    def silent(self, request, body):
        self.over.wait(ENOUGH)

    def stalls(self, request, body):
        self.send(request, body[:100], Content_Length=len(body))
        self.over.wait(ENOUGH)

    def drips(self, request, body):
        self.send(request, b"", Content_Length=len(body))
        self.for_ever(lambda: request.wfile.write(b"x"), 0.2)

    def short(self, request, body):
        self.send(request, body[:-10], Content_Length=len(body))

    def circles(self, request, body):
        self.send(request, b"", 302, Location=request.path)

    def leaves(self, request, body):
        self.send(request, b"", 302, Location="file:///etc/passwd")

    def babbles(self, request, body):
        request.wfile.write(os.urandom(100000))

    def headers(self, request, body):
        request.wfile.write(b"HTTP/1.0 200 OK\r\n")
        self.for_ever(lambda: request.wfile.write(b"X: y\r\n" * 10000), 0)

    def hangs_up(self, request, body):
        pass

    # The file's fault

    def garbage(self, request, body):
        self.send(request, os.urandom(100000))

    def empty(self, request, body):
        self.send(request, b"")

    def cut(self, request, body):
        self.send(request, body[:-1])

    def lies(self, request, body):
        """More than it said: the rest is not of the file."""
        self.send(request, body, Content_Length=len(body) // 2)

    def other(self, request, body):
        self.send(request, pathlib.Path("/bin/true").read_bytes())

    def packed(self, request, body):
        self.send(request, gzip.compress(body), Content_Encoding="gzip")

    def endless(self, request, body):
        self.send(request, b"", Content_Length=None)
        self.for_ever(lambda: request.wfile.write(b"\0" * 100000), 0)


FAILING = ("refuses", "breaks", "silent", "stalls", "drips", "short",
           "circles", "leaves", "babbles", "headers", "hangs_up")
BAD = ("garbage", "empty", "cut", "lies", "other", "packed", "endless")


def case():
    """The report of a program without symbols, its debug file, its build."""
    program, debug, identity = test_symbol_server.parted("program", "-O2")
    return test_symbolize.crash(program), debug, identity


def ask(report, *urls, timeout="3", env=None):
    """`symbolize --json` of REPORT, and how long it took."""
    options = [word for url in urls for word in ("--debuginfod", url)]
    begun = time.monotonic()
    found = json.loads(lib.epitaph_ok(
        "symbolize", "--json", "--debuginfod-timeout", timeout,
        "--debuginfod-max", "2000000", *options, report, env=env))
    return found, time.monotonic() - begun


def is_named(found):
    frame = lib.crashed_thread(found)["frames"][0]
    return bool(frame["line"] and frame["file"].endswith("names.cc"))


def downloads():
    """Files that came, whole or in part."""
    return sorted(p.name for p in (lib.symbol_store() / "debuginfod").rglob(
        "*") if p.suffix in (".debug", ".part"))


def notes(name):
    """What is remembered under NAME of all servers."""
    return list((lib.symbol_store() / "debuginfod/servers").glob(f"*/{name}"))


def age(name, seconds):
    for path in notes(name):
        then = time.time() - seconds
        os.utime(path, (then, then))


def forget(identity):
    """Take away what came of a server, and what is known of it; the indexes of
    other modules stay, which take seconds to make on a busy machine."""
    shutil.rmtree(lib.symbol_store() / "debuginfod", ignore_errors=True)
    for path in (lib.symbol_store() / identity[:2]).glob("*.csym"):
        path.unlink()


def test_asks():
    """a server that is named gives names, once; nobody else is asked"""
    report, debug, identity = case()
    with Server({identity: debug}) as server:
        urls = f"{server.url()} {server.url('missing')}"
        found, _ = ask(report, env={"DEBUGINFOD_URLS": urls})
        assert not is_named(found) and not server.asked, server.asked
        assert found["trouble"] is None, found
        found, _ = ask(report, server.url("moved"))
        assert is_named(found) and found["trouble"] is None, found
        module, = (m for m in found["modules"] if m["build_id"] == identity)
        assert module["symbols"] == "found", module
        assert downloads() == [f"{identity[2:]}.debug"]
        asked = list(server.asked)
        assert is_named(ask(report, server.url("moved"))[0])
        assert server.asked == asked, server.asked
        # The index is enough, and the file goes when there are too many.
        shutil.rmtree(lib.symbol_store() / "debuginfod")
        assert is_named(ask(report)[0])
        lib.forget_symbols()
        found, _ = ask(report, env={"EPITAPH_DEBUGINFOD":
                                    f"nonsense  {server.url()}/ "})
        assert is_named(found)
    for words in (("--debuginfod", "ftp://x"), ("--debuginfod-timeout", "no"),
                  ("--debuginfod-max", "-1")):
        assert lib.epitaph("symbolize", *words, report).exit == 2, words


@lib.deadline(300)
def test_failing():
    """a server that fails costs no more than the time for it, and no names"""
    report, debug, identity = case()
    with Server({identity: debug}) as server:
        ask(report)
        for way in FAILING:
            forget(identity)
            found, took = ask(report, server.url(way), timeout="2")
            assert not is_named(found) and took < 6, (way, took)
            assert server.url(way) in found["trouble"], (way, found["trouble"])
            assert server.count(way) >= 1, way
            assert downloads() == [], (way, downloads())
            assert notes("failures") and not notes(identity), way
            # The next one has what is left of the time.
            if took < 1:
                assert is_named(ask(report, server.url(way),
                                    server.url())[0]), way
        forget(identity)
        found, took = ask(report, f"http://127.0.0.1:{lib.free_port()}")
        assert "connect" in found["trouble"], found["trouble"]


@lib.deadline(300)
def test_bad():
    """what is not that file, all of it, is not kept, and not asked for again"""
    report, debug, identity = case()
    with Server({identity: debug}) as server:
        ask(report)
        for way in BAD:
            forget(identity)
            found, took = ask(report, server.url(way))
            assert not is_named(found) and took < 6, (way, took)
            assert server.url(way) in found["trouble"], (way, found["trouble"])
            assert downloads() == [], (way, downloads())
            assert notes(identity)[0].read_text().startswith("bad: "), way
            count = server.count(way)
            ask(report, server.url(way))
            age(identity, 23 * 3600)
            ask(report, server.url(way))
            assert server.count(way) == count, way
            age(identity, 25 * 3600)
            ask(report, server.url(way))
            assert server.count(way) > count, way
            assert not notes("failures"), way
            assert is_named(ask(report, server.url(way), server.url())[0])


def test_absent():
    """what a server has not got it is asked for again after an hour"""
    report, debug, identity = case()
    with Server({}) as server:
        found, _ = ask(report, server.url())
        assert found["trouble"] is None, found["trouble"]
        count = server.count("good")
        ask(report, server.url())
        age("*", 3500)
        ask(report, server.url())
        assert server.count("good") == count
        server.files[identity] = debug
        age(identity, 3700)
        found, _ = ask(report, server.url())
        assert server.count("good") == count + 1
        assert is_named(found)


def test_breaker():
    """after three failures a server is left alone, a minute and then longer"""
    report, debug, identity = case()
    with Server({identity: debug}) as server:
        way = server.url("breaks")
        for n in (1, 2, 3, 3):
            ask(report, way)
            assert server.count("breaks") == n
        age("failures", 61)
        for _ in range(2):
            ask(report, way)
            assert server.count("breaks") == 4
        age("failures", 61)
        ask(report, way)
        assert server.count("breaks") == 4
        age("failures", 121)
        server.breaks = server.good
        assert is_named(ask(report, way)[0])
        assert not notes("failures")


def test_too_slow():
    """what cannot come in time is not tried again by each report"""
    report, debug, identity = case()
    with Server({identity: debug}) as server:
        ask(report)
        found, took = ask(report, server.url("slow"), timeout="1")
        assert not is_named(found) and took < 5, took
        assert server.url("slow") in found["trouble"], found["trouble"]
        assert notes(identity) and not notes("failures")
        count = server.count("slow")
        ask(report, server.url("slow"))
        assert server.count("slow") == count
        age(identity, 3700)
        assert is_named(ask(report, server.url("slow"), timeout="30")[0])


def test_no_room():
    """where the store takes nothing there are no names, and a word why"""
    report, debug, identity = case()
    pathlib.Path("file").write_text("")
    with Server({identity: debug}) as server:
        found, _ = ask(report, server.url(), env={
            "EPITAPH_SYMBOLS": os.path.abspath("file/store")})
        assert not is_named(found), found["trouble"]
        assert "file/store" in found["trouble"], found["trouble"]
        done = lib.run_plain(
            ["prlimit", "--fsize=50000", lib.EPITAPH, "symbolize", "--json",
             "--debuginfod", server.url(), report])
        found = json.loads(done.stdout)
        assert not is_named(found)
        assert "keep" in found["trouble"], found["trouble"]
        assert downloads() == []
        assert not notes("failures") and not notes(identity)


def test_common():
    """a debug file's common one (dwz) is asked for, too"""
    lib.need("dwz")
    program, debug, identity = test_symbol_server.parted("program", "-O2")
    report = test_symbolize.crash(program)
    twin = shutil.copy(debug, "twin")
    subprocess.run(["dwz", "-m", "common", "-M", "/nowhere/common", debug,
                    twin], check=True)
    common = test_symbolize.build_id("common")
    with Server({identity: debug, common: "common"}) as server:
        found, _ = ask(report, server.url())
        assert is_named(found) and found["trouble"] is None, found
        assert sorted(downloads()) == sorted(
            [f"{identity[2:]}.debug", f"{common[2:]}.debug"])


def _read(fd, seconds):
    """What comes from the terminal FD until its other end closes."""
    said, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                said += os.read(fd, 65536)
            except OSError:
                break
    return said


def test_progress():
    """a download that takes its time says so on the terminal"""
    report, debug, identity = case()
    with Server({identity: debug}) as server:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [lib.EPITAPH, "symbolize", "--debuginfod", server.url("slow"),
             report], stdout=subprocess.DEVNULL, stderr=theirs,
            env=lib.clean_env({"TERM": "xterm"}))
        os.close(theirs)
        said = _read(ours, 30)
        assert process.wait(30) == 0
        assert re.search(rb"downloading symbols of program, \d\.\d MB", said), \
            said
        assert said.endswith(b"\r\x1b[K"), said[-40:]


def test_debuginfod():
    """a real debuginfod serves names of a program"""
    lib.need("debuginfod")
    report, debug, _ = case()
    os.mkdir("served")
    shutil.move(debug, "served/program.debug")
    port = lib.free_port()
    with lib.start_plain(["debuginfod", "-F", "-p", str(port), "-d",
                          os.path.abspath("index.sqlite"), "-t", "1",
                          os.path.abspath("served")]) as process:
        def answers():
            assert process.is_alive(), process.errors()
            lib.forget_symbols()
            return is_named(ask(report, f"http://127.0.0.1:{port}")[0])

        lib.wait_for(answers, 60, "debuginfod to have looked at the file")


def test_by_collector():
    """a collector asks the servers that it was told of, and no others"""
    report, debug, identity = case()
    with Server({identity: debug}) as server:
        with lib.Collector(env={"DEBUGINFOD_URLS": server.url(),
                                "EPITAPH_DEBUGINFOD": server.url()}) as one:
            made = one.post_report(report).json()
            test_collector.wait_state(one, made["id"], "symbolized")
            assert not server.asked, server.asked
        config = pathlib.Path("config")
        config.write_text(f"debuginfod = {server.url('silent')}\n"
                          "debuginfod-timeout = 5\n"
                          f"debuginfod = {server.url()}\n")
        with lib.Collector("--config", config) as two:
            made = two.post_report(report).json()
            test_collector.wait_state(two, made["id"], "symbolized")
            assert server.count("silent") == 1, server.asked
        config.write_text(f"debuginfod = {server.url('breaks')}\n"
                          f"debuginfod = {server.url()}\n")
        with lib.Collector("--config", config) as two:
            made = two.post_report(report).json()
            test_collector.wait_state(two, made["id"], "symbolized")
            assert is_named(lib.symbolize_at(two, made["id"]))
    for value in ("ftp://x", "nonsense"):
        done = lib.run_plain([lib.EPITAPHD, "--debuginfod", value, "--check"])
        assert done.exit == 2 and b"debuginfod" in done.stderr, done

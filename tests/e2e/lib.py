"""What the end-to-end tests stand on: the built programs, started the way a
user starts them, and other people's tools to compare with.

A test is a function test_* of tests/e2e/test_*.py whose one-line docstring is
its name. tests/run gives each its own process and an empty working directory
that goes when the test ends; core files are off unless asked for."""

import contextlib
import gzip
import http.client
import http.server
import json
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("B") or "build")
BUILD = BUILD if BUILD.is_absolute() else ROOT / BUILD

SHIM = BUILD / "libepitaph.so"
HELPER = BUILD / "epitaph-helper"
EPITAPH = BUILD / "epitaph"
EPITAPHD = BUILD / "epitaphd"
CRASHERS = BUILD / "crashers"

EPITAPH_STREAM = 0x45500001  # lib/report/minidump.h

# Generous, because a loaded machine is no failure; a deadline only turns a
# hang into one.
START_S = 20
REPORT_S = 20
RUN_S = 60


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


def deadline(seconds):
    """Decorator: let the test take SECONDS (120 otherwise). tests/run reads
    the number from the source, so it has to be a literal."""

    def mark(function):
        function.deadline_s = seconds
        return function

    return mark


def need(*programs):
    """Skip the test where one of PROGRAMS is not installed."""
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")


def open_to_all(path):
    """Let everybody into PATH and what leads to it, below /tmp."""
    for each in (path, *path.parents):
        if each in (pathlib.Path("/"), pathlib.Path("/tmp")):
            break
        each.chmod(0o755)


def wait_for(condition, seconds=REPORT_S, what=None):
    """The first true value of CONDITION(), or an AssertionError in SECONDS."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(
                f"waited {seconds} s for {what or condition.__name__}")
        time.sleep(0.01)


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def connected(path):
    """A socket connected to the unix socket PATH; None while nobody listens
    there, as between bind and listen, when the file is there already."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    return sock


def temp_dir(prefix="t."):
    """A new directory under the test's own."""
    return pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=os.getcwd()))


def clean_env(extra=None):
    """An environment that says nothing of Epitaph, and EXTRA."""
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": os.getcwd(),
        "LANG": "C.UTF-8",
        "TMPDIR": os.environ.get("TMPDIR", os.getcwd()),
    }
    env.update({k: str(v) for k, v in (extra or {}).items()})
    return env


# Running programs


class Outcome(NamedTuple):
    """How a program ended. STATUS is as waitpid gives it, core bit included;
    REPORTS are the paths that appeared in its spool, oldest first."""

    status: int
    stdout: bytes
    stderr: bytes
    reports: list

    @property
    def signal(self):
        return os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else 0

    @property
    def exit(self):
        if os.WIFEXITED(self.status):
            return os.WEXITSTATUS(self.status)
        return None

    @property
    def report(self):
        """The one report; an AssertionError where there are more or fewer."""
        assert len(self.reports) == 1, f"{len(self.reports)} reports, not 1"
        return self.reports[0]


class Process:
    """A program that runs in its own process group, output into files (a pipe
    would be held open by what outlives the program). wait() ends it."""

    def __init__(self, argv, env=None, cwd=None, stdin=b"", cores=False,
                 spool=None, inherit=False, preexec=None):
        self.argv = [str(arg) for arg in argv]
        self.spool = spool
        self.before = set(spool_reports(spool)) if spool else set()
        self.out = tempfile.TemporaryFile()
        self.err = tempfile.TemporaryFile()
        source = tempfile.TemporaryFile()
        source.write(stdin)
        source.seek(0)

        def prepare():
            hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE,
                               (hard if cores else 0, hard))
            if preexec:
                preexec()

        with source:
            self.popen = subprocess.Popen(
                self.argv, stdin=source, stdout=self.out, stderr=self.err,
                env=None if inherit else clean_env(env), cwd=cwd,
                process_group=0, preexec_fn=prepare)
        self.pid = self.popen.pid
        self.status = None

    def kill(self, sig):
        os.kill(self.pid, sig)

    def output(self):
        """What it has written to stdout so far."""
        return _contents(self.out)

    def errors(self):
        return _contents(self.err)

    def is_alive(self):
        return self.status is None and not self._reap(0)

    def wait(self, seconds=RUN_S, reports=None, report_s=REPORT_S):
        """Outcome, once it has ended and REPORTS reports (1 of a program
        under the shim that a signal ended, else 0) are in its spool. More
        than REPORTS is for the caller to notice: settle() makes sure that
        none comes late."""
        if not self._reap(seconds):
            self.end()
            raise AssertionError(
                f"{self.argv} did not end in {seconds} s; stderr: "
                f"{self.errors().decode(errors='replace')}")
        if reports is None:
            killed = self.spool and os.WIFSIGNALED(self.status)
            reports = 1 if killed else 0
        found = []
        if self.spool:
            found = self._collect(reports, report_s)
        return Outcome(self.status, self.output(), self.errors(), found)

    def end(self):
        """Kill what still runs of it; for clean-up."""
        if self.status is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._reap(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def _reap(self, seconds):
        if self.status is not None:
            return True
        pidfd = os.pidfd_open(self.pid)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(seconds * 1000):
                return False
        finally:
            os.close(pidfd)
        self.status = os.waitpid(self.pid, 0)[1]
        self.popen.returncode = os.waitstatus_to_exitcode(self.status)
        return True

    def _collect(self, reports, seconds):
        def new():
            return [r for r in spool_reports(self.spool)
                    if r not in self.before]

        try:
            wait_for(lambda: len(new()) >= reports, seconds)
        except AssertionError:
            held = sorted(p.name for p in pathlib.Path(self.spool).iterdir())
            raise AssertionError(
                f"{self.argv}: {len(new())} of {reports} reports in "
                f"{seconds} s; spool holds {held}; stderr: "
                f"{self.errors().decode(errors='replace')}") from None
        if reports == 0:
            settle()
        return new()


def _contents(file):
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def shim_env(spool, env=None):
    """The environment that puts a program under the shim, and ENV."""
    merged = {"LD_PRELOAD": SHIM, "EPITAPH_SPOOL": spool}
    merged.update(env or {})
    return merged


def start_plain(argv, env=None, **options):
    return Process(argv, env, **options)


def start_under_shim(argv, env=None, spool=None, **options):
    """A Process under the shim, reports into SPOOL (else a new directory,
    Process.spool)."""
    spool = pathlib.Path(spool) if spool else temp_dir("spool.")
    return Process(argv, shim_env(spool, env), spool=spool, **options)


def run_plain(argv, env=None, seconds=RUN_S, **options):
    """Run ARGV without the shim to its end: Outcome, with no reports."""
    with start_plain(argv, env, **options) as process:
        return process.wait(seconds)


def run_under_shim(argv, env=None, spool=None, reports=None, seconds=RUN_S,
                   **options):
    """Run ARGV under the shim to its end and until REPORTS reports (1 where
    it dies of a signal, else 0) are in the spool: Outcome. With EPITAPH_URL
    in ENV the report may leave the spool again: say reports=0 and ask the
    collector."""
    with start_under_shim(argv, env, spool, **options) as process:
        return process.wait(seconds, reports)


def put_in(root, program):
    """Copy PROGRAM and the libraries that it needs into ROOT."""
    shutil.copy(program, root)
    text = run_plain(["ldd", program]).stdout.decode()
    for path in re.findall(r"(/\S+) \(0x", text):
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(path, target)


def spool_reports(spool):
    """Paths of the complete reports in SPOOL, oldest first."""
    return sorted(pathlib.Path(spool).glob("*.dmp.gz"))


def processes():
    """{pid: (parent's pid, state, name)} of everything in /proc."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="latin-1") as stat:
                text = stat.read()
        except OSError:
            continue
        name = text[text.index("(") + 1:text.rindex(")")]
        fields = text[text.rindex(")") + 2:].split()
        found[int(entry)] = (int(fields[1]), fields[0], name)
    return found


def descendants(pid):
    """Pids of the living descendants of PID."""
    table = processes()
    found, fresh = set(), {pid}
    while fresh:
        fresh = {p for p, (parent, state, _) in table.items()
                 if parent in fresh and state not in "ZX" and p not in found}
        found |= fresh
    return found


def helpers():
    """Pids of the crash-time helpers, and of the witnesses that start them,
    which belong to this test: tests/run, our parent, is the reaper that
    orphans come to."""
    table = processes()
    return [pid for pid, (parent, state, _) in table.items()
            if parent == os.getppid() and pid != os.getpid()
            and state not in "ZX"]


def settle(seconds=REPORT_S):
    """Wait until no helper is at work any more. One look may miss a helper:
    its witness starts it after /proc was listed, and is gone before its turn
    comes; a second look finds it."""
    wait_for(lambda: not helpers() and not helpers(), seconds,
             "the helpers to end")


def rss_kib(pid):
    """Resident memory of PID, KiB."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


def tree_rss_kib(pid):
    """The sum over PID and its descendants."""
    total = 0
    for each in {pid} | descendants(pid):
        try:
            total += rss_kib(each)
        except (OSError, AttributeError):
            pass
    return total


def peak_rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))


# Reports


def unpack(report):
    """The bytes of the minidump in the .dmp.gz file REPORT."""
    return gzip.decompress(pathlib.Path(report).read_bytes())


def streams(dump):
    """{stream type: bytes} of the minidump DUMP."""
    magic, _, count, where = struct.unpack_from("<IIII", dump)
    assert magic == 0x504D444D, "not a minidump"
    found = {}
    for i in range(count):
        kind, size, rva = struct.unpack_from("<III", dump, where + 12 * i)
        found[kind] = dump[rva:rva + size]
    return found


def memory_ranges(dump):
    """[(address, bytes)] of the memory list of the minidump DUMP."""
    memory, found = streams(dump)[5], []
    for i in range(struct.unpack_from("<I", memory)[0]):
        start, size, rva = struct.unpack_from("<QII", memory, 4 + 16 * i)
        found.append((start, dump[rva:rva + size]))
    return found


def user_stream(report):
    """Our JSON in REPORT, parsed."""
    return json.loads(streams(unpack(report))[EPITAPH_STREAM])


def epitaph(*args, env=None, stdin=b"", seconds=RUN_S):
    """Run the command line: Outcome."""
    return run_plain([EPITAPH, *args], env, seconds, stdin=stdin)


def epitaph_ok(*args, **options):
    """Stdout of the command line, as text; it has to succeed."""
    outcome = epitaph(*args, **options)
    assert outcome.exit == 0, (
        f"epitaph {' '.join(map(str, args))}: status {outcome.status}: "
        f"{outcome.stderr.decode(errors='replace')}")
    return outcome.stdout.decode()


def symbolize(report, *options):
    """`epitaph symbolize --json` of REPORT, parsed."""
    return json.loads(epitaph_ok("symbolize", "--json", *options, report))


def symbol_store():
    """Where the command line keeps indexes, in clean_env()."""
    return pathlib.Path(os.getcwd(), ".cache/epitaph/symbols")


def forget_symbols():
    """Take away the indexes of files that are not as they were."""
    shutil.rmtree(symbol_store(), ignore_errors=True)


def crashed_thread(symbolized):
    """The thread that crashed, of what symbolize() gave."""
    found = [t for t in symbolized["threads"] if t["crashed"]]
    assert len(found) == 1, f"{len(found)} crashed threads"
    return found[0]


def pcs(thread):
    """The pcs of the THREAD of symbolize(), one for each physical frame."""
    return [int(frame["pc"], 16) for frame in thread["frames"]
            if is_physical(frame)]


def is_physical(frame):
    """True where a stack holds FRAME: it is neither inlined nor inferred."""
    return not frame["inline"] and "tail_call" not in frame["flags"]


def functions(thread):
    """Names of the functions of THREAD, innermost first, inlines included."""
    return [frame["function"] for frame in thread["frames"]]


# Core files and debuggers


def need_cores():
    """Skip the test where core files do not land in the working directory."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
    if pattern.startswith("|") or "/" in pattern:
        raise Skip(f"core files go to {pattern.strip()}")
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        raise Skip("the hard limit for core files is 0")


def core_in(directory):
    """The one core file in DIRECTORY."""
    found = [p for p in pathlib.Path(directory).iterdir()
             if p.is_file() and is_core(p)]
    assert len(found) == 1, f"{len(found)} core files in {directory}"
    return found[0]


def is_core(path):
    """True where PATH is an ELF file of type ET_CORE."""
    with open(path, "rb") as file:
        head = file.read(18)
    return head[:4] == b"\x7fELF" and head[16:18] == b"\x04\x00"


_GDB_SCRIPT = r"""
import gdb, json
threads = {}
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frames, frame = [], gdb.newest_frame()
    while frame is not None and frame.is_valid():
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            frames.append({"pc": frame.pc(), "function": frame.name()})
        frame = frame.older()
    threads[thread.ptid[1] or thread.ptid[2]] = frames
print("FRAMES " + json.dumps(threads))
try:
    info = gdb.parse_and_eval("$_siginfo")
    print("SIGINFO " + json.dumps({
        "signo": int(info["si_signo"]), "code": int(info["si_code"]),
        "address": int(info["_sifields"]["_sigfault"]["si_addr"])}))
except gdb.error:
    pass
"""


def gdb_core(core, exe):
    """What gdb reads from CORE of EXE: ({tid: [{"pc", "function"}]}, siginfo
    of the thread that died as {"signo", "code", "address"}, or None).
    Physical frames only, outwards to the very first one: neither inlined ones
    nor those that gdb infers from tail calls, which no stack holds."""
    need("gdb")
    script = temp_dir("gdb.") / "frames.py"
    script.write_text(_GDB_SCRIPT)
    text = run_plain(
        ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off",
         "-ex", "set backtrace limit unlimited",
         "-ex", "set backtrace past-main on",
         "-ex", "set backtrace past-entry off",
         "-ex", f"core-file {core}", "-x", script, exe]).stdout.decode()
    frames = re.search(r"^FRAMES (.*)$", text, re.M)
    assert frames, f"gdb printed no frames: {text}"
    info = re.search(r"^SIGINFO (.*)$", text, re.M)
    return ({int(tid): f for tid, f in json.loads(frames.group(1)).items()},
            json.loads(info.group(1)) if info else None)


def gdb_frames(core, exe):
    """{tid: [pc, ...]} by gdb."""
    return {tid: [frame["pc"] for frame in frames]
            for tid, frames in gdb_core(core, exe)[0].items()}


def lldb_frames(dump):
    """[pc, ...] by lldb of the crashing thread of the plain minidump DUMP.
    Physical frames only: a line with [inlined] is part of the next one."""
    need("lldb")
    text = run_plain(["lldb", "--no-lldbinit", "--batch", "-c", dump,
                      "-o", "thread backtrace"], seconds=120).stdout.decode()
    found = [int(match.group(1), 16) for match in re.finditer(
        r"^\s*(?:\* )?frame #\d+: (0x[0-9a-f]+)(?!.*\[inlined\])", text,
        re.M)]
    assert found, f"lldb printed no frames: {text}"
    return found


def plain_dump(report):
    """REPORT unpacked into a file beside it, for tools that know no gzip."""
    path = temp_dir("dmp.") / (pathlib.Path(report).name.split(".")[0] +
                               ".dmp")
    path.write_bytes(unpack(report))
    return path


# The collector


@contextlib.contextmanager
def fake_collector(answers, unix=None):
    """A server that answers by ANSWERS: {path without query: (status, body)},
    or a function of (method, path, body) that gives such a pair. Yields its
    URL and the list of requests (method, path, headers, body) so far."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            size = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(size)
            requests.append((self.command, self.path, self.headers, body))
            path = self.path.split("?")[0]
            if callable(answers):
                status, text = answers(self.command, path, body)
            else:
                status, text = answers.get(path, (404, '{"error":"none"}'))
            text = text if isinstance(text, bytes) else text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

        def address_string(self):
            return "somebody"

    if unix:
        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
        server = Server(str(unix), Handler)
        url = f"http+unix://{unix}"
    else:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        url = f"http://127.0.0.1:{server.server_address[1]}"
    server.handle_error = lambda *_: None  # a client that has gone
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield url, requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def raw_connection(collector):
    """A socket connected to COLLECTOR, for what no client would send."""
    where = urllib.parse.urlsplit(collector.url)
    return socket.create_connection((where.hostname, where.port), timeout=30)


def symbolize_at(collector, report_id):
    """What COLLECTOR says of a report: as symbolize() of the same."""
    answer = collector.get(f"/api/v1/reports/{report_id}")
    assert answer.status == 200, answer
    return answer.json()


class Response(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()


class Collector:
    """An epitaphd on a free loopback port, its data in a directory of the
    test. A context manager: SIGTERM ends it, and it has to end well."""

    def __init__(self, *args, data=None, env=None, listen="127.0.0.1:0",
                 token=None):
        self.data = pathlib.Path(data) if data else temp_dir("data.")
        self.args = args
        self.env = env
        self.listen = listen
        self.token = token
        self.process = None
        self.url = None

    def start(self):
        argv = [EPITAPHD, "--data", self.data, "--listen", self.listen]
        self.process = Process(argv + list(self.args), self.env)
        try:
            wait_for(self._announced, START_S, "listening on URL")
        except AssertionError as error:
            self.process.end()
            raise AssertionError(f"{error}; it said: {self.log()}") from None
        return self

    def _announced(self):
        if not self.process.is_alive():
            raise AssertionError(f"epitaphd ended, status "
                                 f"{self.process.status}: {self.log()}")
        found = re.search(r"^listening on (http://\S+)$",
                          self.process.output().decode(), re.M)
        self.url = found.group(1).rstrip("/") if found else None
        return self.url

    def stop(self, seconds=START_S):
        """SIGTERM, and its exit status has to be 0."""
        if self.process.status is None:
            self.process.kill(signal.SIGTERM)
        outcome = self.process.wait(seconds)
        assert outcome.exit == 0, (
            f"epitaphd: status {outcome.status}: {self.log()}")

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            print(f"epitaphd's log:\n{self.log()}")
        self.process.end()

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        """Everything it has printed."""
        return (self.process.output() +
                self.process.errors()).decode(errors="replace")

    def request(self, method, path, body=None, headers=None, seconds=30):
        """One request on a connection of its own: Response."""
        where = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(
            where.hostname, where.port, timeout=seconds)
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, headers=None):
        return self.request("GET", path, None, headers)

    def post(self, path, body, headers=None):
        """POST bytes, or an object as JSON."""
        headers = dict(headers or {})
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        return self.request("POST", path, body, headers)

    def post_report(self, report, headers=None):
        """POST the .dmp.gz file REPORT as a helper does."""
        return self.post("/api/v1/reports", pathlib.Path(report).read_bytes(),
                         {"Content-Type": "application/octet-stream",
                          "Content-Encoding": "gzip", **(headers or {})})

    def groups(self):
        """The groups, as contract.md has them."""
        answer = self.get("/api/v1/groups")
        assert answer.status == 200, answer
        return answer.json()["groups"]

    def count(self):
        """Crashes counted, over all groups."""
        return sum(group["count"] for group in self.groups())

    def wait_count(self, count, seconds=REPORT_S):
        """The groups, once COUNT crashes are counted."""
        try:
            wait_for(lambda: self.count() >= count, seconds)
        except AssertionError:
            raise AssertionError(
                f"{self.count()} of {count} crashes in {seconds} s: "
                f"{self.groups()}") from None
        return self.groups()

    def group(self, group_id):
        answer = self.get(f"/api/v1/groups/{group_id}")
        assert answer.status == 200, answer
        return answer.json()

    def metrics(self):
        """{name with labels: number} of /metrics."""
        answer = self.get("/metrics")
        assert answer.status == 200, answer
        found = {}
        for line in answer.text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def wait_ready(self, seconds=START_S):
        wait_for(lambda: self.get("/ready").status == 200, seconds,
                 "/ready to be 200")

#!/usr/bin/python3
"""Stacks of real programs by `epitaph stack`, gdb and eu-stack: live, held so
that all three see the same, and of a core. No frame that another tool finds
may be missing without a reason; what we have that it has not is counted by its
trust. docs/unwinding.md explains what differs. Java, V8 and Go make code that
no table describes, and stacks that are not C's. The table that it makes is
left in build/programs/stacks.txt."""

import contextlib
import os
import pathlib
import signal

import compare
import lib
import menu
import postgres
import walks

JDK = pathlib.Path("/usr/lib/jvm/java-17-openjdk-amd64")
TOOLS = {"gdb": walks.by_gdb, "eu-stack": walks.by_eu_stack}
TRIES = 3
table = []


def look(subject, theirs):
    """A thread may wake up between two looks: once more where that may be
    what differs."""
    for _ in range(TRIES):
        compared = walks.compare(subject, theirs)
        if not compared.unexplained():
            break
    return compared


def judge(name, subject, may_guess):
    for tool, theirs in TOOLS.items():
        case = f"{name} against {tool}"
        try:
            compared = look(subject, theirs)
            for line in (f"{case}: {compared.row()}", *details(compared)):
                compare.say(line)
                table.append(line)
            assert not compared.unexplained(), compared.unexplained()
            assert set(compared.theirs) <= set(compared.threads)
            cut = [tid for tid, each in compared.threads.items()
                   if each["truncated"]]
            assert may_guess or not cut, f"truncated: {cut}"
            guesses = {trust for each in compared.differences
                       for _, trust in each.extra}
            assert may_guess or not guesses, f"more than {tool}: {guesses}"
        except AssertionError as error:
            compare.failed(case, error)
        else:
            compare.ok(case)


def details(compared):
    """A line for each thread of which something is missing but an end mark."""
    for each in compared.differences:
        lacks = [f"{pc:#x} ({why})" for pc, why in each.missing
                 if why != "end marks"]
        if lacks:
            thread = compared.threads.get(each.tid, {"truncated": "absent"})
            yield (f"  thread {each.tid}, {thread['truncated'] or 'whole'}: "
                   f"{', '.join(lacks)}")


def both(name, argv, ready=b"ready", may_guess=False, **options):
    """The program ARGV, live and as its core."""
    compare.say(name)
    where = lib.temp_dir("run.")
    with lib.Process(argv, cwd=where, cores=True, **options) as process:
        lib.wait_for(lambda: ready in process.output(), what="ready")
        walks.hold(process.pid)
        judge(f"{name}, live", walks.Subject(process.pid), may_guess)
        judge(f"{name}, core", walks.core_of(process), may_guess)


@contextlib.contextmanager
def backend():
    """Pid of a backend of PostgreSQL that sleeps; it may leave a core."""
    server = postgres.Server(False, cores=True)
    with server.process:
        session = lib.start_plain(
            [server.bin / "psql", "-X", "-h", server.base, "-U", "postgres",
             "-c", "select pg_sleep(60)"])
        with session:
            pid = postgres.backend(server, session)
            yield pid
            session.wait()
        server.ready(2)
        server.process.kill(signal.SIGINT)
        server.process.wait()


def database():
    compare.say("postgres")
    with backend() as pid:
        walks.hold(pid)
        exe = os.readlink(f"/proc/{pid}/exe")
        where = pathlib.Path(os.readlink(f"/proc/{pid}/cwd"))
        judge("postgres, live", walks.Subject(pid), False)
        os.kill(pid, signal.SIGABRT)
        os.kill(pid, signal.SIGCONT)
        lib.wait_for(lambda: any(map(walks.is_whole_core, where.iterdir())),
                     what="the backend's core")
        core = pathlib.Path("core.postgres").absolute()
        lib.core_in(where).rename(core)
    judge("postgres, core", walks.Subject(None, core, exe), False)


def built(name, *argv, **options):
    """The program that ARGV builds as NAME."""
    where = lib.temp_dir("built.")
    compare.build(*[str(each).replace("OUT", str(where / name))
                    for each in argv], **options)
    return where / name


def golang(*flags):
    cache = {"GOCACHE": str(lib.BUILD / "programs/gocache"),
             "GOTOOLCHAIN": "local", "PATH": "/usr/bin:/bin"}
    return built("waits", "go", "build", *flags, "-o", "OUT",
                 compare.HERE / "go/waits.go", env=cache)


PYTHON = """
import threading, time

def down(levels):
    if levels:
        return down(levels - 1)
    time.sleep(1000)

for n in range(30):
    threading.Thread(target=down, args=(n,), daemon=True).start()
time.sleep(0.3)
print("ready", flush=True)
sorted([1, 2], key=lambda n: down(50))
"""

(lib.BUILD / "programs").mkdir(exist_ok=True)
compare.need("gdb", "gcc", "eu-stack", "redis-server", "go", "/usr/bin/rustc",
             "/usr/bin/node", JDK / "bin/javac")
lib.need_cores()
both("100 threads", [menu.PROGRAM, "wait", "100"], b"waiting")
both("python3", ["/usr/bin/python3", "-c", PYTHON])
both("redis", ["redis-server", "--port", lib.free_port(), "--bind",
               "127.0.0.1", "--save", ""], b"eady to accept")
database()
both("rust", [built("waits", "/usr/bin/rustc", "-O", "-g", "-o", "OUT",
                    compare.HERE / "rust/waits.rs")])
crash = {"GOTRACEBACK": "crash"}
both("go", [golang("-ldflags=-linkmode=external -extldflags=-Wl,--build-id")],
     may_guess=True, env=crash)
both("go, stripped", [golang("-ldflags=-s -w")], may_guess=True, env=crash)
both("node", ["/usr/bin/node", compare.HERE / "node/waits.js"],
     may_guess=True)
classes = lib.temp_dir("java.")
compare.build(JDK / "bin/javac", "-d", classes,
              compare.HERE / "java/Waits.java")
both("java", [JDK / "bin/java", "-Xmx128m", "-cp", classes, "Waits"],
     may_guess=True)
(lib.BUILD / "programs/stacks.txt").write_text("\n".join(table) + "\n")

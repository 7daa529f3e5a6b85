"""Process 1 of a namespace, alone and under tini; what control groups and
limits take away."""

import ctypes
import os
import pathlib
import select
import signal
import struct
import subprocess
import time

import lib
import menu
import vm

# A fault, an abort, a trap and another thread's fault.
AS_ONE = ("null-write", "abort", "breakpoint", "divide", "illegal",
          "past-end", "thread-null", "overflow", "halt", "double-free")


def run_in(wrapper, name, spool=None, user="root"):
    """The entry NAME of the menu below WRAPPER, which makes the namespace:
    (status, reports in SPOOL at the moment it was over)."""
    env = lib.clean_env(lib.shim_env(spool) if spool else None)
    env["EPITAPH_DEADLINE_MS"] = "10000"
    argv = [*wrapper, menu.PROGRAM, name, "2"]
    done = subprocess.run(argv, env=env, timeout=60, check=False,
                          stdout=subprocess.DEVNULL, cwd=vm.make_dir(user),
                          preexec_fn=vm.become(user))
    return done.returncode, lib.spool_reports(spool) if spool else []


def check_in(wrapper, names, user="root", tier=1):
    """Each of NAMES ends as without the shim, and its report of TIER is there
    when its parent is told."""
    wrong = {}
    for name in names:
        plain, _ = run_in(wrapper, name, None, user)
        spool = vm.make_dir(user, "spool.", 0o1733)
        shim, reports = run_in(wrapper, name, spool, user)
        tiers = [lib.user_stream(report)["tier"] for report in reports]
        if (shim, tiers) != (plain, [tier]):
            wrong[name] = f"status {shim} for {plain}, tiers {tiers}"
    assert not wrong, wrong


ALONE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
TINI = [*ALONE, "tini", "--"]
# As a user: root of a user namespace of its own.
OWN = ["unshare", "--user", "--map-root-user", *ALONE[1:]]


@lib.deadline(300)
def test_one():
    """Process 1 of a namespace: reported before its death, same status"""
    vm.set_scope(1)
    check_in(ALONE, AS_ONE)


@lib.deadline(300)
def test_one_user():
    """The same in a user's own user namespace"""
    check_in(OWN, AS_ONE, user="tester")


@lib.deadline(300)
def test_one_untraced():
    """The same as a user whom Yama lets trace nobody: tier 2"""
    vm.set_scope(2)
    as_user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"]
    check_in([*ALONE, *as_user], AS_ONE, tier=2)


@lib.deadline(300)
def test_tini():
    """A tini that ends the namespace with its child does not end the report"""
    vm.set_scope(1)
    for _ in range(3):
        check_in(TINI, ("null-write", "abort", "breakpoint", "thread-null",
                        "raise-segv", "together"))


@lib.deadline(300)
def test_tini_user():
    """The same in a user's own user namespace"""
    check_in([*OWN, "tini", "--"], ("null-write", "abort", "thread-null"),
             user="tester")


@lib.deadline(120)
def test_one_sent():
    """A signal sent to process 1 does nothing there, with and without"""
    script = "for s in SEGV ABRT BUS FPE ILL TRAP SYS; do kill -$s $$; done;" \
        " exit 5"
    for spool in (None, vm.make_dir()):
        env = lib.clean_env(lib.shim_env(spool) if spool else None)
        done = subprocess.run([*ALONE, "/bin/sh", "-c", script], env=env,
                              timeout=30, check=False)
        assert done.returncode == 5, (spool, done)
    assert lib.spool_reports(spool) == []


# Control groups


def make_group(name, **limits):
    """A new control group with LIMITS written, `memory__max` for
    memory.max."""
    root = pathlib.Path("/sys/fs/cgroup")
    (root / "cgroup.subtree_control").write_text("+memory +pids")
    group = root / name
    group.mkdir()
    for file, value in limits.items():
        (group / file.replace("__", ".")).write_text(str(value))
    return group


def start_in(group, *args, spool):
    """The menu with ARGS under the shim, a member of GROUP."""
    def join():
        (group / "cgroup.procs").write_text(str(os.getpid()))

    return lib.start_under_shim([menu.PROGRAM, *args], spool=spool,
                                cwd=vm.make_dir(), preexec=join)


def events(group, file):
    """{event: count} of GROUP."""
    lines = (group / file).read_text().splitlines()
    return {key: int(value) for key, value in map(str.split, lines)}


def is_empty(group):
    return not (group / "cgroup.procs").read_text()


@lib.deadline(120)
def test_memory_returned():
    """A dead program's memory leaves its control group within a second"""
    group = make_group("returned")
    for _ in range(3):
        with start_in(group, "null-write", "3", "200",
                      spool=vm.make_dir()) as process:
            process.wait(reports=0)
            died = time.monotonic()
            lib.wait_for(lambda: int((group / "memory.current").read_text())
                         < 100 << 20, 10, "the memory to be given back")
            took = time.monotonic() - died
            lib.wait_for(lambda: is_empty(group), 10, "the helper to end")
            assert len(process.wait(reports=1).reports) == 1
        print(f"given back after {took * 1000:.0f} ms")
        assert took < 1, f"{took:.3f} s"


@lib.deadline(120)
def test_memory_full():
    """A program at its group's memory limit is reported, and no OOM comes"""
    group = make_group("full", memory__max=72 << 20, memory__swap__max=0)
    plain = lib.run_plain([menu.PROGRAM, "null-write", "3", "64"])
    with start_in(group, "null-write", "3", "64",
                  spool=vm.make_dir()) as process:
        outcome = process.wait()
    assert outcome.status == plain.status
    assert events(group, "memory.events")["oom_kill"] == 0
    assert lib.user_stream(outcome.report)["tier"] == 1


@lib.deadline(120)
def test_no_more_tasks():
    """pids.max leaves no room for a witness: tier 4, and flush finishes it"""
    group = make_group("alone", pids__max=1)
    spool = vm.make_dir()
    plain = lib.run_plain([menu.PROGRAM, "null-write"])
    with start_in(group, "null-write", spool=spool) as process:
        outcome = process.wait(reports=0)
    assert outcome.status == plain.status
    assert events(group, "pids.events")["max"] > 0
    assert len(list(spool.glob("*.raw"))) == 1, list(spool.iterdir())
    flushed = lib.epitaph("flush", "-s", spool, "-c", "http://127.0.0.1:9")
    reports = lib.spool_reports(spool)
    assert len(reports) == 1, (flushed, list(spool.iterdir()))
    meta = lib.user_stream(reports[0])
    assert meta["tier"] == 4, meta["tier_reason"]
    assert meta["signal"]["number"] == signal.SIGSEGV


@lib.deadline(120)
def test_one_more_task():
    """pids.max with room for the witness alone: its death, and one report"""
    group = make_group("two", pids__max=2)
    spool = vm.make_dir()
    with start_in(group, "null-write", spool=spool) as process:
        outcome = process.wait(reports=0)
    assert outcome.signal == signal.SIGSEGV
    lib.settle()
    if not lib.spool_reports(spool):
        lib.epitaph("flush", "-s", spool, "-c", "http://127.0.0.1:9")
    assert len(lib.spool_reports(spool)) == 1, list(spool.iterdir())


def test_group_killed():
    """cgroup.kill right after the death: no hang, and the report or none"""
    group = make_group("killed")
    for _ in range(10):
        with start_in(group, "null-write", "3",
                      spool=vm.make_dir()) as process:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            (group / "cgroup.kill").write_text("1")
            outcome = process.wait(reports=0)
        assert outcome.signal == signal.SIGSEGV
        assert len(outcome.reports) <= 1
    lib.wait_for(lambda: is_empty(group), 10, "the group to be empty")


# Threads that no signal reaches


class DeafMount:
    """A FUSE file system mounted on PATH that never answers: who has asked it
    waits, and once a signal comes, in state D."""

    def __init__(self, path):
        self.path = path
        self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0," \
            "allow_other"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"deaf", os.fsencode(path), b"fuse", 0,
                      options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "mount")
        self.answer_init()

    def answer_init(self):
        """Without this the kernel would not even ask."""
        length, opcode, unique = struct.unpack_from(
            "<IIQ", os.read(self.fd, 1 << 17))
        assert length and opcode == 26, opcode
        body = struct.pack("<IIIIHHIIHHI7I", 7, 31, 0, 0, 12, 10, 4096, 1,
                           32, 0, *[0] * 8)
        os.write(self.fd, struct.pack("<IiQ", 16 + len(body), 0, unique) +
                 body)

    def wait_asked(self):
        """Until there is a question. It is not taken: then the kernel would
        let nothing but an answer end the one who asked, not even SIGKILL."""
        assert select.select([self.fd], [], [], 30)[0], "nobody asks"

    def end(self):
        """Whoever waits gets an error."""
        os.close(self.fd)
        subprocess.run(["umount", "--lazy", self.path], check=False)


def check_stuck(ask, user):
    """A program whose second thread does ASK, which nobody answers, and whose
    first is sent a signal: reported in time, with both threads."""
    where = vm.make_dir()
    where.chmod(0o755)
    place = where / "deaf"
    place.mkdir()
    mount = DeafMount(place)
    script = "import os, signal, sys, threading\n" \
        f"threading.Thread(target=lambda: {ask}).start()\n" \
        "signal.pause()"
    try:
        with lib.start_under_shim(
                ["/usr/bin/python3", "-c", script, place / "x"],
                spool=vm.make_dir(user), cwd=vm.make_dir(user),
                preexec=vm.become(user)) as process:
            mount.wait_asked()
            begun = time.monotonic()
            process.kill(signal.SIGSEGV)
            outcome = process.wait()
            took = time.monotonic() - begun
    finally:
        mount.end()
    assert outcome.signal == signal.SIGSEGV
    assert took < 3, f"{took:.1f} s"
    meta = lib.user_stream(outcome.report)
    assert len(meta["threads"]) == 2, meta["threads"]
    return meta


@lib.deadline(120)
def test_stuck():
    """A thread that waits for a dead file system holds up no death"""
    vm.set_scope(1)
    for user in ("root", "tester"):
        meta = check_stuck("os.stat(sys.argv[1])", user)
        assert meta["tier"] == 1, meta["tier_reason"]


@lib.deadline(120)
def test_stuck_vfork():
    """A thread that waits for its vfork child holds up no death"""
    vm.set_scope(1)
    ask = "os.posix_spawn(sys.argv[1], ['x'], {})"
    for user in ("root", "tester"):
        meta = check_stuck(ask, user)
        assert meta["tier"] == 1, meta["tier_reason"]


@lib.deadline(120)
def test_stuck_untraced():
    """The same where nobody may trace, and no thread answers: tier 3"""
    vm.set_scope(2)
    meta = check_stuck("os.stat(sys.argv[1])", "tester")
    assert meta["tier"] == 3, meta["tier_reason"]


@lib.deadline(120)
def test_no_files():
    """The machine has no file left: root's crash is reported, a user's ends"""
    limit = pathlib.Path("/proc/sys/fs/file-max")
    was = limit.read_text()
    for user, reports in (("root", 1), ("tester", 0)):
        with lib.start_under_shim([menu.PROGRAM, "wait", "2"],
                                  spool=vm.make_dir(user),
                                  cwd=vm.make_dir(user),
                                  preexec=vm.become(user)) as process:
            lib.wait_for(lambda: b"waiting" in process.output())
            limit.write_text("1")
            try:
                begun = time.monotonic()
                process.kill(signal.SIGSEGV)
                outcome = process.wait(reports=reports)
                took = time.monotonic() - begun
            finally:
                limit.write_text(was)
        assert outcome.signal == signal.SIGSEGV
        assert took < 5, f"{took:.1f} s"
        assert len(outcome.reports) == reports, (user, outcome.reports)

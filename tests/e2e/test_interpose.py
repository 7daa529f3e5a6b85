"""What the program sees of its own signals under the shim: what it would see
without."""

import os
import pathlib
import signal
import subprocess

import lib

ENDS = lib.CRASHERS / "ends"
FILTERED = lib.CRASHERS / "filtered"
HANDLERS = lib.CRASHERS / "handlers"
MASKS = lib.CRASHERS / "masks"
MENU = lib.CRASHERS / "menu"
THREADS = lib.CRASHERS / "threads"


def compiled(name, source, *flags, compiler="gcc"):
    """The program or library NAME of SOURCE, in the test's directory."""
    path = pathlib.Path(os.getcwd()) / name
    path.with_suffix(".c").write_text(source)
    subprocess.run([compiler, "-O1", "-g", "-o", path,
                    path.with_suffix(".c"), *flags], check=True)
    return path


def same(program, name, reports=None, **options):
    """Outcome of PROGRAM NAME under the shim; status and output have to be
    those without it."""
    plain = lib.run_plain([program, name], **options)
    shim = lib.run_under_shim([program, name], reports=reports, **options)
    assert shim.stdout == plain.stdout, \
        f"{name}: {shim.stdout.decode()} for {plain.stdout.decode()}"
    assert shim.status == plain.status, \
        f"{name}: {shim.status} for {plain.status}"
    return shim


def same_life(program, name):
    """The same, where it survives and nothing is to be reported."""
    shim = same(program, name, reports=0)
    assert shim.signal == 0 and shim.reports == [], f"{name}: {shim}"
    return shim


def same_death(program, name, sig, function="null_write", **options):
    """The same, where it dies of SIG in FUNCTION, and that is reported."""
    shim = same(program, name, **options)
    assert shim.signal == sig, f"{name}: {shim.status}"
    symbolized = lib.symbolize(shim.report)
    assert symbolized["signal"]["number"] == sig, symbolized["signal"]
    names = lib.functions(lib.crashed_thread(symbolized))
    assert function in names, f"{name}: {names}"
    return symbolized


@lib.deadline(200)
def test_blocked_fault():
    """A fault whose signal is blocked or ignored is reported, not handled"""
    for name in ("blocked-fault", "blocked-handled-fault",
                 "blocked-all-fault", "blocked-thread-fault",
                 "blocked-in-ppoll", "by-number", "ignored-fault",
                 "masked-handler-fault"):
        death = same_death(MASKS, name, signal.SIGSEGV)
        assert death["signal"]["code"] == "SEGV_MAPERR", name
    shim = same(MASKS, "blocked-fork-fault", reports=1)
    assert len(shim.reports) == 1


@lib.deadline(200)
def test_blocked_sent():
    """A blocked signal that is sent waits, and is seen, as without the shim"""
    for name in ("sent-blocked", "sent-blocked-thread", "sent-ignored",
                 "wait-for-sent", "wait-first", "descriptor"):
        same_life(MASKS, name)
    death = same_death(MASKS, "sent-blocked-dies", signal.SIGBUS,
                       "sent_blocked_dies")
    assert death["signal"]["code"] == "SI_USER", death["signal"]


def test_blocked_outside():
    """A signal from outside waits until unblocked, and names its sender"""
    with lib.start_under_shim([MASKS, "sent-from-outside"]) as process:
        lib.wait_for(lambda: b"waiting" in process.output())
        process.kill(signal.SIGSEGV)
        lib.wait_for(lambda: b"pending" in process.output())
        process.kill(signal.SIGUSR1)
        outcome = process.wait()
    assert outcome.signal == signal.SIGSEGV, outcome
    assert b"never" not in outcome.stdout, outcome.stdout
    info = lib.symbolize(outcome.report)["signal"]
    assert info["code"] == "SI_USER" and info["address"] is None, info
    assert info["sender"]["pid"] == os.getpid(), info


@lib.deadline(200)
def test_lent_mask():
    """A mask for the length of a call lets what was held back come"""
    for name in ("suspend", "in-ppoll", "in-pselect", "in-epoll",
                 "in-epoll2", "jumped-mask", "returned-mask", "old-names"):
        same_life(MASKS, name)


@lib.deadline(200)
def test_inherited():
    """A program that is executed inherits mask and ignored signals"""
    for name in ("exec", "exec-list", "exec-environment", "exec-path",
                 "by-shell", "by-vfork"):
        shim = same(MASKS, name, reports=0)
        assert b"blocked 11" in shim.stdout, f"{name}: {shim.stdout}"
    same_death(MASKS, "spawned", signal.SIGSEGV)


@lib.deadline(200)
def test_handler_stack():
    """A handler finds itself on the stack, and finds the stack, it asked for"""
    for name in ("plain-stack", "no-stack-set", "own-stack-set",
                 "own-stack-unused", "far-below", "overflow-own-stack"):
        shim = same(HANDLERS, name, reports=0)
        assert shim.exit in (3, 7), f"{name}: {shim}"


@lib.deadline(200)
def test_moved_frame():
    """A moved frame keeps vectors, and lets jumps, swaps and nesting be"""
    for name in ("vectors", "jumps", "jumps-no-stack-set", "swaps", "nests"):
        assert same_life(HANDLERS, name).exit == 7, name
    assert b"kept 1000" in same_life(HANDLERS, "vectors").stdout


@lib.deadline(200)
def test_handler_without_room():
    """An overflow whose handler has no stack left is a death, and reported"""
    for name in ("overflow-plain", "overflow-no-stack-set",
                 "overflow-thread", "overflow-small-stack"):
        death = same_death(HANDLERS, name, signal.SIGSEGV, "overflow")
        assert death["signal"]["code"] in ("SEGV_MAPERR", "SEGV_ACCERR"), \
            f"{name}: {death['signal']}"
        assert death["signal"]["address"] not in (None, "0x0"), name


def test_questions():
    """What the program asks and sets is bit for bit what it would be"""
    for name in ("asks", "masks", "interrupts", "restarts"):
        same_life(HANDLERS, name)
    same_death(HANDLERS, "asks-by-number", signal.SIGSEGV)


def test_very_many():
    """A million faults that the program handles are no crash"""
    assert b"called 1000000" in same_life(HANDLERS, "very-many").stdout


@lib.deadline(200)
def test_abort():
    """abort() is reported also where SIGABRT is ignored, blocked or handled"""
    for name, function in (
            ("abort-ignored", "do_abort"), ("abort-blocked", "do_abort"),
            ("abort-returns", "do_abort"), ("abort-returns-once", "do_abort"),
            ("assert-returns", "assert_returns"),
            ("free-ignored", "malloc_printerr")):
        same_death(ENDS, name, signal.SIGABRT, function)
    assert same_life(ENDS, "abort-jumped").exit == 7


@lib.deadline(200)
def test_event_threads():
    """A thread that libc starts for an event has a stack for its overflow"""
    for name in ("timer", "queue", "list", "lookup"):
        same_death(THREADS, name, signal.SIGSEGV, "overflow")
    assert same_life(THREADS, "timers").exit == 7
    assert same_life(THREADS, "many-threads").exit == 7


@lib.deadline(200)
def test_thread_ends():
    """A crash in a destructor, a clean-up or after main is a crash"""
    for name, function in (("destructor", "null_write"),
                           ("destructor-overflow", "overflow"),
                           ("thrd-destructor", "overflow"),
                           ("cancelled", "null_write"),
                           ("main-gone", "null_write"),
                           ("at-exit", "null_write")):
        same_death(THREADS, name, signal.SIGSEGV, function)


def test_daemons():
    """A daemon that closed all descriptors is reported, and writes nothing"""
    assert same_death(THREADS, "closed", signal.SIGSEGV)
    shim = same(THREADS, "daemonized", reports=1)
    lib.settle()
    assert len(shim.reports) == 1 and b"grandchild 11" in shim.stdout


def test_before_main():
    """A crash before main, in the program or in a library, is a crash"""
    env = {"CRASH_BEFORE_MAIN": "1"}
    same_death(THREADS, "timer", signal.SIGSEGV, "call_init", env=env)
    library = """
        void early(void) {}
        __attribute__((constructor)) static void too_early(void)
        { *(volatile int *)16 = 1; }"""
    compiled("libearly.so", library, "-shared", "-fPIC")
    program = compiled("early", "void early(void);"
                       "int main(void) { early(); return 7; }",
                       "libearly.so", "-Wl,-rpath,$ORIGIN")
    same_death(program, "", signal.SIGSEGV, "too_early")


@lib.deadline(200)
def test_exit_in_handler():
    """A handler that ends the process by exit() is a crash, same status"""
    for name, status in (
            ("handler-leaves", 3), ("handler-leaves-by-c", 4),
            ("handler-leaves-by-number", 8), ("handler-exits", 0),
            ("handler-exits-quickly", 5), ("thread-leaves", 3),
            ("handler-forks", 3)):
        shim = same(ENDS, name, reports=1)
        assert shim.exit == status, f"{name}: {shim.status}"
        lib.settle()
        symbolized = lib.symbolize(shim.report)
        assert symbolized["signal"]["address"] == "0x10", name
        top = lib.functions(lib.crashed_thread(symbolized))[0]
        assert top == "null_write", f"{name}: {top}"
    shim = same(ENDS, "aborted-leaves", reports=1)
    assert lib.symbolize(shim.report)["signal"]["name"] == "SIGABRT"
    assert same_life(ENDS, "leaves-later").exit == 6
    assert same_life(ENDS, "leaves-below").exit == 6


@lib.deadline(200)
def test_musl():
    """The ends of a program that is linked with musl are reported as well"""
    lib.need("musl-gcc")
    program = compiled("ends", (lib.ROOT / "tests/crashers/ends.c").read_text(),
                       "-D_GNU_SOURCE", compiler="musl-gcc")
    for name in ("abort-ignored", "abort-returns", "fault-aborts"):
        assert same(program, name).report, name
    for name in ("handler-leaves", "handler-exits", "thread-leaves"):
        assert same(program, name, reports=1).report, name
    for name in ("abort-jumped", "leaves-later", "leaves-below"):
        same_life(program, name)


@lib.deadline(200)
def test_other_preloads():
    """Another preloaded library is left its work, before us or behind us"""
    handler = compiled("libhandler.so", """
        #include <signal.h>
        #include <string.h>
        #include <unistd.h>
        static void say(int sig)
        {
            if (write(1, "handler\\n", 8) == 8)
                signal(sig, SIG_DFL);
            raise(sig);
        }
        __attribute__((constructor)) static void install(void)
        {
            struct sigaction action;
            memset(&action, 0, sizeof(action));
            action.sa_handler = say;
            sigaction(SIGSEGV, &action, 0);
        }""", "-shared", "-fPIC")
    others = [handler] + [path for name in ("jemalloc", "tcmalloc_minimal")
                          for path in pathlib.Path(
                              "/usr/lib/x86_64-linux-gnu").glob(
                                  f"lib{name}.so.?")]
    for other in others:
        plain = lib.run_plain([MENU, "null-write", "3"],
                              {"LD_PRELOAD": other})
        for both in (f"{lib.SHIM}:{other}", f"{other}:{lib.SHIM}"):
            shim = lib.run_under_shim([MENU, "null-write", "3"],
                                      {"LD_PRELOAD": both})
            assert (shim.status, shim.stdout) == \
                (plain.status, plain.stdout), f"{both}: {shim}"
            symbolized = lib.symbolize(shim.report)
            assert symbolized["signal"]["address"] == "0x10", both


@lib.deadline(300)
def test_own_filter():
    """Under a filter that the program puts on itself its death is the same"""
    calls = ("arch_prctl clock_gettime clone execve futex getpid gettid "
             "openat,open prctl process_vm_readv ptrace readlink "
             "rt_sigaction rt_sigprocmask rt_tgsigqueueinfo sigaltstack "
             "tgkill write")
    # Without these there is nothing to be done, or nowhere to keep it.
    fatal = ("openat,open", "write", "getpid", "gettid", "rt_sigaction",
             "rt_sigprocmask")
    for action in ("eperm", "kill", "trap"):
        for call in calls.split():
            argv = [FILTERED, action, call, "-"]
            plain = lib.run_plain(argv)
            with lib.start_under_shim(argv) as process:
                shim = process.wait(reports=0)
            assert shim.status == plain.status == signal.SIGSEGV, \
                f"{action} {call}: {shim.status} for {plain.status}"
            raw = list(process.spool.glob("*.raw"))
            if action == "eperm" and call not in fatal:
                assert len(shim.reports) + len(raw) == 1, \
                    f"{action} {call}: {shim.reports} {raw}"
    plain = lib.run_plain([FILTERED, "strict"])
    shim = lib.run_under_shim([FILTERED, "strict"], reports=0)
    assert shim.status == plain.status == signal.SIGSEGV, shim

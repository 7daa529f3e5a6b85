"""What the program sees of its own signals under the shim: what it would see
without."""

import os
import signal

import lib

MASKS = lib.CRASHERS / "masks"


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


def same_death(program, name, sig, function="null_write"):
    """The same, where it dies of SIG in FUNCTION, and that is reported."""
    shim = same(program, name)
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
                 "blocked-in-ppoll", "ignored-fault",
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
        shim = same(MASKS, name, reports=0)
        assert shim.exit == 7 and shim.reports == [], f"{name}: {shim}"
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
        shim = same(MASKS, name, reports=0)
        assert shim.exit == 7 and shim.reports == [], f"{name}: {shim}"


@lib.deadline(200)
def test_inherited():
    """A program that is executed inherits mask and ignored signals"""
    for name in ("exec", "exec-list", "exec-environment", "exec-path",
                 "by-shell", "by-vfork"):
        shim = same(MASKS, name, reports=0)
        assert b"blocked 11" in shim.stdout, f"{name}: {shim.stdout}"
    same_death(MASKS, "spawned", signal.SIGSEGV)

#!/usr/bin/python3
"""Go: a runtime that installs its handlers by raw system calls, insists on
SA_ONSTACK, and forwards the faults of C code to who was there before it.
Debian's golang-go, and the tests of its standard library from golang-src.

A panic that nobody recovers, and a fault of C code that Go called, is no
signal's death: Go prints its goroutines and ends by a system call of its own,
so there is no report (docs/limits.md)."""

import json
import signal

import compare
import lib

PACKAGES = ["context", "os", "os/exec", "os/signal", "os/user",
            "runtime/debug", "sync", "sync/atomic", "syscall"]
# What of the runtime's own tests is about signals, faults, threads and stacks;
# they build and crash programs of their own.
RUNTIME = ("Signal|Sigaltstack|Cgo|Segv|Fault|Crash|Panic|Stack|Nil|Thread|"
           "Recover|Abort|Deadlock|Fatal|Preempt|Timer|Finalizer|Trap")
NO_THROW = r"\A(?![\s\S]*without SA_ONSTACK)"


def go_env(one):
    return {"GOCACHE": str(lib.BUILD / "programs/gocache"),
            "GOFLAGS": "-count=1", "GOTOOLCHAIN": "local",
            "GOPATH": str(one / "gopath"), "PATH": "/usr/bin:/bin"}


def package(name, *flags):
    """The tests of a package of the standard library: built once, outside of
    the shim, and then run. Go links what has no C in it statically, if not
    told otherwise, and then there is nothing to preload into."""
    binary = lib.temp_dir("go.") / "test"
    compare.build("go", "test", "-c", "-ldflags=-linkmode=external", "-o",
                  binary, name, env=go_env(binary.parent))
    assert b"/ld-linux" in binary.read_bytes()[:4096], f"{name} is static"

    def run(one, only):
        argv = ["go", "tool", "test2json", binary, "-test.v",
                "-test.timeout=600s", *flags]
        if only:
            tops = sorted({test.split("/")[0] for test in only})
            argv.append("-test.run=^(" + "|".join(tops) + ")$")
        _, text = one.run(argv, 700, cwd=f"/usr/lib/go-1.19/src/{name}",
                          env=go_env(one.where))
        return read(text)

    compare.test_by_test(f"{name}:", run)


def read(text):
    """Outcomes from what `go tool test2json` writes, a JSON object a line."""
    words = {"pass": "passed", "fail": "failed", "skip": "skipped"}
    found, said = {}, {}
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        test = event.get("Test", "all of it")
        if event["Action"] == "output":
            if not event["Output"].lstrip().startswith(("===", "---")):
                said[test] = said.get(test, "") + event["Output"]
        elif event["Action"] in words:
            found[test] = f"{words[event['Action']]}: {said.get(test, '')}"
    return found


def forwarded(meta):
    assert meta["reason"] == "null pointer write at 0x10", meta["reason"]


def cases():
    where = lib.temp_dir("go.")
    faults = where / "faults"
    compare.build("go", "build", "-o", faults, compare.HERE / "go/faults.go",
                  env=go_env(where))
    abrt = signal.SIGABRT
    compare.case("160,000 nil dereferences on 8 goroutines are recovered",
                 [faults, "storm"], 0, exit=0, says=["all recovered"])
    compare.case("sent signals go to the channel that asked for them",
                 [faults, "notified"], 0, exit=0,
                 says=["got segmentation fault\ngot aborted\ngot user"])
    compare.case("a nil dereference that nobody recovers ends with status 2",
                 [faults, "nil"], 0, exit=2, says=["nil pointer dereference"])
    compare.case("the same, where Go is told to crash, is a report",
                 [faults, "nil"], 1, sig=abrt, env={"GOTRACEBACK": "crash"},
                 says=["nil pointer dereference"])
    compare.case("a stack that grows too far ends with status 2",
                 [faults, "overflow"], 0, exit=2, says=["stack overflow"])
    for word in ("cgo", "threads"):
        said = [NO_THROW, "unexpected signal during runtime execution"]
        compare.case(f"a fault in C that Go called ends with status 2, {word}",
                     [faults, word], 0, exit=2, says=said)
        # It has left its handler by then, so that is what the report is of.
        compare.case(f"the same, where Go is told to crash, {word}",
                     [faults, word], 1, sig=abrt, says=said,
                     env={"GOTRACEBACK": "crash"})
    shared(where)


def shared(where):
    """Go as a library of a C program."""
    compare.build("go", "build", "-buildmode=c-shared", "-o",
                  where / "libshared.so", compare.HERE / "go/shared.go",
                  env=go_env(where))
    program = where / "shared"
    compare.build("gcc", "-O1", "-g", "-o", program, f"-I{where}",
                  compare.HERE / "go/shared_main.c", where / "libshared.so",
                  f"-Wl,-rpath,{where}")
    compare.case("a fault of a C program with Go in a library", [program], 1,
                 sig=signal.SIGSEGV, check=forwarded,
                 says=[NO_THROW, "recovered 1000\nrecovered 1000"])
    compare.case("the same, with a handler in Go's place, which gives up",
                 [program, "handler"], 1, sig=signal.SIGSEGV,
                 says=[NO_THROW, "recovered 1000\nhandled"])


compare.need("go", "gcc")
cases()
for each in PACKAGES:
    package(each)
package("runtime", f"-test.run={RUNTIME}", "-test.short")

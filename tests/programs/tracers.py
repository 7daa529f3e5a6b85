#!/usr/bin/python3
"""Programs that trace others, or run them: gdb, strace and valgrind. The
debugger sees the signal first, nothing hangs, and the report says that there
was a tracer, or that it could not have all it wanted."""

import signal

import compare
import lib


# Whoever is traced cannot be traced by our witness as well: it has the
# crashing thread and no other.
TIERS = (1, 2, 3)


def gdb(victim):
    """gdb sees the fault first. What we queue then to die of is a signal as
    well, so under the shim it stops once more."""
    def argv(env):
        settings = [f"set environment {name} {value}"
                    for name, value in env.items()]
        commands = ["set debuginfod enabled off", *settings, "run",
                    "print $_siginfo._sifields._sigfault.si_addr", "bt",
                    "python exec('while gdb.selected_inferior().pid: "
                    "gdb.execute(\"continue\")')"]
        return ["gdb", "-nx", "-batch", *(word for command in commands
                                         for word in ("-ex", command)),
                "--args", victim, "main"]

    compare.case("gdb: a fault", argv, 1, tiers=TIERS, says=[
        r"received signal SIGSEGV[\s\S]*\(void \*\) 0x10\s+#0 .*main "
        r"\([\s\S]*terminated with signal SIGSEGV"])


def strace(victim):
    for word in ("main", "thread"):
        def argv(env):
            settings = [each for item in env.items()
                        for each in ("-E", "=".join(map(str, item)))]
            return ["strace", "-f", "-o", "trace", *settings, victim, word]

        compare.case(f"strace: a fault in {word}", argv, 1,
                     sig=signal.SIGSEGV, tiers=TIERS,
                     files=["trace"])


def valgrind(victim):
    argv = ["valgrind", "--error-exitcode=9", victim]
    compare.case("valgrind: a program", argv, 0, exit=0,
                 says=["worked", "ERROR SUMMARY: 0 errors"])
    # There no process can be cloned, so it is the crashing thread alone.
    compare.case("valgrind: a fault", [*argv, "main"], 1,
                 sig=signal.SIGSEGV, tiers=(4,),
                 says=["Invalid write of size 4", "Access not within mapped|"
                       "Process terminating with default action"])


compare.need("gdb", "strace", "valgrind", "gcc")
program = lib.temp_dir("c.") / "victim"
compare.build("gcc", "-O1", "-g", "-w", "-pthread", "-o", program,
              compare.HERE / "c/victim.c")
gdb(program)
strace(program)
valgrind(program)

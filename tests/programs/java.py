#!/usr/bin/python3
"""OpenJDK: HotSpot makes NullPointerException, StackOverflowError and its
safepoints out of SIGSEGV, and writes hs_err_pid*.log when it is the one that
crashes; with libjsig, in front of the shim and behind it, and without.
Debian's openjdk-17-jdk-headless."""

import pathlib
import signal

import compare
import lib

JDK = pathlib.Path("/usr/lib/jvm/java-17-openjdk-amd64")
JSIG = JDK / "lib/libjsig.so"
CRASHED = ["A fatal error has been detected", "hs_err_pid"]


def forwarded(meta):
    assert meta["reason"] == "null pointer write at 0x10", meta["reason"]


def cases(where, preload, how):
    java = [JDK / "bin/java", "-Xmx256m", f"-Djava.library.path={where}",
            "-cp", where]

    def case(name, word, reports, *options, **expected):
        compare.case(f"{name}{how}", [*java, *options, "Faults", word],
                     reports, preload=preload, **expected)

    case("160,000 NullPointerExceptions on 8 threads", "storm", 0, exit=0,
         says=["all caught"])
    case("51 StackOverflowErrors", "overflow", 0, exit=0, says=["all caught"])
    case("200 collections beside a spinning thread", "safepoints", 0, exit=0,
         says=["spun true"])
    for word in ("native", "thread"):
        case(f"a fault in JNI code, {word}", word, 1, sig=signal.SIGABRT,
             says=CRASHED, files=["hs_err_pid*.log"], check=forwarded)
        case(f"the same, {word}, where HotSpot is to exit", word, 1,
             "-XX:-CreateCoredumpOnCrash", exit=1, says=CRASHED,
             files=["hs_err_pid*.log"], check=forwarded)
    case("an abort in JNI code", "abort", 1, sig=signal.SIGABRT)


compare.need(JDK / "bin/javac", "gcc")
classes = lib.temp_dir("java.")
compare.build(JDK / "bin/javac", "-d", classes,
              compare.HERE / "java/Faults.java")
compare.build("gcc", "-O1", "-g", "-shared", "-fPIC", "-o",
              classes / "libfaults.so", f"-I{JDK}/include",
              f"-I{JDK}/include/linux", compare.HERE / "java/faults.c")
cases(classes, None, "")
cases(classes, ["SHIM", JSIG], ", libjsig after the shim")
cases(classes, [JSIG, "SHIM"], ", libjsig before the shim")

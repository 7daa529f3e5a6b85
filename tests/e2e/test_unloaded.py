"""Libraries that a program has unloaded, and code that still runs there."""

import os
import re
import shutil
import signal

import lib

FILTERED = lib.CRASHERS / "filtered"
UNLOADED_LIST = 14

# Does what its arguments say, one after the other: "+PATH" opens a library,
# "=NAME" prints and keeps the address of a function of the last one, "-N"
# closes the Nth library. Of the Nth function, "!N" calls it, and ":N" in a
# thread, until it runs; "?N" reads a byte of it; "@N" maps a page of zeros
# where it was, and "*N" one of code that is illegal. "w" waits.
ACTOR = r"""
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *libraries[1024], *functions[1024];
static unsigned nlibraries, nfunctions;
volatile int sink;

static void call(unsigned n)
{
    void (*function)(void);

    memcpy(&function, &functions[n], sizeof(function));
    function();
    sink++;
}

static void *call_in_thread(void *n)
{
    call(*(unsigned *)n);
    return NULL;
}

static void start(unsigned n)
{
    static unsigned number;
    pthread_t thread;

    number = n;
    pthread_create(&thread, NULL, call_in_thread, &number);
    while (!*(volatile int *)dlsym(libraries[n], "running"))
        usleep(1000);
}

static void map(unsigned n, int byte, int protection)
{
    uintptr_t page = (uintptr_t)functions[n] & ~4095ul;
    void *at = mmap((void *)page, 4096, PROT_READ | PROT_WRITE,
                    MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at != (void *)page)
        exit(3);
    memset(at, byte, 4096);
    mprotect(at, 4096, protection);
}

static void open_library(const char *path)
{
    libraries[nlibraries] = dlopen(path, RTLD_NOW);
    if (!libraries[nlibraries++]) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
}

static void find(const char *name)
{
    functions[nfunctions] = dlsym(libraries[nlibraries - 1], name);
    printf("%p\n", functions[nfunctions++]);
    fflush(stdout);
}

static void act(const char *what)
{
    unsigned n = (unsigned)atoi(what + 1);

    switch (*what) {
    case '+': open_library(what + 1); break;
    case '=': find(what + 1); break;
    case '-': dlclose(libraries[n]); break;
    case '@': map(n, 0, PROT_READ); break;
    case '*': map(n, 0x06, PROT_READ | PROT_EXEC); break;
    case '?': sink += *(volatile char *)functions[n]; break;
    case '!': call(n); break;
    case ':': start(n); break;
    case 'w': pause(); break;
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        act(argv[i]);
    return 0;
}
"""

# NAME is its one function, at the same place in each such library.
LIBRARY = r"""
int running, count;
__attribute__((noinline)) static void inner(void) { count++; }
void NAME(void)
{
    inner();
    count--;
#ifdef CRASH
    *(volatile int *)16 = 0;
#endif
#ifdef SPIN
    for (running = 1;;)
        inner();
#endif
}
#ifdef NEEDS
void NEEDS(void);
void also(void) { NEEDS(); }
#endif
#ifdef CLOSES
#include <dlfcn.h>
__attribute__((destructor)) static void end(void)
{
    void *other = dlopen(CLOSES, RTLD_NOW);
    if (other)
        dlclose(other);
}
#endif
"""
FIRST_LINE = 1 + LIBRARY.split("\n").index("    inner();")
CALL_LINE = 1 + ACTOR.split("\n").index("    function();")


def compiled(where, name, source, *flags, compiler="gcc"):
    path = where / name
    text = path.with_suffix(".c")
    text.write_text(source)
    done = lib.run_plain([compiler, "-O1", "-g", "-o", path, text, *flags],
                         cwd=where)
    assert done.exit == 0, done.stderr.decode()
    return path


def actor():
    return compiled(lib.temp_dir("actor."), "actor", ACTOR, "-D_GNU_SOURCE",
                    "-pthread")


def library(where, name, *flags):
    """The library NAME.so in WHERE; its function has that name, too."""
    return compiled(where, f"{name}.so", LIBRARY, "-shared", "-fPIC",
                    "-fno-optimize-sibling-calls", f"-DNAME={name}", *flags)


def run(*acts, program=None, **options):
    """(outcome, symbolized report) of the actor, or PROGRAM, that does ACTS.
    """
    outcome = lib.run_under_shim([program or actor(), *acts], **options)
    assert outcome.signal, (outcome.status, outcome.stderr)
    return outcome, lib.symbolize(outcome.report)


def frames(report):
    """(function, module, line, whether it is unloaded) of the innermost two.
    """
    return [(frame["function"], frame["module"], frame["line"],
             "unloaded" in frame["flags"])
            for frame in lib.crashed_thread(report)["frames"][:2]]


def paths(report):
    return [module["path"] for module in report["unloaded"]]


def called(name):
    """What frames() gives where the actor called NAME of NAME.so, unloaded."""
    return [(name, f"{name}.so", FIRST_LINE, True),
            ("call", "actor", CALL_LINE, False)]


def test_call():
    """A call into an unloaded library has function, file, line, its caller"""
    where = lib.temp_dir("gone.")
    path = library(where, "first")
    acts = [f"+{path}", "=first", "-0", "!0"]
    program = actor()
    outcome, report = run(*acts, program=program)
    address = outcome.stdout.decode().strip()
    assert frames(report) == called("first"), frames(report)
    top = lib.crashed_thread(report)["frames"][0]
    assert top["pc"] == address and top["trust"] == "context", top
    assert top["file"] == str(path.with_suffix(".c")), top
    listed, = report["unloaded"]
    assert listed["path"] == str(path) and listed["symbols"] == "found"
    assert listed["build_id"] == top["build_id"] == build_id(path), listed
    assert int(top["pc"], 16) - int(top["offset"], 16) == \
        int(listed["base"], 16), (top, listed)
    assert report["reason"] == f"jump to unloaded {path} at {address}"
    assert report["fingerprint"]["title"].startswith("first | "), report
    text = lib.epitaph_ok("symbolize", outcome.report)
    assert re.search(r"#0 .* in first \(first.so\) at \S+/first.c:\d+ "
                     r"\[unloaded\]\n", text), text
    # Elsewhere next time, and yet the same.
    again, other = run(*acts, program=program)
    assert again.stdout != outcome.stdout
    assert other["fingerprint"]["exact"] == report["fingerprint"]["exact"]


def build_id(path):
    text = lib.run_plain(["readelf", "-n", path]).stdout.decode()
    return re.search(r"Build ID: ([0-9a-f]+)", text)[1]


def test_read():
    """A read of what an unloaded library held says whose it was"""
    path = library(lib.temp_dir("gone."), "first")
    outcome, report = run(f"+{path}", "=count", "-0", "?0")
    at = outcome.stdout.decode().strip()
    assert report["reason"] == f"read from unloaded {path} at {at}", report
    assert frames(report)[0][:2] == ("act", "actor"), frames(report)


def test_no_file():
    """An unloaded library without a file is named, and its symbols missed"""
    path = library(lib.temp_dir("gone."), "first")
    identity = build_id(path)
    outcome = lib.run_under_shim([actor(), f"+{path}", "=first", "-0", "!0"])
    os.unlink(path)
    top = lib.crashed_thread(lib.symbolize(outcome.report))["frames"][0]
    assert top["function"] is None and top["module"] == "first.so", top
    text = lib.epitaph_ok("symbolize", outcome.report)
    assert f"no symbols for {path} (build-id {identity})" in text, text
    text = lib.epitaph_ok("symbols", "missing", outcome.report)
    assert identity in text and str(path) in text, text


def test_relative():
    """A library that was opened by a relative path has its whole path"""
    where = lib.temp_dir("gone.")
    library(where, "first")
    _, report = run("+./first.so", "=first", "-0", "!0", cwd=where)
    assert paths(report) == [str(where / "first.so")], report["unloaded"]
    assert frames(report) == called("first"), frames(report)


def test_reloaded():
    """A library that is loaded again is unloaded where it was, if elsewhere"""
    path = library(lib.temp_dir("gone."), "first")
    outcome, report = run(f"+{path}", "=first", "-0", "@0", f"+{path}",
                          "=first", "!0")
    old, new = outcome.stdout.decode().split()
    assert old != new
    assert frames(report) == called("first"), frames(report)
    assert paths(report) == [str(path)], report["unloaded"]
    assert "non-executable" in report["reason"], report["reason"]
    path = library(lib.temp_dir("gone."), "again", "-DCRASH")
    outcome, report = run(f"+{path}", "=again", "-0", f"+{path}", "=again",
                          "!0")
    old, new = outcome.stdout.decode().split()
    assert old == new
    assert frames(report)[0][3] is False, frames(report)
    assert report["unloaded"] == [], report["unloaded"]


def test_same_place():
    """Where one library was loaded in another's place, the later one counts"""
    where = lib.temp_dir("gone.")
    first = library(where, "first", "-DCRASH")
    second = library(where, "again", "-DCRASH")
    acts = [f"+{first}", "=first", "-0", f"+{second}", "=again"]
    outcome, report = run(*acts, "!0")
    assert len(set(outcome.stdout.split())) == 1, outcome.stdout
    assert frames(report)[0][0] == "again", frames(report)
    assert frames(report)[0][3] is False, frames(report)
    assert paths(report) == [str(first)], report["unloaded"]
    _, report = run(*acts, "-1", "!0")
    assert frames(report)[0][0] == "again", frames(report)
    assert frames(report)[0][3] is True, frames(report)
    assert paths(report) == [str(second), str(first)], report["unloaded"]
    # The first once more; and the second, after others have come and gone.
    _, report = run(*acts, "-1", f"+{first}", "-2", "!0")
    assert frames(report)[0][0] == "first", frames(report)
    others = [library(where, name) for name in ("third", "fourth")]
    _, report = run(*acts, f"+{others[0]}", "-2", f"+{others[1]}", "-3", "-1",
                    "!0")
    assert frames(report)[0][0] == "again", frames(report)


def test_replaced_place():
    """Code that the program made where a library was is not the library's"""
    path = library(lib.temp_dir("gone."), "first")
    outcome, report = run(f"+{path}", "=first", "-0", "*0", "!0")
    assert outcome.signal == signal.SIGILL, outcome
    assert frames(report)[0] == (None, None, None, False), frames(report)
    assert report["unloaded"] == [], report["unloaded"]


def test_dependencies():
    """Libraries that go with another, or while it goes, are known as well"""
    where = lib.temp_dir("gone.")
    library(where, "needed", "-Wl,-soname,needed.so")
    other = library(where, "other")
    first = library(where, "first", "-DNEEDS=needed", "needed.so",
                    "-Wl,-rpath,$ORIGIN", f'-DCLOSES="{other}"')
    _, report = run(f"+{first}", "=needed", "-0", "!0")
    assert frames(report) == called("needed"), frames(report)
    assert sorted(paths(report)) == [
        str(where / name) for name in ("first.so", "needed.so", "other.so")]


@lib.deadline(240)
def test_many():
    """Of hundreds that were loaded and unloaded the latest are known"""
    where = lib.temp_dir("gone.")
    first = library(where, "first")
    copies = [shutil.copy(first, where / f"copy{i}.so") for i in range(300)]
    acts = []
    for i, copy in enumerate(copies):
        acts += [f"+{copy}", "=first", f"-{i}"]
    program = actor()
    outcome, report = run(*acts, "!299", program=program)
    assert len(set(outcome.stdout.split())) < 10, "not in one place"
    assert frames(report)[0] == ("first", "copy299.so", FIRST_LINE, True), \
        frames(report)
    assert paths(report) == [str(c) for c in reversed(copies[44:])]
    # One that was there all the time, and goes last.
    stays = shutil.copy(first, where / "stays.so")
    acts = [f"+{stays}", "=first", *acts]
    acts = [f"-{int(a[1:]) + 1}" if a[0] == "-" else a for a in acts]
    _, report = run(*acts, "-0", "!0", program=program)
    assert frames(report)[0] == ("first", "stays.so", FIRST_LINE, True), \
        frames(report)
    # All at once: what does not fit is not known, and nothing breaks.
    acts = [act for i, copy in enumerate(copies)
            for act in (f"+{copy}", "=first")]
    acts += [f"-{i}" for i in range(300)]
    _, report = run(*acts, "!0", program=program)
    assert frames(report)[0] == ("first", "copy0.so", FIRST_LINE, True), \
        frames(report)
    assert len(report["unloaded"]) == 256, len(report["unloaded"])


def test_thread_in_it():
    """A thread that runs on in a library as it is unloaded is shown in it"""
    path = library(lib.temp_dir("gone."), "first", "-DSPIN")
    _, report = run(f"+{path}", "=first", ":0", "-0", "w")
    top = lib.crashed_thread(report)["frames"][0]
    assert top["function"] in ("first", "inner"), top
    assert top["module"] == "first.so" and "unloaded" in top["flags"], top
    assert report["reason"].startswith(f"jump to unloaded {path} at "), report


def test_without_helper():
    """A raw record keeps what was unloaded, too"""
    path = library(lib.temp_dir("gone."), "first")
    spool = lib.temp_dir("spool.")
    outcome = lib.run_under_shim(
        [FILTERED, "eperm", "clone", actor(), f"+{path}", "=first", "-0",
         "!0"], spool=spool, reports=0)
    assert outcome.signal == signal.SIGSEGV, outcome
    assert len(list(spool.glob("*.raw"))) == 1, os.listdir(spool)
    lib.epitaph("flush", "-s", spool, "-c", "http://127.0.0.1:9")
    report = lib.symbolize(lib.spool_reports(spool)[0])
    assert report["tier"] == 4, report["tier"]
    assert frames(report) == called("first"), frames(report)


def test_collector():
    """The collector groups by the unloaded function, and its page says so"""
    path = library(lib.temp_dir("gone."), "first")
    outcome = lib.run_under_shim([actor(), f"+{path}", "=first", "-0", "!0"])
    with lib.Collector() as collector:
        collector.post_report(outcome.report)
        group = lib.wait_for(lambda: next(
            (g for g in collector.groups()
             if g["title"].startswith("first | ")), None))
        document = collector.group(group["id"])["report"]
        assert frames(document) == called("first"), frames(document)
        assert document == lib.symbolize(outcome.report)
        page = collector.get(f"/g/{group['id']}").text
        assert "first</span> <span class=bad>unloaded</span>" in page, page
        assert "Unloaded modules" in page and str(path) in page, page


def test_other_readers():
    """Other readers of minidumps find the unloaded modules, or are not hurt"""
    path = library(lib.temp_dir("gone."), "first")
    outcome, report = run(f"+{path}", "=first", "-0", "!0")
    dump = lib.unpack(outcome.report)
    stream = lib.streams(dump)[UNLOADED_LIST]
    assert len(stream) == 12 + 24, stream
    assert stream[:12] == bytes([12, 0, 0, 0, 24, 0, 0, 0, 1, 0, 0, 0])
    base, = report["unloaded"]
    assert int.from_bytes(stream[12:20], "little") == int(base["base"], 16)
    assert str(path).encode("utf-16-le") in dump
    found = lib.lldb_frames(lib.plain_dump(outcome.report))
    assert found[0] == lib.pcs(lib.crashed_thread(report))[0], found


def test_python():
    """Python's ctypes unloads a library: a call into it has its name"""
    script = ("import ctypes, _ctypes; "
              "library = ctypes.CDLL('libbz2.so.1.0'); "
              "version = library.BZ2_bzlibVersion; "
              "_ctypes.dlclose(library._handle); version()")
    outcome = lib.run_under_shim(["python3", "-c", script])
    report = lib.symbolize(outcome.report)
    assert frames(report)[0][:2] == ("BZ2_bzlibVersion", "libbz2.so.1.0"), \
        frames(report)
    assert "unloaded" in lib.crashed_thread(report)["frames"][0]["flags"]


# What a program can see of dlclose: what it returns and leaves in errno and
# dlerror, in which order destructors run, what they may do, and that of several
# threads, of children, and of a constructor before main.
CLOSER = r"""
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void *open_library(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    printf("open %s: %s\n", path, library ? "there" : dlerror());
    return library;
}

static void close_library(const char *what, void *library)
{
    errno = 77;
    int result = dlclose(library), error = errno;
    const char *text = dlerror();
    printf("close %s: %d, errno %d, %s\n", what, result, error,
           text ? text : "no error");
}

static void count(void)
{
    void *one = open_library("./nested.so"), *two = open_library("./nested.so");
    close_library("one of two", one);
    printf("%s\n", dlsym(two, "value") ? "still there" : "gone");
    close_library("the other", two);
    void *loaded = dlopen("./nested.so", RTLD_NOW | RTLD_NOLOAD);
    printf("%s\n", loaded ? "still there" : "gone");
    if (loaded)
        close_library("what stays", loaded);
    close_library("nodelete", dlopen("./second.so",
                                     RTLD_NOW | RTLD_NODELETE));
    close_library("the program", dlopen(NULL, RTLD_NOW));
}

static void fail(void)
{
    void *libc = dlopen(LIBC, RTLD_NOW);
    close_library("libc", libc);
#ifdef __GLIBC__
    close_library("libc again", libc);
#endif
    printf("%s\n", dlopen("./not-there.so", RTLD_NOW) ? "there" : "none");
    close_library("after an error", dlopen("./second.so", RTLD_NOW));
}

static void *open_and_close(void *path)
{
    long failures = 0;
    for (int i = 0; i < 200; i++) {
        void *library = dlopen(path, RTLD_NOW);
        int *value = library ? dlsym(library, "value") : NULL;
        failures += !value || *value != 5 || dlclose(library) != 0;
    }
    return (void *)failures;
}

static void together(void)
{
    static char *const paths[] = {
        "./second.so", "./third.so", "./third.so", "./fifth.so",
    };
    pthread_t threads[4];
    void *failures;

    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, open_and_close, paths[i]);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &failures);
        printf("thread %d: %ld failures\n", i, (long)failures);
    }
}

static void in_children(void)
{
    void *library = open_library("./second.so");
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close_library("in a child", library);
        close_library("another in a child", open_library("./third.so"));
        fflush(stdout);
        _exit(3);
    }
    waitpid(pid, &status, 0);
    printf("child: %x\n", status);
    /* It has our memory, and closes our library. */
    pid = vfork();
    if (pid == 0)
        _exit(dlclose(library) == 0 ? 4 : 5);
    waitpid(pid, &status, 0);
    printf("child: %x\n", status);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    close_library("nested", open_library("./nested.so"));
    count();
    fail();
    together();
    in_children();
    return 0;
}
"""

# Threads that open and close while children are forked that close as well: in
# these, which do not have those threads, whatever lock they held stays held.
FORKER = r"""
#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static void *open_and_close(void *path)
{
    for (;;)
        dlclose(dlopen(path, RTLD_NOW));
}

int main(void)
{
    static char *const paths[] = { "./third.so", "./fifth.so" };
    void *held = dlopen("./second.so", RTLD_NOW);
    int status = 0;

    dlopen("./second.so", RTLD_NOW);
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, open_and_close, paths[i % 2]);
    }
    for (int i = 0; i < 1000 && status == 0; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(10);
            _exit(dlclose(held));
        }
        waitpid(pid, &status, 0);
    }
    _exit(status != 0);
}
"""

CLOSED = r"""
#include <dlfcn.h>
#include <stdio.h>
int value = 5;
#ifdef NESTED
static void *held;
__attribute__((constructor)) static void start(void)
{
    held = dlopen("./second.so", RTLD_NOW);
    void *other = dlopen("./third.so", RTLD_NOW);
    printf("nested starts: %d\n", dlclose(other));
}
__attribute__((destructor)) static void end(void)
{
    printf("nested ends: %d\n", dlclose(held));
    void *other = dlopen("./fourth.so", RTLD_NOW);
    printf("opens in the end: %s\n", other ? "there" : dlerror());
    if (other)
        printf("closes in the end: %d\n", dlclose(other));
}
#elif !defined QUIET
__attribute__((constructor)) static void start(void) { puts(NAME " starts"); }
__attribute__((destructor)) static void end(void) { puts(NAME " ends"); }
#endif
"""


def closer(compiler, libc):
    """The directory of a closer and its libraries, for LIBC."""
    where = lib.temp_dir("closer.")
    for name, flag in (("nested", "-DNESTED"), ("second", '-DNAME="second"'),
                       ("third", "-DQUIET"), ("fourth", '-DNAME="fourth"'),
                       ("fifth", "-DQUIET")):
        compiled(where, f"{name}.so", CLOSED, "-shared", "-fPIC", flag,
                 compiler=compiler)
    compiled(where, "closer", CLOSER, "-D_GNU_SOURCE", "-pthread",
             f'-DLIBC="{libc}"', compiler=compiler)
    return where


def same_closing(compiler, libc):
    """What the closer prints, which is the same with the shim and without."""
    where = closer(compiler, libc)
    plain = lib.run_plain(["./closer"], cwd=where)
    shim = lib.run_under_shim(["./closer"], cwd=where)
    assert (shim.status, shim.stdout, shim.stderr) == \
        (plain.status, plain.stdout, plain.stderr), (shim, plain)
    assert plain.exit == 0, plain
    return plain.stdout.decode()


def test_closing():
    """What dlclose returns, leaves behind and calls is the same"""
    text = same_closing("gcc", "libc.so.6")
    assert "closes in the end: 0\nsecond ends\nfourth ends\n" \
        "close nested: 0, errno 77, no error\n" in text, text
    assert re.search("libc again: -1, errno 77, .*: shared object not open",
                     text), text


@lib.deadline(200)
def test_closing_in_child():
    """dlclose in a child does not wait for threads that it does not have"""
    where = closer("gcc", "libc.so.6")
    compiled(where, "forker", FORKER, "-pthread")
    assert lib.run_plain(["./forker"], cwd=where).exit == 0
    assert lib.run_under_shim(["./forker"], cwd=where).exit == 0


def test_closing_musl():
    """musl's dlclose, which unloads nothing, is the same as well"""
    lib.need("musl-gcc")
    text = same_closing("musl-gcc", "libc.so")
    assert "the other: 0, errno 77, no error\nstill there\n" in text, text

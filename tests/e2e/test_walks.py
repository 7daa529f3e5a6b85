"""Frames that are known to be hard to walk, made by real compilers and linkers:
live or as a core they are what gdb finds, or better. docs/unwinding.md lists
all of those cases and their tests."""

import ctypes
import os
import re
import shutil

import lib
import walks

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2
SYS_PIVOT_ROOT = 155

STACKS = lib.ROOT / "tests/crashers/stacks.c"

# What each program ends in: it says so and waits.
HEAD = """
#include <alloca.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#define FRAME __attribute__((noinline)) static
static volatile int sink;
FRAME void wait_here(void)
{
    puts("ready");
    fflush(stdout);
    while (!sink)
        pause();
}
FRAME void on_fault(int sig) { wait_here(); sink += sig; }
FRAME void handle(int sig) { signal(sig, on_fault); }
"""


def build(source, *flags, compiler="gcc", suffix="c"):
    lib.need(compiler)
    where = lib.temp_dir("built.")
    path = where / f"program.{suffix}"
    path.write_text(source)
    done = lib.run_plain([compiler, "-g", *flags, path, "-o",
                          where / "program", "-ldl"])
    assert done.exit == 0, done.stderr.decode()
    return where / "program"


def names(thread):
    return [frame["function"] for frame in thread["frames"]
            if lib.is_physical(frame)]


def trust_of(thread, function):
    """Of the outermost frame of FUNCTION."""
    return [frame["trust"] for frame in thread["frames"]
            if frame["function"] == function][-1]


def agree(subject):
    """The one thread of SUBJECT, which gdb sees just so."""
    compared = walks.compare(subject, walks.by_gdb)
    assert not compared.differences, compared.differences
    thread, = compared.threads.values()
    assert thread["truncated"] is None, thread
    return thread


def look(program, *args, check=agree, **options):
    """What CHECK says of PROGRAM, once it waits."""
    with lib.Process([program, *args], **options) as process:
        lib.wait_for(lambda: b"ready" in process.output(), what="ready")
        return check(walks.Subject(process.pid))


def ours(subject):
    thread, = walks.by_epitaph(subject).values()
    return thread


def die(program, *args):
    """The core that PROGRAM leaves by itself."""
    lib.need_cores()
    where = lib.temp_dir("core.")
    outcome = lib.run_plain([program, *args], cwd=where, cores=True)
    assert outcome.signal, outcome
    return walks.Subject(None, lib.core_in(where), program)


SHAPES = HEAD + """
FRAME void with_alloca(int n)
{
    volatile char *at = alloca(n);
    at[0] = at[n - 1] = 1;
    wait_here();
    sink += at[0];
}
FRAME void with_array(int n)
{
    volatile char at[n];
    at[0] = at[n - 1] = 1;
    with_alloca(n + at[0]);
    sink += at[0];
}
FRAME void aligned(int n)
{
    volatile char at[256] __attribute__((aligned(256)));
    at[n] = 1;
    with_array(n + at[n]);
    sink += at[n];
}
FRAME void aligned_alloca(int n)
{
    volatile char at[64] __attribute__((aligned(64)));
    volatile char *more = alloca(n);
    at[n % 64] = more[0] = 1;
    aligned(n + at[n % 64]);
    sink += at[n % 64] + more[0];
}
/* More values than registers, so that rbp is one of them. */
FRAME long crowded(long a, long b, long c, long d, long e, long f)
{
    long g = a * b, h = c * d, i = e * f, j = a * c, k = b * d;
    aligned_alloca((int)(17 + sink));
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k;
}
int main(int argc, char **argv)
{
    (void)argv;
    sink += (int)crowded(argc, 2, 3, 4, 5, 6);
    return 0;
}
"""


def test_shapes():
    """alloca, arrays of any length, aligned stacks, rbp as data: as by gdb"""
    for compiler in ("gcc", "clang"):
        for flags in (["-O0"], ["-O2", "-fomit-frame-pointer"],
                      ["-O2", "-fno-omit-frame-pointer"]):
            thread = look(build(SHAPES, *flags, compiler=compiler))
            found = [name for name in names(thread) if name in SHAPES]
            assert found == ["wait_here", "with_alloca", "with_array",
                             "aligned", "aligned_alloca", "crowded", "main",
                             "_start"][:len(found)], (compiler, flags, found)
            assert len(found) >= 7, (compiler, flags, found)
            assert {frame["trust"] for frame in thread["frames"][1:]} == \
                {"cfi"}, thread


NORETURN = HEAD + """
__attribute__((noinline, noreturn)) static void stop(void)
{
    for (;;)
        wait_here();
}
__attribute__((noinline, noreturn)) static void last_call(void) { stop(); }
FRAME void next_one(void) { sink++; }
int main(void)
{
    if (sink)
        next_one();
    last_call();
}
"""


def test_noreturn():
    """A call that is the last of its function is not the next function's"""
    thread = look(build(NORETURN, "-O1", "-fno-optimize-sibling-calls"))
    assert names(thread)[-6:-2] == ["stop", "last_call", "main",
                                    "__libc_start_call_main"], names(thread)


VDSO = HEAD + """
int main(int argc, char **argv)
{
    (void)argv;
    if (argc < 2)
        handle(SIGSEGV);
    sink += (int)time((time_t *)16);
    return sink;
}
"""


def test_vdso():
    """A fault in the vdso leads to its caller, live and in a core"""
    program = build(VDSO, "-O2")
    for thread in (look(program), agree(die(program, "die"))):
        at = names(thread).index("main") - 1
        frame = thread["frames"][at]
        assert frame["module"] in ("linux-vdso.so.1", "[vdso]"), frame
        assert frame["function"] in ("__vdso_time", "time"), frame
        assert thread["frames"][at + 1]["trust"] == "cfi", thread


PLT = HEAD + """
int main(void)
{
    /* The addresses that stubs jump to are on this page too. */
    mprotect((void *)((uintptr_t)&sink & ~4095ul), 4096, PROT_NONE);
    puts("no");
    return 0;
}
"""


def test_stubs():
    """A fault in a stub of the PLT leads to its caller, however it looks"""
    for compiler, flags, trusts in (
            ("gcc", [], ["plt"]),           # CFA by an expression over rip
            ("gcc", ["-fcf-protection", "-Wl,-z,ibtplt"], ["cfi"]),
            ("clang", ["-fuse-ld=lld"], ["plt"])): # no table: by its bytes
        core = die(build(PLT, "-O2", "-Wl,-z,lazy", *flags,
                         compiler=compiler))
        thread = agree(core)
        assert names(thread)[:2] == ["puts@plt", "main"], (flags, thread)
        assert thread["frames"][1]["trust"] in trusts, (flags, thread)


BARE = HEAD + """
__asm__(".text\\n"
        ".type bare, @function\\n"
        "bare:\\n"
        "    push %rbx\\n"
        "    push %r12\\n"
        "    sub $24, %rsp\\n"
        "    ud2\\n"
        ".size bare, . - bare\\n");
void bare(void);
FRAME void caller(void) { bare(); sink++; }
int main(void)
{
    handle(SIGILL);
    caller();
    return 0;
}
"""


def test_bare_code():
    """Assembly without a table that has pushed something has its caller"""
    thread = look(build(BARE, "-O2"), check=ours)
    at = names(thread).index("bare")
    assert names(thread)[at + 1:at + 3] == ["caller", "main"], names(thread)
    assert trust_of(thread, "caller") == "prologue"
    assert trust_of(thread, "main") == "cfi"


def test_layouts():
    """However it is linked and wherever it lies, a stack is gdb's"""
    for compiler, flags in (
            ("gcc", ["-pie"]), ("gcc", ["-no-pie"]),
            ("gcc", ["-static"]), ("gcc", ["-static-pie"]),
            ("gcc", ["-Wl,-z,noseparate-code"]),
            ("gcc", ["-Wl,-z,max-page-size=0x200000"]),
            ("clang", ["-fuse-ld=lld"]),
            ("clang", ["-fuse-ld=lld", "-Wl,--no-rosegment"]),
            ("clang", ["-fuse-ld=lld", "-Wl,-z,max-page-size=0x200000",
                       "-Wl,-z,separate-loadable-segments"])):
        program = build(STACKS.read_text(), "-O2", "-D_GNU_SOURCE",
                        "-pthread", "-fno-optimize-sibling-calls", *flags,
                        compiler=compiler)
        thread = look(program, "handler", "3")
        assert names(thread).count("recurse") == 4, (flags, names(thread))
        assert "main" in names(thread), (flags, names(thread))


SMASHED = HEAD + """
FRAME void smash(volatile char *at, int n)
{
    while (n--)
        *at++ = 'A';
}
FRAME void victim(void)
{
    volatile char here[8];
    smash(here, 16 + sink);
}
FRAME void caller(void) { victim(); sink++; }
int main(void) { caller(); return 0; }
"""


def test_smashed():
    """Beyond an overwritten return address the callers are found, as guesses"""
    core = die(build(SMASHED, "-O1", "-fno-stack-protector"))
    thread = ours(core)
    assert names(thread)[0] == "victim", thread
    assert "main" in names(thread), names(thread)
    assert thread["frames"][1]["trust"] in ("scan", "cfi_scan"), thread
    assert [frame["flags"] for frame in thread["frames"][:2]] == \
        [["corrupt_ra"], []], thread


def test_protected():
    """What the stack protector notices unwinds exactly, to the function"""
    core = die(lib.CRASHERS / "scenes", "smashed")
    compared = walks.compare(core, walks.by_gdb)
    assert not compared.unexplained(), compared.differences
    thread, = compared.threads.values()
    assert "__stack_chk_fail" in names(thread), names(thread)
    assert trust_of(thread, "smash") == "cfi", thread
    at = names(thread).index("smash")
    behind = [f["trust"] for f in thread["frames"] if lib.is_physical(f)]
    assert behind[at + 1] in ("scan", "cfi_scan"), behind


SPLIT = HEAD + """
FRAME void deep(int n)
{
    volatile char here[8192];
    here[0] = 1;
    if (n)
        deep(n - 1);
    else
        wait_here();
    sink += here[0];
}
int main(void) { deep(20); return 0; }
"""


def test_split_stack():
    """A stack in pieces, as -fsplit-stack makes it, is walked through"""
    thread = look(build(SPLIT, "-O2", "-fsplit-stack",
                        "-fno-optimize-sibling-calls"))
    assert names(thread).count("deep") == 21, names(thread)
    assert "__morestack" in names(thread), names(thread)


THROWN = HEAD + """
struct Waits {
    ~Waits() { wait_here(); sink++; }
};
FRAME void throws(void) { throw 1; }
FRAME void unwinds(void)
{
    Waits here;
    throws();
    sink++;
}
int main(void)
{
    try {
        unwinds();
    } catch (int) {
        sink++;
    }
    return 0;
}
"""

JUMPED = HEAD + """
static jmp_buf back;
FRAME void jumps(int n)
{
    volatile char here[4096];
    here[0] = 1;
    if (n == 0)
        longjmp(back, 1);
    jumps(n - 1);
    sink += here[0];
}
FRAME void returns(void) { wait_here(); sink++; }
int main(void)
{
    if (!setjmp(back))
        jumps(20);
    returns();
    return 0;
}
"""


def test_exception_in_flight():
    """While an exception unwinds, and after a longjmp, frames are as by gdb"""
    thread = look(build(THROWN, "-O1", compiler="g++", suffix="cc"))
    assert "unwinds" in str(names(thread)), names(thread)
    assert "main" in names(thread), names(thread)
    thread = look(build(JUMPED, "-O2"))
    at = names(thread).index("wait_here")
    assert names(thread)[at:at + 3] == ["wait_here", "returns", "main"], \
        names(thread)


GONE = HEAD + """
int main(int argc, char **argv)
{
    void *library = dlopen(argv[1], RTLD_NOW);
    void (*gone)(void);
    *(void **)&gone = dlsym(library, "gone");
    dlclose(library);
    if (argc > 2)
        handle(SIGSEGV);
    gone();
    sink++;
    return 0;
}
"""


def test_unloaded():
    """A call into a library that was unloaded has its caller"""
    where = lib.temp_dir("gone.")
    (where / "gone.c").write_text("int at; void gone(void) { at++; }")
    done = lib.run_plain(["gcc", "-shared", "-fPIC", where / "gone.c", "-o",
                          where / "gone.so"])
    assert done.exit == 0, done.stderr.decode()
    program = build(GONE, "-O2")
    for thread in (look(program, where / "gone.so", "live"),
                   agree(die(program, where / "gone.so"))):
        at = names(thread).index("main")
        assert thread["frames"][at]["trust"] == "leaf", thread
        assert thread["frames"][at - 1]["module"] is None, thread


def test_deleted():
    """A program that was deleted or replaced while it runs has its frames"""
    program = build(STACKS.read_text(), "-O2", "-D_GNU_SOURCE", "-pthread")

    def check(subject):
        before = walks.by_epitaph(subject)[subject.pid]
        lib.forget_symbols()
        os.unlink(program)
        deleted = walks.by_epitaph(subject)[subject.pid]
        shutil.copy("/bin/true", program)
        replaced = walks.by_epitaph(subject)[subject.pid]
        return before, deleted, replaced

    before, deleted, replaced = look(program, "handler", check=check)
    assert lib.pcs(before) == lib.pcs(deleted) == lib.pcs(replaced)
    assert len(lib.pcs(before)) > 8 and before["truncated"] is None
    assert names(deleted)[-1] == names(replaced)[-1] is None, replaced


def enter(root):
    """Make ROOT the root of a mount namespace of its own, as a container's
    is."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = str(root).encode()

    def call(function, *args):
        if function(*args):
            raise OSError(ctypes.get_errno(), function.__name__)

    call(libc.unshare, CLONE_NEWNS)
    call(libc.mount, None, b"/", None, MS_REC | MS_PRIVATE, None)
    call(libc.mount, here, here, None, MS_BIND, None)
    os.chdir(root)
    call(libc.syscall, SYS_PIVOT_ROOT, b".", b".")
    call(libc.umount2, b".", MNT_DETACH)
    os.chdir("/")


def test_other_files():
    """In another root and mount namespace the stack is walked by its own"""
    if os.geteuid():
        raise lib.Skip("a mount namespace takes root")
    program = build(STACKS.read_text(), "-O2", "-D_GNU_SOURCE", "-static")
    here = look(program, "handler", check=ours)
    root = lib.temp_dir("root.")
    # There is another program under this path here.
    shutil.move(program, root / "true")
    there = look("/true", "handler", check=ours, preexec=lambda: enter(root))
    assert names(there) == names(here), names(there)
    assert there["truncated"] is None and "main" in names(there)


ROWS = [*range(1, 20), 21, *range(23, 27), *range(37, 44), 46, 47,
        *range(49, 59), 62]


def tests_of(directory, pattern, suffix):
    return {name for path in (lib.ROOT / "tests" / directory).glob(suffix)
            for name in re.findall(pattern, path.read_text(), re.M)}


def check_listed(document, numbers):
    """The table of hard cases in DOCUMENT has rows of NUMBERS, and tests that
    there are."""
    there = {
        "": tests_of("e2e", r"^def (test_\w+)\(", "test_*.py"),
        "V": tests_of("vm", r"^def (test_\w+)\(|^(?:test_\w+) =",
                      "test_*.py"),
        "U": tests_of("unit", r"^static void (\w+)\(void\)", "*.c"),
        "P": {path.stem for path in
              (lib.ROOT / "tests/programs").glob("*.py")},
    }
    text = (lib.ROOT / "docs" / document).read_text()
    table = text[text.index("| row |"):].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in table]
    assert [int(number) for number, _, _ in rows] == numbers, rows
    for number, _, tests in rows:
        named = re.findall(r"([UV]?) ?`(\w+)`|(P) (\w+)", tests)
        assert named or tests.startswith("not "), number
        for kind, test, program, name in named:
            assert (test or name) in there[kind or program], (number, test)


def test_listed_walks():
    """Each test that docs/unwinding.md names for a hard case is there"""
    check_listed("unwinding.md", ROWS)

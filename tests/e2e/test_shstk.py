"""Shadow stacks, which no machine here has: cores, a live process and a raw
record that are given one, with the return addresses that were there before a
stack was written over. docs/unwinding.md says what is expected."""

import json
import struct

import cores
import lib
import test_walks

SIGNAL_TOKEN = 1 << 63  # Linux' SHSTK_DATA_BIT
SHADOW = 0x7e0000000000  # where nothing is mapped
RAW_RECORD, RAW_MEMORY, RAW_END = 1, 3, 7

CHAIN = test_walks.HEAD + """
volatile unsigned long shadow[64];
FRAME void gives_up(void) { __builtin_trap(); }
FRAME void on_signal(int sig) { gives_up(); sink += sig; }
FRAME void last(int how)
{
    if (!how) {
        printf("%p ", (void *)shadow);
        wait_here();
    }
    if (how == 2)
        signal(SIGSEGV, on_signal);
    *(volatile int *)16 = sink;
}
FRAME void third(int how) { last(how); sink++; }
FRAME void second(int how) { third(how); sink++; }
FRAME void first(int how) { second(how); sink++; }
int main(int argc, char **argv) { (void)argv; first(argc - 1); return 0; }
"""

# Of all that epitaph asks about, a processor with shadow stacks would only say
# this: that the process has them, and where a thread's is.
PROCESSOR = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
static const char status[] =
    "Name:\\tx\\nx86_Thread_features:\\tshstk wrss \\n";
int open(const char *path, int flags, ...)
{
    size_t len = strlen(path);
    int fd;
    if (len < 7 || strcmp(path + len - 7, "/status") != 0)
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0);
    fd = memfd_create("status", MFD_CLOEXEC);
    if (write(fd, status, sizeof(status) - 1) < 0)
        abort();
    lseek(fd, 0, SEEK_SET);
    return fd;
}
long ptrace(enum __ptrace_request request, ...)
{
    va_list args;
    va_start(args, request);
    long pid = va_arg(args, pid_t);
    long at = va_arg(args, long);
    struct iovec *data = va_arg(args, void *);
    va_end(args);
    if (request != PTRACE_GETREGSET || at != 0x204)
        return syscall(SYS_ptrace, (long)request, pid, at, data);
    *(uint64_t *)data->iov_base = strtoull(getenv("SHADOW"), NULL, 16);
    data->iov_len = 8;
    return 0;
}
"""


def chain():
    return test_walks.build(CHAIN, "-O2", "-fno-stack-protector")


def document(*args, **options):
    return json.loads(lib.epitaph_ok("stack", "--json", *args, **options))


def thread_of(*args, **options):
    thread, = document(*args, **options)["threads"]
    return thread


def physical(thread):
    return [frame for frame in thread["frames"] if lib.is_physical(frame)]


def shadow_of(thread, address=SHADOW):
    """The words of a shadow stack at ADDRESS that belong to THREAD: return
    addresses, and a token where a signal came."""
    words = []
    for frame in physical(thread)[1:]:
        words.append(int(frame["pc"], 16) if frame["trust"] != "sigframe" else
                     SIGNAL_TOKEN | (address + 8 * len(words) + 8))
    return words


def pack(words):
    return struct.pack(f"<{len(words)}Q", *words)


def check(thread, true, at):
    """THREAD is TRUE, whose frame AT has lost its return address."""
    assert lib.pcs(thread) == lib.pcs(true), (thread, true)
    assert thread["truncated"] is None, thread
    frames = physical(thread)
    flagged = [i for i, frame in enumerate(frames)
               if "corrupt_ra" in frame["flags"]]
    assert flagged == [at], (flagged, frames)
    assert frames[at + 1]["trust"] == "shstk", frames
    assert frames[at + 2]["trust"] == "cfi", frames


def overwritten(core, true, at, value):
    """CORE of the thread TRUE, where VALUE is in place of the return address of
    frame AT."""
    copy = cores.Core(core)
    pcs = lib.pcs(true)
    place = copy.find_word(copy.stack_pointers()[true["tid"]], pcs[at + 1])
    copy.set_word(place, value)
    return copy


def check_core(core, at):
    """Whatever is in place of the return address of frame AT in CORE, the
    shadow stack has it; without one it is lost."""
    true = thread_of(core)
    pcs = lib.pcs(true)
    assert lib.gdb_frames(core, true_exe(core))[true["tid"]] == pcs
    where = lib.temp_dir("edited.")
    for value in (0x4141414141414141, pcs[1], 0):
        copy = overwritten(core, true, at, value)
        thread = thread_of(copy.save(where / "without"))
        assert lib.pcs(thread) != pcs, (hex(value), thread)
        copy.add_memory(SHADOW, pack(shadow_of(true)))
        copy.add_shadow_pointer(true["tid"], SHADOW)
        check(thread_of(copy.save(where / "with")), true, at)
    text = lib.epitaph_ok("stack", where / "with")
    assert text.count("[return address written over]") == 1, text


def true_exe(core):
    return document(core)["modules"][0]["path"]


def test_shadow_core():
    """In a core with a shadow stack an overwritten return address is put right
    """
    check_core(test_walks.die(chain(), "die").core, 1)


def test_shadow_behind_signal():
    """A shadow stack is followed through a signal's frame"""
    core = test_walks.die(chain(), "die", "in its handler").core
    trusts = [frame["trust"] for frame in physical(thread_of(core))]
    check_core(core, trusts.index("sigframe") + 1)


def test_shadow_agrees():
    """A shadow stack that says the same changes nothing in a core"""
    core = test_walks.die(chain(), "die").core
    copy, true = cores.Core(core), thread_of(core)
    copy.add_memory(SHADOW, pack(shadow_of(true)))
    copy.add_shadow_pointer(true["tid"], SHADOW)
    thread = thread_of(copy.save(lib.temp_dir("edited.") / "with"))
    assert thread["frames"] == true["frames"], thread
    assert int(thread["registers"]["ssp"], 16) == SHADOW
    assert "ssp" not in true["registers"]


def write_words(pid, address, words):
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(address)
        memory.write(pack(words))


def find_word(pid, address, value):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        words = memory.read(4096)
    words = struct.unpack(f"<{len(words) // 8}Q", words)
    return address + 8 * words.index(value)


def test_shadow_live():
    """A live process with a shadow stack is walked by it"""
    where = lib.temp_dir("processor.")
    (where / "processor.c").write_text(PROCESSOR)
    done = lib.run_plain(["gcc", "-shared", "-fPIC", "-o",
                          where / "processor.so", where / "processor.c"])
    assert done.exit == 0, done.stderr.decode()
    with lib.Process([chain()]) as process:
        lib.wait_for(lambda: b"ready" in process.output(), what="ready")
        shadow = int(process.output().split()[0], 16)
        env = {"LD_PRELOAD": where / "processor.so", "SHADOW": hex(shadow)}
        true = thread_of("-p", process.pid)
        write_words(process.pid, shadow, shadow_of(true, shadow))
        at = [frame["function"] for frame in physical(true)].index("third")
        pcs = lib.pcs(true)
        place = find_word(process.pid, int(true["registers"]["rsp"], 16),
                          pcs[at + 1])
        write_words(process.pid, place, [pcs[at]])
        assert lib.pcs(thread_of("-p", process.pid)) != pcs
        check(thread_of("-p", process.pid, env=env), true, at)


def test_shadow_not_asked():
    """Where a process has no shadow stack, none is asked for"""
    lib.need("strace")
    log = lib.temp_dir() / "log"
    with lib.Process(["sleep", "100"]) as process:
        lib.wait_for(lambda: "nanosleep" in lib.run_plain(
            ["cat", f"/proc/{process.pid}/wchan"]).stdout.decode(),
            what="sleep")
        lib.run_plain(["strace", "-o", log, "-e", "trace=ptrace",
                       lib.BUILD / "epitaph", "stack", "-p", process.pid])
    asked = [line for line in log.read_text().splitlines()
             if "GETREGSET" in line]
    assert len(asked) == 1 and "NT_PRSTATUS" in asked[0], asked


def pieces(raw):
    """[(type, address, bytes)] of a raw record."""
    found, at = [], 0
    while not found or found[-1][0] != RAW_END:
        kind, size, address = struct.unpack_from("<IIQ", raw, at)
        found.append((kind, address, bytearray(raw[at + 16:at + 16 + size])))
        at += 16 + size
    return found


def offset_of_shadow():
    """Where the crash record has the shadow stack's pointer."""
    program = test_walks.build(
        '#include <stddef.h>\n#include <stdio.h>\n'
        '#include "shim/signal/record.h"\n'
        'int main(void) { printf("%zu", offsetof(struct crash_record, '
        'shadow)); }', "-I", lib.ROOT)
    return int(lib.run_plain([program]).stdout)


def raw_record(program, *args):
    """What PROGRAM leaves where no process can be made, as bytes; its name."""
    spool = lib.temp_dir("spool.")
    lib.run_under_shim([lib.CRASHERS / "filtered", "eperm", "clone", program,
                        *args], spool=spool, reports=0)
    path, = spool.glob("*.raw")
    return path.read_bytes(), path.name


def finish(raw, name):
    """The report that is made of the record RAW."""
    spool = lib.temp_dir("spool.")
    (spool / name).write_bytes(raw)
    lib.epitaph("flush", "-s", spool, "-c", "http://127.0.0.1:9")
    report, = lib.spool_reports(spool)
    return report


def with_shadow(raw, true, at):
    """RAW, with a shadow stack as our handler finds it, two calls deep, and
    without the return address of frame AT of the thread TRUE."""
    words = [int(frame["pc"], 16) for frame in physical(true)[1:3]]
    words += [words[0], SIGNAL_TOKEN | (SHADOW + 8 * 4), *shadow_of(true)]
    found = pieces(raw)
    struct.pack_into("<Q", found[0][2], offset_of_shadow(), SHADOW)
    sp, lost = int(true["registers"]["rsp"], 16), pack([lib.pcs(true)[at + 1]])
    stacks = [(start, data) for kind, start, data in found
              if kind == RAW_MEMORY and start <= sp < start + len(data)]
    place = min(start + data.index(lost, sp - start)
                for start, data in stacks)
    for start, data in stacks:  # the base of the stack is there twice
        data[place - start:place - start + 8] = b"AAAAAAAA"
    found.insert(-1, (RAW_MEMORY, SHADOW, pack(words)))
    return b"".join(struct.pack("<IIQ", kind, len(data), address) + data
                    for kind, address, data in found)


def without_frames(report):
    """REPORT, a plain dump of it, as if nobody had unwound it yet."""
    dump = bytearray(lib.unpack(report))
    old = lib.streams(dump)[lib.EPITAPH_STREAM]
    stream = json.loads(old)
    for thread in stream["threads"]:
        thread["frames"], thread["depth"] = [], 0
    text = json.dumps(stream, separators=(",", ":")).encode()
    at = dump.index(old)
    dump[at:at + len(old)] = text.ljust(len(old))
    path = lib.temp_dir("dmp.") / "report.dmp"
    path.write_bytes(dump)
    return path


def test_shadow_report():
    """A report knows the shadow stack of what was interrupted, and keeps it"""
    raw, name = raw_record(chain(), "die")
    true = lib.crashed_thread(lib.symbolize(finish(raw, name)))
    assert lib.functions(true)[:5] == ["last", "third", "second", "first",
                                       "main"], true
    assert "ssp" not in true["registers"]
    report = finish(with_shadow(raw, true, 1), name)
    thread = lib.crashed_thread(lib.symbolize(report))
    check(thread, true, 1)
    assert int(thread["registers"]["ssp"], 16) == SHADOW + 8 * 4
    again = lib.crashed_thread(lib.symbolize(without_frames(report)))
    check(again, true, 1)

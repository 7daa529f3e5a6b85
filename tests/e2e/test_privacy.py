"""What a report does not hold when it has been told not to."""

import lib

WORDS = lib.CRASHERS / "words"
SECRET = b"Tr0ub4dor&3-hunter2-C0rrectHorse"
TURNED = bytes(byte ^ 1 for byte in SECRET).decode()
PIECE = 6  # bytes of a secret that are one too many


def holds_secret(report):
    """The pieces of the secret that are in REPORT, in any byte of it."""
    dump = lib.unpack(report)
    return [SECRET[i:i + PIECE] for i in range(len(SECRET) - PIECE + 1)
            if SECRET[i:i + PIECE] in dump]


def frames(report):
    return lib.functions(lib.crashed_thread(lib.symbolize(report)))


def test_sanitized():
    """Sanitized, neither stack nor registers hold a secret; frames unwind"""
    plain = lib.run_under_shim([WORDS, "secret", TURNED]).report
    assert len(holds_secret(plain)) == len(SECRET) - PIECE + 1
    report = lib.run_under_shim([WORDS, "secret", TURNED],
                                {"EPITAPH_SANITIZE": "1"}).report
    assert holds_secret(report) == [], holds_secret(report)
    assert frames(report) == frames(plain), frames(report)
    assert "secret" in frames(report) and "main" in frames(report)
    symbolized = lib.symbolize(report)
    assert symbolized["reason"] == "null pointer write at 0x10"
    registers = lib.crashed_thread(symbolized)["registers"]
    assert "rip" in registers and "rsp" in registers, registers
    for name in ("rax", "r9", "r12"):
        assert name not in registers, registers


def test_sanitized_stack():
    """Of a sanitized stack code addresses, stack addresses and counts stay"""
    report = lib.run_under_shim([WORDS, "secret", TURNED],
                                {"EPITAPH_SANITIZE": "1"}).report
    thread = lib.crashed_thread(lib.symbolize(report))
    sp = int(thread["registers"]["rsp"], 16)
    start, stack = next(
        (start, stack) for start, stack in
        lib.memory_ranges(lib.unpack(report))
        if start <= sp < start + len(stack))
    words = [int.from_bytes(stack[i:i + 8], "little")
             for i in range(-start % 8, len(stack) - 7, 8)]
    code = {int(frame["pc"], 16) for frame in thread["frames"][1:]
            if not frame["inline"]}
    assert code <= set(words), code - set(words)
    assert any(sp < word < start + len(stack) for word in words), words


def test_sanitized_exception():
    """Sanitized, an exception has its type, and not what it says"""
    source = lib.temp_dir() / "told.cc"
    source.write_text(
        "#include <stdexcept>\n#include <string>\n"
        "int main(int, char **argv) { std::string text = argv[1];\n"
        "for (char &c : text) c ^= 1; throw std::runtime_error(text); }\n")
    program = source.with_suffix("")
    built = lib.run_plain(["g++", "-O2", source, "-o", program])
    assert built.exit == 0, built.stderr.decode()
    plain = lib.run_under_shim([program, TURNED]).report
    assert SECRET.decode() in lib.user_stream(plain)["message"]
    report = lib.run_under_shim([program, TURNED],
                                {"EPITAPH_SANITIZE": "1"}).report
    assert holds_secret(report) == [], holds_secret(report)
    assert lib.user_stream(report)["message"] == \
        "uncaught exception of type std::runtime_error"


def test_what_stays():
    """Sanitized, what the program wrote for its reports is still in them"""
    program = lib.temp_dir() / "annotated"
    built = lib.run_plain(
        ["gcc", f"-I{lib.ROOT / 'include'}", "-pthread",
         lib.ROOT / "tests/crashers/annotated.c", "-o", program])
    assert built.exit == 0, built.stderr.decode()
    report = lib.run_under_shim([program], {"EPITAPH_SANITIZE": "1"}).report
    assert lib.user_stream(report)["annotations"]["user"] == "nobody"


def test_no_stack():
    """With EPITAPH_STACK=0 no byte of a stack is kept, and frames are there"""
    plain = lib.run_under_shim([WORDS, "secret", TURNED]).report
    report = lib.run_under_shim([WORDS, "secret", TURNED],
                                {"EPITAPH_STACK": "0"}).report
    assert frames(report) == frames(plain), frames(report)
    thread = lib.crashed_thread(lib.symbolize(report))
    sp = int(thread["registers"]["rsp"], 16)
    for start, memory in lib.memory_ranges(lib.unpack(report)):
        assert not sp - 4096 < start < sp + (1 << 20), hex(start)
        assert len(memory) <= 256, len(memory)

"""Very many threads, and deep ones: what a report costs at the most."""

import lib

MENU = lib.CRASHERS / "menu"
WORDS = lib.CRASHERS / "words"

# docs/report-format.md: the crashing thread's stack, 16 KiB of 255 others'
# (here of random bytes, that no packing makes less), and at most 131,072
# frames of all threads together.
SENT = 5 << 20
UNPACKED = 16 << 20


def check_crasher(report, innermost):
    """The crashing thread comes first and lacks nothing."""
    thread = lib.symbolize(report)["threads"][0]
    assert thread["crashed"] and thread["truncated"] is None, thread
    names = lib.functions(thread)
    assert names[0] == innermost and "main" in names, names


@lib.deadline(180)
def test_deep_threads():
    """200 threads with deep stacks stay within the budget of a report"""
    report = lib.run_under_shim([WORDS, "deep-threads", "200"]).report
    assert report.stat().st_size <= SENT, report.stat().st_size
    assert len(lib.unpack(report)) <= UNPACKED
    check_crasher(report, "write_code")
    meta = lib.user_stream(report)
    assert len(meta["threads"]) == 201
    kept = [t for t in meta["threads"][1:] if len(t["frames"]) > 200]
    late = [t for t in meta["threads"][1:] if t["truncated"]]
    assert len(kept) + len(late) >= 200, (len(kept), len(late))
    assert len(kept) >= 10, f"{len(kept)} threads with frames in 0.3 s"
    in_time = [t for t in late if "no time" not in t["truncated"]]
    assert meta["complete"] is (len(in_time) == len(late)), late


@lib.deadline(180)
def test_many_threads():
    """Of 512 and of 2000 threads all have registers, 255 have their stack"""
    for count in (512, 2000):
        report = lib.run_under_shim([MENU, "null-write", str(count)]).report
        assert report.stat().st_size <= SENT
        check_crasher(report, "null_write")
        threads = lib.streams(lib.unpack(report))[3]
        assert int.from_bytes(threads[:4], "little") == count + 1
        sizes = [int.from_bytes(threads[4 + 48 * i + 32:4 + 48 * i + 36],
                                "little") for i in range(count + 1)]
        meta = lib.user_stream(report)
        kept = sum(1 for size in sizes if size)
        # A thread that did not stop in time has none.
        assert kept == 256 or (kept < 256 and not meta["complete"]), kept
        bare = [t for t in meta["threads"]
                if not t["frames"] and not t["truncated"]]
        assert not bare, f"{len(bare)} threads lack frames, and say nothing"

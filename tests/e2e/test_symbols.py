"""epitaph symbols: the symbol store."""

import json
import os
import pathlib
import shutil
import subprocess

import lib
import test_symbolize


def listed(store="store"):
    """{(build-id, kind): entry} of the store."""
    found = json.loads(lib.epitaph_ok("symbols", "list", "--json", "-S",
                                      store))
    return {(e["build_id"], e["kind"]): e for e in found}


def test_add():
    """a file that was added names its frames when it is gone from its place"""
    program = test_symbolize.compile_names("program", "-O2")
    identity = test_symbolize.build_id(program)
    report = test_symbolize.crash(program)
    said = lib.epitaph_ok("symbols", "add", "-S", "store", program)
    assert said == "1 indexed, 0 without lines\n", said
    found = listed()
    assert set(found) == {(identity, "index"), (identity, "binary")}, found
    path = found[identity, "index"]["path"]
    assert path == f"store/{identity[:2]}/{identity[2:]}.csym", path
    assert found[identity, "index"]["bytes"] == os.stat(path).st_size
    copy = found[identity, "binary"]["path"]
    assert found[identity, "index"]["source"] == copy
    assert pathlib.Path(copy).read_bytes() == \
        pathlib.Path(program).read_bytes()
    os.unlink(program)
    # The index alone, and the copy alone, are enough.
    env = {"EPITAPH_SYMBOLS": os.path.abspath("store")}
    for gone in (copy, path):
        shutil.move(gone, "aside")
        named = json.loads(lib.epitaph_ok("symbolize", "--json", report,
                                          env=env))
        frame = lib.crashed_thread(named)["frames"][0]
        assert frame["function"] and frame["line"], frame
        shutil.move("aside", gone)


def test_index():
    """what is in a folder is indexed in place; a bad file is named"""
    os.mkdir("folder")
    first = test_symbolize.compile_names("folder/first", "-O2")
    second = test_symbolize.compile_names("folder/second", "-O0")
    bare = test_symbolize.compile_names("folder/bare", "-O1")
    subprocess.run(["objcopy", "--strip-debug", bare], check=True)
    pathlib.Path("folder/text").write_text("none", encoding="ascii")
    os.symlink("nowhere", "folder/link")
    os.mkfifo("folder/fifo")
    said = lib.epitaph_ok("symbols", "index", "-S", "store", "folder")
    assert said == "2 indexed, 1 without lines\n", said
    assert set(listed()) == {(test_symbolize.build_id(path), "index")
                             for path in (first, second)}
    done = lib.epitaph("symbols", "index", "-S", "store", "folder/text", first,
                       "folder/link")
    assert done.exit == 1, done
    assert b"symbols folder/text: not an ELF file" in done.stderr, done
    assert b"symbols folder/link: open: No such file" in done.stderr, done
    assert done.stdout == b"1 indexed, 0 without lines\n", done


def test_missing():
    """modules without symbols come by the number of frames they would name"""
    program = test_symbolize.compile_names("program", "-O2")
    other = test_symbolize.compile_names("other", "-O1")
    reports = [test_symbolize.crash(program) for _ in range(3)]
    reports.append(test_symbolize.crash(other))
    identities = [test_symbolize.build_id(p) for p in (program, other)]
    frames = [sum(f["build_id"] == i and not f["inline"]
                  for r in reports for t in lib.symbolize(r)["threads"]
                  for f in t["frames"]) for i in identities]
    for path in (program, other):
        subprocess.run(["objcopy", "--strip-all", path], check=True)
    found = json.loads(lib.epitaph_ok("symbols", "missing", "--json", "-S",
                                      "store", *reports))
    ours = [e for e in found if e["build_id"] in identities]
    assert [e["build_id"] for e in ours] == identities, found
    assert [e["reports"] for e in ours] == [3, 1], found
    assert [e["frames"] for e in ours] == frames, (found, frames)
    assert found == sorted(found, key=lambda e: -e["frames"]), found
    text = lib.epitaph_ok("symbols", "missing", "-S", "store", *reports)
    assert f"{frames[0]} frames in     3 reports  {identities[0]}" in text


def test_prune():
    """the indexes that were not used for longest go first"""
    paths = [test_symbolize.compile_names(f"p{i}", "-O2", f"-DN={i}",
                                          f"-Wl,--build-id=0x{i:040x}")
             for i in range(4)]
    lib.epitaph_ok("symbols", "index", "-S", "store", *paths)
    found = listed()
    assert len(found) == 4, found
    for i, entry in enumerate(sorted(found.values(),
                                     key=lambda e: e["build_id"])):
        os.utime(entry["path"], (1000000 + (i + 2) % 4 * 1000, 1000000))
    most = sum(e["bytes"] for e in found.values())
    said = lib.epitaph_ok("symbols", "prune", "-S", "store", "--max",
                          str(most * 5 // 8))
    assert said == "2 removed\n", said
    assert {int(i, 16) for i, _ in listed()} == {0, 1}, listed()
    assert lib.epitaph_ok("symbols", "prune", "-S", "store", "--max",
                          "1G") == "0 removed\n"


def test_usage():
    """a wrong command line is said to be one, with status 2"""
    for words in ((), ("nonsense",), ("add",), ("missing",), ("list", "x"),
                  ("prune", "--max", "1T"), ("prune", "--max", "-1")):
        done = lib.epitaph("symbols", *words)
        assert done.exit == 2 and b"--help" in done.stderr, (words, done)

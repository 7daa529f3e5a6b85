#!/usr/bin/python3
"""redis's own suite, from Debian's source package of the redis-server that is
installed, run with that. It crashes redis on purpose here and there, and looks
for redis's own crash report then."""

import os
import re
import shutil

import compare
import debian

# Units of the suite, a few at a time. Left out is what needs another build of
# redis (TLS, modules), and what the dice decide (the corrupt-dump fuzzers).
GROUPS = {
    "types": ["unit/type/string", "unit/type/incr", "unit/type/list",
              "unit/type/set", "unit/type/zset", "unit/type/hash",
              "unit/type/stream", "unit/type/stream-cgroups", "unit/sort",
              "unit/expire", "unit/scan", "unit/keyspace", "unit/dump",
              "unit/bitops", "unit/bitfield", "unit/geo",
              "unit/hyperloglog"],
    "server": ["unit/info", "unit/auth", "unit/protocol", "unit/other",
               "unit/multi", "unit/quit", "unit/aofrw", "unit/acl",
               "unit/acl-v2", "unit/latency-monitor", "unit/pubsub",
               "unit/pubsubshard", "unit/slowlog", "unit/scripting",
               "unit/functions", "unit/maxmemory", "unit/introspection",
               "unit/introspection-2", "unit/limits", "unit/obuf-limits",
               "unit/memefficiency", "unit/lazyfree", "unit/wait",
               "unit/pause", "unit/querybuf", "unit/pendingquerybuf",
               "unit/tracking", "unit/oom-score-adj", "unit/shutdown",
               "unit/networking", "unit/client-eviction",
               "unit/replybufsize"],
    "crashes": ["integration/logging", "integration/shutdown",
                "integration/corrupt-dump", "integration/aof",
                "integration/aof-multi-part", "integration/rdb",
                "integration/redis-cli", "integration/redis-benchmark",
                "integration/dismiss-mem",
                "integration/convert-ziplist-hash-on-load",
                "integration/convert-ziplist-zset-on-load",
                "integration/convert-zipmap-hash-on-load"],
    "replication": ["integration/block-repl", "integration/replication-2",
                    "integration/replication-3",
                    "integration/replication-4",
                    "integration/replication-psync",
                    "integration/replication-buffer",
                    "integration/failover",
                    "integration/psync2-master-restart"],
}
CRASHES = {"crashes": 2}  # of integration/logging
PROGRAMS = ["server", "cli", "benchmark", "check-rdb", "check-aof"]


def tree(where):
    """A copy of what the suite needs of the source, the installed programs
    where it looks for its own."""
    original = debian.source("redis-server")
    for name in ("tests", "runtest", "redis.conf", "sentinel.conf"):
        copy = shutil.copytree if (original / name).is_dir() else shutil.copy
        copy(original / name, where / name)
    (where / "src").mkdir()
    for name in PROGRAMS:
        (where / "src" / f"redis-{name}").symlink_to(
            shutil.which(f"redis-{name}", path="/usr/bin:/bin"))


def suite(units):
    def run(one, only):
        where = one.where / "redis"
        where.mkdir()
        tree(where)
        argv = ["./runtest", "--clients", "4", "--durable", "--tags", "-slow",
                "--baseport", "24111", "--portcount", "4000"]
        for unit in units:
            argv += ["--single", unit]
        for test in only or ():
            argv += ["--only", test.rsplit(" #", 1)[0]]
        _, text = one.run(argv, 1500, cwd=where)
        return read(text, only)

    return run


def read(text, only):
    """[ok]: name (ms). A test may come more than once under one name."""
    words = {"ok": "passed", "err": "failed", "exception": "failed",
             "timeout": "failed", "skip": "skipped"}
    found, times = {}, {}
    for word, name in re.findall(r"^\[(\w+)\]: (.*)$", text, re.M):
        if word not in words:
            continue
        name = re.sub(r" \(\d+ ms\)$| in tests/\S+\.tcl$", "", name)
        # Some have a count of what happened in their name.
        name = re.sub(r"\b\d+(\.\d+)?\s?(ms|sec|seconds|bytes)\b", "N", name)
        times[name] = times.get(name, 0) + 1
        found[f"{name} #{times[name]}"] = f"{words[word]}: {name}"
    if only:
        found = {test: outcome for test, outcome in found.items()
                 if test in only}
    return found


compare.need("redis-server", "redis-cli", "tclsh", "dpkg-source")
os.environ["LC_ALL"] = "C"
for group, units in GROUPS.items():
    compare.test_by_test(f"{group}:", suite(units), CRASHES.get(group, 0))

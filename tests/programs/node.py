#!/usr/bin/python3
"""Node: V8 takes faults in place of bounds checks in WebAssembly, and Node
resets what it finds of signal handlers when it starts. Debian's nodejs."""

import json
import pathlib
import re
import signal

import compare
import lib


def forwarded(meta):
    assert meta["reason"] == "null pointer write at 0x10", meta["reason"]


def is_named(thread):
    """Whether compiled JavaScript has its name in THREAD: V8 writes it when
    it has found that worth while."""
    return any(re.match(r"(LazyCompile|Function|JS):[*^+]busyByName ",
                        frame["function"] or "") and frame["flags"] == ["jit"]
               for frame in thread["frames"])


def first_thread(pid):
    text = lib.epitaph_ok("stack", "--json", "-p", pid, seconds=120)
    return json.loads(text)["threads"][0]


def named():
    """In a live process, and in the report of its crash."""
    argv = [NODE, "--perf-basic-prof", compare.HERE / "node/busy.js"]
    process = lib.start_under_shim(argv)
    try:
        with process:
            lib.wait_for(lambda: b"ready" in process.output(), what="ready")
            lib.wait_for(lambda: is_named(first_thread(process.pid)), 60,
                         "a name")
            process.kill(signal.SIGSEGV)
            outcome = process.wait()
        assert outcome.signal == signal.SIGSEGV, outcome
        symbolized = lib.symbolize(outcome.report)
        thread = lib.crashed_thread(symbolized)
        assert is_named(thread), lib.functions(thread)
        title = symbolized["fingerprint"]["title"]
        assert title.startswith("busyByName | "), title
    finally:
        pathlib.Path(f"/tmp/perf-{process.pid}.map").unlink(missing_ok=True)


NODE = "/usr/bin/node"
THROW = "class Bad { get x() { process.abort(); } }; new Bad().x"
WORKERS = """
const { Worker, isMainThread } = require('worker_threads');
if (isMainThread) {
  let left = 8;
  for (let i = 0; i < 8; i++)
    new Worker(__filename).on('exit', () => --left || console.log('joined'));
} else { let s = 0; for (let i = 0; i < 1e6; i++) s += i; }
"""
CHILDREN = """
const { spawnSync } = require('child_process');
for (const sig of ['SIGSEGV', 'SIGABRT', 'SIGTERM', 'SIGUSR1'])
  console.log(sig, spawnSync(process.execPath,
      ['-e', `process.on('SIGUSR1', () => process.exit(7));
              process.kill(process.pid, '${sig}'); setTimeout(() => {}, 9e4)`]
      ).signal);
"""

compare.need(NODE, "gcc")
trap = compare.HERE / "node/trap.js"
where = lib.temp_dir("node.")
addon = where / "addon.node"
compare.build("gcc", "-O1", "-g", "-shared", "-fPIC", "-o", addon,
              compare.HERE / "node/addon.c")
(where / "workers.js").write_text(WORKERS)

compare.case("20,000 loads out of a WebAssembly memory", [NODE, trap], 0,
             exit=0, says=["trapped 20000"])
compare.case("a fault in an addon, after them", [
    NODE, trap, "then-fault", addon], 1, sig=signal.SIGSEGV,
    says=["trapped 20000"], check=forwarded)
compare.case("process.abort()", [NODE, "-e", THROW], 1, sig=signal.SIGABRT)
compare.case("8 worker threads", [NODE, where / "workers.js"], 0, exit=0,
             says=["joined"])
compare.case("children that signals end", [NODE, "-e", CHILDREN], 2, exit=0,
             says=["SIGSEGV SIGSEGV\nSIGABRT SIGABRT\nSIGTERM SIGTERM\n"
                   "SIGUSR1 null"])
compare.say("names of compiled JavaScript")
try:
    named()
except AssertionError as error:
    compare.failed("names of compiled JavaScript", error)
else:
    compare.ok("names of compiled JavaScript")
compare.case("an error that nobody catches", [
    NODE, "-e", "throw new Error('oops')"], 0, exit=1, says=["oops"])

#!/usr/bin/python3
"""nginx under load, with workers that crash: the master starts others, and
nobody loses more requests than without the shim. Debian's nginx-light, load
by Debian's wrk, all on loopback."""

import os
import pathlib
import re
import signal
import time

import compare
import lib

NGINX = "/usr/sbin/nginx"
CONFIG = """
daemon off;
master_process on;
worker_processes 2;
pid {where}/pid;
error_log {where}/error.log notice;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {where}/body;
    proxy_temp_path {where}/proxy;
    fastcgi_temp_path {where}/fastcgi;
    uwsgi_temp_path {where}/uwsgi;
    scgi_temp_path {where}/scgi;
    server {{
        listen 127.0.0.1:{port} reuseport;
        location / {{ return 200 "hello\\n"; }}
    }}
}}
"""
LOAD_S = 6
CONNECTIONS = 64
KILLS = 3


def workers(pid):
    table = lib.processes()
    return sorted(p for p, (parent, state, _) in table.items()
                  if parent == pid and state not in "ZX")


def crash_worker(master, log):
    """Kill one worker as a fault would, and wait for the next."""
    victim = workers(master.pid)[0]
    os.kill(victim, signal.SIGSEGV)
    text = f"worker process {victim} exited on signal 11"
    lib.wait_for(lambda: text in log.read_text(), what=text)
    lib.wait_for(lambda: len(workers(master.pid)) == 2 and
                 victim not in workers(master.pid), what="the next worker")


def one(with_shim, kills):
    """What came of a run: {"status", "requests", "errors", "answers",
    "restarts", "reports"}."""
    where = lib.temp_dir("nginx.")
    where.chmod(0o755)
    spool = lib.temp_dir("spool.")
    spool.chmod(0o1733)  # for workers that run as nobody
    compare.open_way(spool)
    port = lib.free_port()
    (where / "nginx.conf").write_text(
        CONFIG.format(where=where, port=port))
    log = where / "error.log"
    argv = [NGINX, "-p", where, "-c", where / "nginx.conf"]
    start = lib.start_under_shim if with_shim else lib.start_plain
    options = {"spool": spool} if with_shim else {}
    with start(argv, **options) as master:
        lib.wait_for(lambda: len(workers(master.pid)) == 2 and
                     log.read_text().count("start worker process ") == 2,
                     what="two workers")
        if with_shim:
            assert lib.SHIM.name in pathlib.Path(
                f"/proc/{workers(master.pid)[0]}/maps").read_text()
        load = lib.start_plain(["wrk", "-t1", f"-c{CONNECTIONS}",
                                f"-d{LOAD_S}s", f"http://127.0.0.1:{port}/"])
        begun = time.monotonic()
        with load:
            for i in range(kills):
                # Spread over the load, which goes on for its own time.
                lib.wait_for(lambda: time.monotonic() - begun >
                             (i + 1) * LOAD_S / (KILLS + 1))
                crash_worker(master, log)
            text = load.wait().stdout.decode()
        master.kill(signal.SIGQUIT)
        outcome = master.wait(reports=kills if with_shim else 0)
    if with_shim:
        lib.settle()
    return {"status": outcome.status, "errors": errors(text),
            "requests": int(re.search(r"(\d+) requests in", text).group(1)),
            "answers": "Non-2xx" not in text,
            "restarts": log.read_text().count("exited on signal 11"),
            "reports": len(lib.spool_reports(spool))}


def errors(text):
    found = re.search(r"Socket errors: connect (\d+), read (\d+), "
                      r"write (\d+), timeout (\d+)", text)
    return sum(map(int, found.groups())) if found else 0


def case(name, kills):
    """Up to three tries: how many requests hang on a dying worker is chance,
    at most all that were open."""
    compare.say(name)
    for _ in range(3):
        plain, shim = one(False, kills), one(True, kills)
        compare.say(f"without the shim {plain}, with it {shim}")
        same = plain["status"] == shim["status"] == 0 and \
            plain["answers"] and shim["answers"] and \
            plain["restarts"] == shim["restarts"] == kills and \
            shim["reports"] == kills
        bound = max(plain["errors"], kills * CONNECTIONS)
        if not same or shim["errors"] > bound:
            compare.failed(name, "see above")
            return
        if shim["errors"] <= plain["errors"]:
            break
    compare.ok(name)


compare.need(NGINX, "wrk")
case("requests for seconds", 0)
case(f"the same, and {KILLS} workers killed by SEGV meanwhile", KILLS)

#!/usr/bin/python3
"""PostgreSQL with a backend that crashes: the others are ended, the database
recovers, and what was committed is there. Debian's postgresql."""

import os
import pathlib
import pwd
import signal

import compare
import lib

ROWS = 20000


def binaries():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        compare.need("postgres (in /usr/lib/postgresql)")
    return found[-1]


def as_postgres():
    """PostgreSQL refuses to be root: become somebody else where we are."""
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)


class Server:
    def __init__(self, with_shim, cores=False):
        self.bin = binaries()
        self.base = lib.temp_dir("pg.")
        self.spool = lib.temp_dir("spool.")
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            compare.open_way(self.base)
            for path in (self.base, self.spool):
                os.chown(path, user.pw_uid, user.pw_gid)
        done = lib.run_plain(
            [self.bin / "initdb", "-D", self.base / "data", "-A", "trust",
             "-U", "postgres", "--no-sync"], preexec=as_postgres,
            cwd=self.base)
        assert done.exit == 0, done.stderr.decode()
        argv = [self.bin / "postgres", "-D", self.base / "data", "-k",
                self.base, "-c", "listen_addresses=", "-c", "fsync=off",
                "-c", "restart_after_crash=on"]
        start = lib.start_under_shim if with_shim else lib.start_plain
        options = {"spool": self.spool} if with_shim else {}
        self.process = start(argv, preexec=as_postgres, cwd=self.base,
                             cores=cores, **options)
        self.ready(1)

    def ready(self, times):
        text = b"database system is ready to accept connections"
        lib.wait_for(lambda: self.process.errors().count(text) >= times,
                     what=f"ready {times} times")

    def psql(self, *commands):
        argv = [self.bin / "psql", "-X", "-A", "-t", "-h", self.base, "-U",
                "postgres"]
        for command in commands:
            argv += ["-c", command]
        return lib.run_plain(argv)

    def log(self):
        return self.process.errors().decode()


def backend(server, session):
    """Pid of the backend that serves SESSION, a sleeping psql."""
    def found():
        text = server.psql("select pid from pg_stat_activity where query "
                           "like '%pg_sleep(60)%' and pid <> "
                           "pg_backend_pid()").stdout.decode().strip()
        assert session.is_alive(), session.errors()
        return int(text) if text else None

    return lib.wait_for(found, what="the sleeping backend")


def one(with_shim, sig):
    """{fact: value} of a backend's death of SIG."""
    server = Server(with_shim)
    with server.process:
        server.psql("create table t(n int)",
                    f"insert into t select generate_series(1, {ROWS})")
        session = lib.start_plain(
            [server.bin / "psql", "-X", "-h", server.base, "-U", "postgres",
             "-c", "select pg_sleep(60)"])
        with session:
            pid = backend(server, session)
            if with_shim:
                assert lib.SHIM.name in pathlib.Path(
                    f"/proc/{pid}/maps").read_text()
            os.kill(pid, sig)
            lost = session.wait()
        server.ready(2)
        rows = server.psql("select count(*) from t").stdout.decode().strip()
        server.process.kill(signal.SIGINT)
        outcome = server.process.wait(reports=1 if with_shim else 0)
    log = server.log()
    return {
        "status": outcome.status, "rows": rows, "psql": lost.exit,
        "seen": f"(PID {pid}) was terminated by signal {int(sig)}" in log,
        "recovered": "automatic recovery in progress" in log,
        "dropped": log.count("exited with exit code 2"),
    }, server.spool


def case(sig):
    name = f"a backend killed by {signal.Signals(sig).name}"
    compare.say(name)
    plain, _ = one(False, sig)
    shim, spool = one(True, sig)
    lib.settle()
    reports = lib.spool_reports(spool)
    if plain != shim or not plain["seen"] or plain["rows"] != str(ROWS):
        compare.failed(name, f"without the shim {plain}, with it {shim}")
    elif len(reports) != 1:
        compare.failed(name, f"{len(reports)} reports")
    else:
        compare.ok(name)


if __name__ == "__main__":
    case(signal.SIGSEGV)
    case(signal.SIGABRT)

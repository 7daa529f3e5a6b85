"""The collector from outside: what it counts, what it keeps, what it refuses,
and what happens to it when its parts are stopped or killed."""

import concurrent.futures
import gzip
import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

import lib

MKREPORT = lib.BUILD / "test" / "mkreport"
GZIP = {"Content-Type": "application/octet-stream",
        "Content-Encoding": "gzip"}
PLAIN = {"Content-Type": "application/octet-stream"}


# What is sent


def new_id(ago_s=0.0):
    """A UUIDv7 of a time AGO_S seconds ago."""
    head = struct.pack(">Q", int((time.time() - ago_s) * 1000))[2:]
    tail = bytearray(os.urandom(10))
    tail[0] = 0x70 | tail[0] & 0x0f
    tail[2] = 0x80 | tail[2] & 0x3f
    text = (head + tail).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20],
                     text[20:]))


def fingerprint(number):
    return f"{number:032x}"


def hit(number=1, **fields):
    """A hit of the crash NUMBER."""
    return {"id": new_id(), "fingerprint": fingerprint(number), "signal": 11,
            "exe": "/usr/bin/prog", "host": "host", **fields}


def make(*options, plain=False):
    """A report's bytes, gzipped unless PLAIN."""
    argv = [MKREPORT, *map(str, options)] + (["--plain"] if plain else [])
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout


def post_hit(collector, body):
    answer = collector.post("/api/v1/hits", body)
    assert answer.status == 200, answer
    return answer.json()["want"]


def post_body(collector, body, headers=None):
    return collector.post("/api/v1/reports", body, headers or GZIP)


def count_of(collector):
    return {g["title"]: g["count"] for g in collector.groups()}


def expect_error(answer, status, *words):
    assert answer.status == status, answer
    error = answer.json()
    assert set(error) == {"error", "detail"}, error
    for word in words:
        assert word in f"{error['error']} {error['detail']}", (word, error)


def role_pids(collector):
    """{role: [pid, ...]} of the running collector."""
    found = {}
    for pid in lib.descendants(collector.pid):
        try:
            argv = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        words = argv.decode().split("\0")
        if words[:2] == ["epitaphd", "-P"]:
            found.setdefault(words[2], []).append(pid)
    return found


def role_pid(collector, role):
    pids = role_pids(collector).get(role, [])
    return pids[0] if pids else None


def fake_symbolizer(text):
    """A program that stands in for `epitaph`; TEXT is its shell script."""
    path = lib.temp_dir("fake.") / "epitaph"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def named(semantic, title="f | g"):
    """A script that symbolizes everything to one SEMANTIC fingerprint."""
    return "cat <<'END'\n" + json.dumps({
        "id": None, "reason": "a reason", "signal": {"name": "SIGSEGV"},
        "fingerprint": {"semantic": semantic, "title": title},
        "threads": [], "modules": []}) + "\nEND\n"


def wait_state(collector, report_id, state):
    def there():
        for group in collector.groups():
            rows = collector.get(f"/api/v1/groups/{group['id']}/reports")
            for row in rows.json()["reports"]:
                if row["id"] == report_id and row["state"] == state:
                    return row
        return None

    return lib.wait_for(there, 30, f"{report_id} to be {state}")


# Counting


def test_hit_counts_once():
    """The same hit sent again counts once, and count adds as many"""
    with lib.Collector() as collector:
        one = hit()
        for _ in range(3):
            post_hit(collector, one)
        post_hit(collector, hit(count=7))
        group, = collector.groups()
        assert group["count"] == 8, group
        assert group["signal"] == "SIGSEGV"
        assert group["title"] == "SIGSEGV in prog"
        assert group["status"] == "open"
        assert group["hosts"] == 1


def test_storm():
    """100 hits of one crash at once are one group, 100, with 5 wanted"""
    with lib.Collector() as collector:
        with concurrent.futures.ThreadPoolExecutor(25) as pool:
            wanted = list(pool.map(
                lambda _: post_hit(collector, hit()), range(100)))
        group, = collector.groups()
        assert group["count"] == 100, group
        assert sum(map(len, wanted)) == 5, wanted


def test_wanted_again():
    """A hit whose answer was lost is answered the same, until the body is"""
    with lib.Collector() as collector:
        one = hit()
        assert post_hit(collector, one) == [one["id"]]
        assert post_hit(collector, one) == [one["id"]]
        body = make("--id", one["id"], "--exact", one["fingerprint"])
        assert post_body(collector, body).status == 201
        assert post_hit(collector, one) == []
        assert collector.count() == 1
        others = [post_hit(collector, hit()) for _ in range(10)]
        assert sum(map(len, others)) == 4, others


def test_ndjson():
    """Hits on lines of their own are counted together, or not at all"""
    with lib.Collector() as collector:
        hits = [hit(n) for n in (1, 1, 2)]
        lines = b"\n".join(json.dumps(h).encode() for h in hits)
        want = post_hit(collector, lines + b"\n\n")
        assert sorted(want) == sorted(h["id"] for h in hits)
        assert sorted(count_of(collector).values()) == [1] or \
            sorted(g["count"] for g in collector.groups()) == [1, 2]
        bad = json.dumps(hit(3)).encode() + b"\n{\"id\":1}\n"
        expect_error(collector.post("/api/v1/hits", bad), 400, "line 2", "id")
        assert collector.count() == 3


def test_report_alone():
    """A report without a hit counts as one; the same again is 200"""
    with lib.Collector() as collector:
        report_id = new_id()
        body = make("--id", report_id)
        first = post_body(collector, body)
        assert first.status == 201, first
        assert first.json()["id"] == report_id
        again = post_body(collector, body)
        assert again.status == 200, again
        assert again.json() == first.json()
        level9 = gzip.compress(gzip.decompress(body), 9)
        assert post_body(collector, level9).status == 200
        plain = post_body(collector, gzip.decompress(body), PLAIN)
        assert plain.status == 200, plain
        other = make("--id", report_id, "--host", "elsewhere")
        expect_error(post_body(collector, other), 409)
        group, = collector.groups()
        assert group["count"] == 1 and group["id"] == first.json()["group"]
        assert collector.group(group["id"])["reports"] == [report_id]


def test_without_id():
    """A dump without our stream gets an id from what it is, so only once"""
    with lib.Collector() as collector:
        dump = bytearray(make(plain=True))
        where = dump.index(struct.pack("<I", lib.EPITAPH_STREAM))
        dump[where:where + 4] = struct.pack("<I", 0x45500099)
        answers = [post_body(collector, bytes(dump), PLAIN) for _ in range(2)]
        assert [a.status for a in answers] == [201, 200], answers
        assert answers[0].json() == answers[1].json()
        assert collector.count() == 1


def test_too_old():
    """Ids older than what is kept are 410, of a time to come 400"""
    with lib.Collector("--retention-days", "30") as collector:
        old, future = new_id(31 * 86400), new_id(-3 * 86400)
        body = make("--id", old)
        expect_error(post_body(collector, body), 410)
        expect_error(post_body(collector, make("--id", future)), 400)
        expect_error(collector.post("/api/v1/hits", hit(id=old)), 410)
        expect_error(collector.post("/api/v1/hits", hit(id=future)), 400)
        lines = b"\n".join(json.dumps(h).encode()
                           for h in (hit(id=old), hit()))
        answer = collector.post("/api/v1/hits", lines).json()
        assert answer["refused"] == [old] and len(answer["want"]) == 1
        assert collector.count() == 1


# What is refused


def test_bad_hits():
    """Malformed hits are 400 with the line, and change nothing"""
    good = json.dumps(hit())
    bad = [b"", b"[]", b"{}", b"{", good.encode()[:-1], b"\xff\xfe",
           good.encode() + good.encode(),
           json.dumps(hit(id="x")).encode(),
           json.dumps(hit(id="6f2c1f4e-8d55-4b0e-9f0e-0123456789ab")).encode(),
           json.dumps({**hit(), "fingerprint": "12"}).encode(),
           json.dumps(hit(count=0)).encode(),
           json.dumps(hit(count="1")).encode(),
           json.dumps(hit(exe=7)).encode(),
           json.dumps(hit(tags=["a"])).encode(),
           json.dumps(hit(exe="x" * 5000)).encode(),
           b"[" * 100000, b'{"a":' * 100000]
    with lib.Collector() as collector:
        for body in bad:
            expect_error(collector.post("/api/v1/hits", body), 400)
        big = b" " * (4 << 20) + good.encode()
        expect_error(collector.post("/api/v1/hits", big), 413, "limit")
        assert collector.groups() == []


def test_bad_bodies():
    """Truncated, corrupt, foreign and doubly packed bodies get their errors"""
    good = make()
    plain = gzip.decompress(good)
    with lib.Collector() as collector:
        for body in (b"", good[:100], good[:-1], good[:-8], good + b"x",
                     good[:200] + b"\0" * 8 + good[208:], plain,
                     gzip.compress(b""), gzip.compress(b"hello"),
                     gzip.compress(plain[:64]), gzip.compress(plain[:-900])):
            expect_error(post_body(collector, body), 400)
        expect_error(post_body(collector, gzip.compress(good)), 415, "gzip")
        expect_error(post_body(collector, good, PLAIN), 400)
        for encoding in ("br", "deflate", "gzip, gzip", "zstd"):
            expect_error(post_body(collector, good, {
                **GZIP, "Content-Encoding": encoding}), 415)
        expect_error(post_body(collector, good, {
            **GZIP, "Content-Type": "text/plain"}), 415)
        assert collector.groups() == []
        lib.wait_for(lambda: left_files(collector) == [])


def left_files(collector):
    """Bodies that are still lying where they are received."""
    return sorted(p.name for p in (collector.data / "incoming").iterdir())


def test_sizes():
    """What is too large is 413 and names the limit, sent or unpacked"""
    limits = ("--max-sent", "64K", "--max-unpacked", "1M")
    with lib.Collector(*limits) as collector:
        expect_error(post_body(collector, os.urandom(70000)), 413, "65536")
        expect_error(post_body(collector, make("--fill", 2 << 20)), 413,
                     "1048576")
        expect_error(post_body(collector, chunks(70000), {
            **GZIP, "Transfer-Encoding": "chunked"}), 413, "65536")
        fits = make("--fill", 900 << 10)
        assert post_body(collector, fits).status == 201
        assert post_body(collector, make("--fill", 60000, plain=True),
                         PLAIN).status == 201


def chunks(size):
    """An HTTP chunked body of SIZE bytes."""
    part = os.urandom(1000)
    return b"".join(b"3e8\r\n" + part + b"\r\n"
                    for _ in range(size // 1000)) + b"0\r\n\r\n"


def peak_of(collector, during):
    """The most memory, KiB, that all of the collector's processes had
    together while DURING ran."""
    peak, done = [0], threading.Event()

    def watch():
        while not done.is_set():
            peak[0] = max(peak[0], lib.tree_rss_kib(collector.pid))
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        during()
    finally:
        done.set()
        thread.join()
    return peak[0]


def test_bomb():
    """A gzip bomb is refused in fixed memory, however far it would go"""
    def bomb(gigabytes):
        packer, parts = __import__("zlib").compressobj(9, wbits=31), []
        for _ in range(gigabytes << 4):
            parts.append(packer.compress(bytes(64 << 20)))
        return b"".join(parts) + packer.flush()

    with lib.Collector("--max-unpacked", "64M") as collector:
        before = lib.tree_rss_kib(collector.pid)
        bombs = [bomb(1)] * 4
        peak = peak_of(collector, lambda: list(
            concurrent.futures.ThreadPoolExecutor(4).map(
                lambda b: expect_error(post_body(collector, b), 413,
                                       "67108864"), bombs)))
        # Two are looked into at once, and each stops at its limit.
        assert peak - before < 2 * (64 + 40) * 1024, (before, peak)
        assert collector.groups() == []
        assert collector.get("/ready").status == 200


def test_paths():
    """Unknown paths are 404, wrong methods 405, slow readers cost nothing"""
    with lib.Collector() as collector:
        expect_error(collector.get("/nowhere"), 404)
        expect_error(collector.get("/api/v1/groups/0000000000000000"), 404)
        expect_error(collector.get("/api/v1/reports/" + new_id()), 404)
        expect_error(collector.get("/api/v1/reports/x/dmp"), 404)
        expect_error(collector.request("PUT", "/api/v1/hits", b"x"), 405)
        expect_error(collector.get("/api/v1/hits"), 405)
        expect_error(collector.request("POST", "/nowhere", b"x"), 404)
        expect_error(collector.request("DELETE", "/api/v1/groups"), 405)
        expect_error(collector.get("/api/v1/groups?limit=x"), 400)
        expect_error(collector.get("/api/v1/groups?after=x"), 400)
        where = urllib.parse.urlsplit(collector.url)
        idle = [socket.create_connection((where.hostname, where.port))
                for _ in range(200)]
        for sock in idle:
            sock.send(b"POST /api/v1/hits HTTP/1.1\r\nContent-Le")
        post_hit(collector, hit())
        for sock in idle:
            sock.close()


# Reading


def test_dump():
    """The dump comes back as it was, gzipped only for who accepts that"""
    with lib.Collector() as collector:
        body = make("--fill", 300000)
        report_id = post_body(collector, body).json()["id"]
        path = f"/api/v1/reports/{report_id}/dmp"
        plain = collector.get(path)
        assert plain.status == 200 and plain.body == gzip.decompress(body)
        assert plain.headers["Content-Encoding"] is None
        packed = collector.get(path, {"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        sent_plain = make("--offset", "0x77", plain=True)
        other = post_body(collector, sent_plain, PLAIN).json()["id"]
        again = collector.get(f"/api/v1/reports/{other}/dmp")
        assert again.body == sent_plain
        lib.wait_for(lambda: left_files(collector) == [])


def test_search():
    """Groups come newest first, in pages, by word and by status"""
    with lib.Collector() as collector:
        for n in range(1, 8):
            post_hit(collector, hit(n, exe=f"/opt/prog{n}", host=f"h{n % 2}",
                                    release=f"r-{n}"))
            time.sleep(0.01)
        titles, after = [], ""
        for _ in range(4):
            page = collector.get(f"/api/v1/groups?limit=2{after}").json()
            titles += [g["title"] for g in page["groups"]]
            after = f"&after={page['next']}"
        assert titles == [f"SIGSEGV in prog{n}" for n in range(7, 0, -1)]
        assert page["next"] is None
        found = collector.get("/api/v1/groups?q=prog3").json()["groups"]
        assert [g["releases"] for g in found] == [["r-3"]]
        assert len(collector.get("/api/v1/groups?q=h1").json()["groups"]) == 4
        both = collector.get("/api/v1/groups?q=h1%20prog5").json()["groups"]
        assert [g["title"] for g in both] == ["SIGSEGV in prog5"]
        assert collector.get("/api/v1/groups?q=prog_").json()["groups"] == []
        path = f"/api/v1/groups/{both[0]['id']}"
        answer = collector.post(path, {"status": "resolved", "note": "n<o>te"})
        assert answer.status == 200, answer
        done = collector.get("/api/v1/groups?status=resolved").json()["groups"]
        assert [g["id"] for g in done] == [both[0]["id"]]
        assert collector.group(both[0]["id"])["note"] == "n<o>te"
        expect_error(collector.post(path, {"status": "gone"}), 400)
        expect_error(collector.post(path, {}), 400)
        expect_error(collector.post("/api/v1/groups/nope", {"note": "x"}), 404)


def test_merge_split():
    """Merged groups are one for good, and a split takes one out again"""
    with lib.Collector("--epitaph", "/nonexistent") as collector:
        ids = [post_body(collector, make("--offset", n)).json()
               for n in (16, 32, 48)]
        first, second, third = (i["group"] for i in ids)
        answer = collector.post(f"/api/v1/groups/{first}/merge",
                                {"into": second})
        assert answer.status == 200 and answer.json()["id"] == second
        assert sorted(g["count"] for g in collector.groups()) == [1, 2]
        assert collector.group(first)["id"] == second
        collector.post(f"/api/v1/groups/{second}/merge", {"into": third})
        assert collector.group(first)["id"] == third
        assert collector.group(third)["count"] == 3
        split = collector.post(f"/api/v1/groups/{third}/split",
                               {"report": ids[0]["id"]})
        assert split.status == 200, split
        alone = collector.group(split.json()["id"])
        assert alone["reports"] == [ids[0]["id"]] and alone["count"] == 1
        assert collector.group(third)["count"] == 2
        post_hit(collector, hit(fingerprint=alone["fingerprints"]["exact"][0]
                                ["fingerprint"]))
        assert collector.group(alone["id"])["count"] == 2
        expect_error(collector.post(f"/api/v1/groups/{third}/split",
                                    {"report": new_id()}), 404)


def test_pages():
    """The pages show a crash, and escape what its sender wrote"""
    evil = "<script>alert('x')</script>\"&"
    with lib.Collector() as collector:
        empty = collector.get("/")
        assert empty.status == 200 and "No crash yet" in empty.text
        answer = post_body(collector, make(
            "--exe", f"/bin/{evil}", "--host", evil, "--release", evil,
            "--tag", f"{evil}={evil}"))
        group = answer.json()["group"]
        report = answer.json()["id"]
        for path in ("/", f"/g/{group}", f"/r/{report}",
                     "/?q=" + urllib.parse.quote(evil), "/g/" +
                     urllib.parse.quote("<script>")):
            page = collector.get(path)
            assert page.headers["Content-Type"].startswith("text/html"), path
            assert "<script" not in page.text, path
            assert "default-src 'none'" in \
                page.headers["Content-Security-Policy"]
        page = collector.get(f"/g/{group}").text
        assert "!+0x1000" in page and report in page
        assert collector.get("/g/nope").status == 404


# Symbolizing


def test_same_functions():
    """Two fingerprints with the same functions become one group"""
    fake = fake_symbolizer(named("ab" * 16, "known | bug"))
    with lib.Collector("--epitaph", fake) as collector:
        answers = [post_body(collector, make("--offset", n)).json()
                   for n in (16, 32)]
        assert answers[0]["group"] != answers[1]["group"]
        group = lib.wait_for(lambda: one_group(collector))
        assert group["title"] == "known | bug" and group["count"] == 2
        for answer in answers:
            assert collector.group(answer["group"])["id"] == group["id"]
        whole = collector.group(group["id"])
        assert sorted(whole["reports"]) == sorted(a["id"] for a in answers)
        assert [e["fingerprint"] for e in whole["fingerprints"]["semantic"]
                ] == ["ab" * 16]
        assert whole["report"]["reason"] == "a reason"
        collector.post(f"/api/v1/groups/{group['id']}",
                       {"status": "resolved"})
        third = post_body(collector, make("--offset", "64")).json()
        lib.wait_for(lambda: collector.group(third["group"])["id"] ==
                     group["id"])
        assert collector.group(group["id"])["status"] == "regressed"


def one_group(collector):
    groups = collector.groups()
    return groups[0] if len(groups) == 1 and \
        groups[0]["title"] == "known | bug" else None


def test_poison():
    """A report that kills its symbolizer is given up after three attempts"""
    count = lib.temp_dir("count.") / "calls"
    fake = fake_symbolizer(f"echo x >>{count}; echo poison >&2; kill -11 $$\n")
    with lib.Collector("--epitaph", fake) as collector:
        report_id = post_body(collector, make()).json()["id"]
        row = wait_state(collector, report_id, "quarantined")
        assert row["attempts"] == 3 and "poison" in row["detail"], row
        assert len(count.read_text().split()) == 3
        assert collector.get(f"/api/v1/reports/{report_id}").status == 200
        lib.wait_for(lambda: collector.metrics()[
            "epitaph_quarantined_total"] == 1)


def test_poison_kills_role():
    """An attempt that takes the role down with it counts as well"""
    fake = fake_symbolizer("kill -9 $PPID; exec sleep 100\n")
    with lib.Collector("--epitaph", fake) as collector:
        report_id = post_body(collector, make()).json()["id"]
        row = wait_state(collector, report_id, "quarantined")
        assert row["attempts"] == 3, row


def test_no_symbolizer():
    """Without the program reports wait, and are named once it is there"""
    path = lib.temp_dir("late.") / "epitaph"
    with lib.Collector("--epitaph", path) as collector:
        assert "symbolization is off" in collector.log()
        report_id = post_body(collector, make()).json()["id"]
        time.sleep(1)
        wait_state(collector, report_id, "pending")
        document = collector.get(f"/api/v1/reports/{report_id}").json()
        assert document["fingerprint"]["semantic"] is None
        assert document["threads"][0]["frames"][0]["offset"] == "0x1000"
        fake_symbolizer(named("cd" * 16)).rename(path)
        row = wait_state(collector, report_id, "symbolized")
        assert row["attempts"] == 1, row


# Who may


def token(data, *args):
    return lib.run_plain([lib.EPITAPHD, "token", *args[:1], "--data", data,
                          *args[1:]])


def test_tokens():
    """With a token in force each role may do its own, and nothing else"""
    data = lib.temp_dir("data.")
    words = {role: token(data, "add", "--role", role, f"a-{role}")
             .stdout.decode().strip()
             for role in ("ingest", "read", "symbols", "admin")}
    assert all(len(word) == 64 for word in words.values()), words
    kept = (data / "tokens").read_text()
    assert not any(word in kept for word in words.values())
    assert token(data, "add", "--role", "read", "a-read").exit == 1
    assert token(data, "add", "--role", "boss", "b").exit == 1
    assert b"a-read" in token(data, "list").stdout
    with lib.Collector(data=data) as collector:
        def status(method, path, body, word):
            headers = {"Authorization": f"Bearer {word}"} if word else {}
            return collector.request(method, path, body, {
                "Content-Type": "application/json", **headers}).status

        body = json.dumps(hit()).encode()
        wish = json.dumps({"note": "x"}).encode()
        allowed = {
            "ingest": (200, 403, 403), "read": (403, 200, 403),
            "symbols": (403, 403, 403), "admin": (200, 200, 404)}
        for role, statuses in allowed.items():
            assert (status("POST", "/api/v1/hits", body, words[role]),
                    status("GET", "/", None, words[role]),
                    status("POST", "/api/v1/groups/nope", wish, words[role])
                    ) == statuses, role
        for word in (None, "x", words["read"][:-1], words["read"] + "0"):
            assert status("GET", "/api/v1/groups", None, word) == 401
            assert status("POST", "/api/v1/hits", body, word) == 401
        for path in ("/live", "/ready", "/metrics"):
            assert status("GET", path, None, None) == 200, path
        basic = __import__("base64").b64encode(
            f"me:{words['read']}".encode()).decode()
        page = collector.get("/", {"Authorization": f"Basic {basic}"})
        assert page.status == 200
        assert "Basic" in collector.get("/").headers["WWW-Authenticate"]
        assert token(data, "revoke", "a-read").exit == 0
        lib.wait_for(lambda: status("GET", "/", None, words["read"]) == 401)


def test_exposure():
    """Beyond loopback it does not listen without a token"""
    data = lib.temp_dir("data.")
    argv = [lib.EPITAPHD, "--data", data, "--listen", "0.0.0.0:0"]
    outcome = lib.run_plain(argv)
    assert outcome.exit == 1
    assert b"token" in outcome.stderr and b"loopback" in outcome.stderr
    word = token(data, "add", "--role", "read", "x").stdout.decode().strip()
    with lib.Collector(data=data, listen="0.0.0.0:0") as collector:
        collector.url = collector.url.replace("0.0.0.0", "127.0.0.1")
        assert collector.get("/api/v1/groups").status == 401
        collector.token = word
        assert collector.get("/api/v1/groups").status == 200


# Starting and stopping


def test_canary_unseen():
    """What the canary sends is in no list, no count and no answer"""
    with lib.Collector() as collector:
        lib.wait_for(lambda: collector.metrics()
                     ['epitaph_canary_total{outcome="ok"}'] >= 2)
        assert collector.groups() == []
        assert collector.metrics()["epitaph_hits_total"] == 0
        assert collector.metrics()["epitaph_reports_total"] == 0
        bodies = list((collector.data / "bodies").glob("*/*"))
        assert bodies
        for body in bodies:
            report_id = body.name.split(".")[0]
            path = f"/api/v1/reports/{report_id}"
            assert collector.get(path).status == 404
        lib.wait_for(lambda: not bodies[0].exists(), 30, "its end")


def test_unix_socket():
    """It listens on a unix socket too, and on that alone if told so"""
    path = lib.temp_dir("sock.") / "s"
    with lib.Collector("--unix", path) as collector:
        assert f"listening on http+unix://{path}" in collector.log()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(b"GET /live HTTP/1.0\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200")


def test_start_errors():
    """What an operator gets wrong is told in one line, with exit status"""
    def fails(*args, status=1):
        outcome = lib.run_plain([lib.EPITAPHD, *args])
        assert outcome.exit == status, outcome
        return outcome.stderr.decode()

    where = lib.temp_dir("start.")
    (where / "file").write_text("")
    assert "file" in fails("--data", where / "file" / "x")
    with lib.Collector() as collector:
        port = urllib.parse.urlsplit(collector.url).netloc
        said = fails("--data", where / "a", "--listen", port)
        assert port in said and "in use" in said, said
        said = fails("--data", collector.data, "--listen", "127.0.0.1:0")
        assert "in use by another epitaphd" in said, said
    for bad in (["--listen", "localhost:1"], ["--listen", "nonsense"],
                ["--nonsense"], ["extra"], ["--max-sent", "lots"],
                ["--store", "oracle"], ["--listen", "none"]):
        assert fails(*bad, status=2).startswith("epitaphd: "), bad
    config = where / "conf"
    config.write_text("# ours\n\nmax-sent = 1M\nlisten = 127.0.0.1:0\n")
    assert lib.run_plain([lib.EPITAPHD, "--config", config,
                          "--check"]).stdout == b"configuration OK\n"
    config.write_text("max-sent = 1M\nwhatever = 2\n")
    assert f"{config}:2" in fails("--config", config, "--check", status=2)
    assert b"Example" in lib.run_plain([lib.EPITAPHD, "--help"]).stdout
    assert lib.run_plain([lib.EPITAPHD, "--version"]).stdout.startswith(
        b"epitaphd ")


def test_drain():
    """SIGTERM: what is being received is kept, new work is told 503"""
    with lib.Collector() as collector:
        where = urllib.parse.urlsplit(collector.url)
        body = make("--fill", 20000)
        slow = http.client.HTTPConnection(where.hostname, where.port)
        slow.putrequest("POST", "/api/v1/reports")
        for name, value in GZIP.items():
            slow.putheader(name, value)
        slow.putheader("Content-Length", str(len(body)))
        slow.endheaders()
        slow.send(body[:100])
        idle = http.client.HTTPConnection(where.hostname, where.port)
        idle.request("GET", "/live")
        idle.getresponse().read()
        time.sleep(0.1)
        collector.process.kill(signal.SIGTERM)
        lib.wait_for(lambda: "draining" in collector.log())
        time.sleep(0.1)
        idle.request("GET", "/ready")
        answer = idle.getresponse()
        text = answer.read()
        assert answer.status == 503 and b"draining" in text, text
        slow.send(body[100:])
        assert slow.getresponse().status == 201
        assert collector.process.wait(20).exit == 0
    with lib.Collector(data=collector.data) as again:
        assert again.count() == 1


def send_until(collector, stop, acknowledged, seen):
    """Send hits and now and then a body; note what was acknowledged."""
    while not stop.is_set():
        one = hit(int.from_bytes(os.urandom(1), "big") % 5)
        seen.append(one["id"])
        try:
            if collector.post("/api/v1/hits", one).status == 200:
                acknowledged.append(one["id"])
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)


@lib.deadline(180)
def test_kill_store():
    """SIGKILL of the store under load loses nothing acknowledged"""
    with lib.Collector() as collector:
        stop, acknowledged, seen, bodies = threading.Event(), [], [], []
        threads = [threading.Thread(target=send_until, args=(
            collector, stop, acknowledged, seen)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for n in range(4):
            time.sleep(0.5)
            pid = lib.wait_for(lambda: role_pid(collector, "store"))
            answer = post_body(collector, make("--offset", 0x100 + n))
            if answer.status == 201:
                bodies.append(answer.json()["id"])
            os.kill(pid, signal.SIGKILL)
            lib.wait_for(lambda: role_pid(collector, "store") not in
                         (None, pid))
        time.sleep(0.5)
        stop.set()
        for thread in threads:
            thread.join()
        collector.wait_ready()
        assert len(acknowledged) > 100
        before = collector.count()
        assert len(acknowledged) <= before - len(bodies) <= len(seen)
        # An id that was acknowledged is known: again, it does not count.
        # Of 10,000, which a fast machine comes to, a request would be refused.
        for at in range(0, len(acknowledged), 5000):
            lines = b"\n".join(json.dumps(hit(id=i)).encode()
                               for i in acknowledged[at:at + 5000])
            answer = collector.post("/api/v1/hits", lines)
            assert answer.status == 200, answer
        assert collector.count() == before
        for report_id in bodies:
            path = f"/api/v1/reports/{report_id}/dmp"
            assert collector.get(path).body.startswith(b"MDMP")


@lib.deadline(180)
def test_kill_everything():
    """SIGKILL of all processes at once loses nothing acknowledged"""
    data = lib.temp_dir("data.")
    collector = lib.Collector(data=data).start()
    try:
        stop, acknowledged, seen = threading.Event(), [], []
        thread = threading.Thread(target=send_until, args=(
            collector, stop, acknowledged, seen))
        thread.start()
        report_id = post_body(collector, make("--offset", 4)).json()["id"]
        time.sleep(1)
        for pid in [collector.pid, *lib.descendants(collector.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        stop.set()
        thread.join()
    finally:
        collector.process.end()
    with lib.Collector(data=data) as again:
        assert len(acknowledged) < again.count() <= len(seen) + 1
        assert again.get(f"/api/v1/reports/{report_id}/dmp").status == 200


def test_kill_supervisor():
    """Without their supervisor the roles end, and a new one can start"""
    collector = lib.Collector().start()
    try:
        report_id = post_body(collector, make()).json()["id"]
        pids = lib.descendants(collector.pid)
        assert len(pids) >= 7, pids
        os.kill(collector.pid, signal.SIGKILL)
        lib.wait_for(lambda: not [p for p in pids if is_running(p)], 10)
    finally:
        collector.process.end()
    with lib.Collector(data=collector.data) as again:
        assert again.get(f"/api/v1/reports/{report_id}").status == 200


def is_running(pid):
    return lib.processes().get(pid, (0, "X", ""))[1] not in "ZX"


def test_broken_store():
    """A database that cannot be used ends it at once, and says which"""
    data = lib.temp_dir("data.")
    (data / "epitaph.db").write_bytes(b"not a database" * 1000)
    outcome = lib.run_plain([lib.EPITAPHD, "--data", data, "--listen",
                             "127.0.0.1:0"])
    assert outcome.exit == 1, outcome
    assert b"epitaph.db" in outcome.stderr, outcome
    assert b"listening" not in outcome.stdout


@lib.deadline(120)
def test_stopped_store():
    """A stopped store makes /ready 503 within 5 s, and 200 once it goes on"""
    with lib.Collector() as collector:
        pid = role_pid(collector, "store")
        os.kill(pid, signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            lib.wait_for(lambda: collector.get("/ready").status == 503, 20)
            took = time.monotonic() - stopped
            assert took < 5, f"{took:.1f} s"
            assert collector.get("/live").status == 200
        finally:
            os.kill(pid, signal.SIGCONT)
        collector.wait_ready()
        assert role_pid(collector, "store") == pid


@lib.deadline(120)
def test_full_disk():
    """With a full disk it says 503 and keeps what it had; then it goes on"""
    with lib.Collector() as collector:
        post_hit(collector, hit())
        pid = role_pid(collector, "store")
        old = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (100, old[1]))
        try:
            for _ in range(3):
                answer = collector.post("/api/v1/hits", hit())
                assert answer.status == 503, answer
                assert answer.headers["Retry-After"]
            expect_error(post_body(collector, make()), 503)
            assert collector.count() == 1
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, old)
        post_hit(collector, hit())
        assert post_body(collector, make()).status == 201
        assert collector.count() == 3
        assert role_pid(collector, "store") == pid


def test_retention():
    """What gets too old goes, body and all; its count stays"""
    with lib.Collector("--retention-days", "1") as collector:
        report_id = new_id(86400 - 4)
        answer = post_body(collector, make("--id", report_id))
        assert answer.status == 201, answer
        young = post_body(collector, make()).json()["id"]
        path = f"/api/v1/reports/{report_id}"
        lib.wait_for(lambda: collector.get(path).status == 404)
        names = [p.name for p in (collector.data / "bodies").glob("*/*")]
        assert f"{report_id}.dmp.gz" not in names
        assert collector.get(f"/api/v1/reports/{young}").status == 200
        assert collector.count() == 2


@lib.deadline(120)
def test_stopped_ingest():
    """A worker that hangs is replaced, so that no connection waits for it"""
    with lib.Collector() as collector:
        pid = role_pid(collector, "ingest")
        os.kill(pid, signal.SIGSTOP)
        lib.wait_for(lambda: is_replaced(collector, "ingest", pid), 30)
        for _ in range(20):
            assert collector.get("/live").status == 200


@lib.deadline(120)
def test_stopped_web():
    """With readers stuck, reading is 504 and counting goes on"""
    with lib.Collector() as collector:
        pid = role_pid(collector, "web")
        os.kill(pid, signal.SIGSTOP)
        try:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                reading = pool.submit(collector.get, "/api/v1/groups")
                start = time.monotonic()
                for n in range(50):
                    post_hit(collector, hit(n))
                assert time.monotonic() - start < 4
                expect_error(reading.result(), 504)
            lib.wait_for(lambda: collector.get("/ready").status == 503)
        finally:
            os.kill(pid, signal.SIGCONT)
        collector.wait_ready()
        assert collector.count() == 50


@lib.deadline(120)
def test_kill_roles():
    """Each role that is killed is started again, and it is ready again"""
    with lib.Collector() as collector:
        for role in ("check", "web", "symbolize", "ingest", "canary", "store"):
            pid = role_pid(collector, role)
            os.kill(pid, signal.SIGKILL)
            lib.wait_for(lambda: is_replaced(collector, role, pid))
            before = came_back(collector)
            lib.wait_for(lambda: came_back(collector) >= before + 2, 30,
                         f"life after {role}")
        assert post_body(collector, make()).status == 201
        total = sum(n for name, n in collector.metrics().items()
                    if name.startswith("epitaph_restarts_total"))
        assert total == 6, total


def is_replaced(collector, role, pid):
    pids = role_pids(collector).get(role, [])
    return pid not in pids and len(pids) == (2 if role == "ingest" else 1)


def came_back(collector):
    """How many test reports have come back so far."""
    return collector.metrics().get('epitaph_canary_total{outcome="ok"}', 0)

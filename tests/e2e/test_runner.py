"""The runner is what all other tests rely on, so it is tried on a small tree
of tests that fail in every way it knows."""

import shutil
import textwrap

import lib


def run(tests, *options, units=None):
    """tests/run in a tree of its own that holds TESTS, and unit programs that
    are shell scripts, UNITS, besides one that is not built: Outcome."""
    root = lib.temp_dir("tree.")
    (root / "tests/e2e").mkdir(parents=True)
    (root / "tests/unit").mkdir()
    (root / "scripts").mkdir()
    for check in ("check-layers", "check-style", "check-zone"):
        (root / "scripts" / check).write_text("#!/bin/sh\nexit 0\n")
        (root / "scripts" / check).chmod(0o755)
    shutil.copy(lib.ROOT / "tests/run", root / "tests/run")
    shutil.copy(lib.ROOT / "tests/e2e/lib.py", root / "tests/e2e/lib.py")
    (root / "tests/e2e/test_it.py").write_text(
        "import lib, os, subprocess, time\n" + textwrap.dedent(tests))
    for name, script in (units or {}).items():
        program = root / "build/unit" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    for name in [*(units or {}), "unbuilt"]:
        (root / f"tests/unit/{name}.c").write_text("int main(void)\n")
    return lib.run_plain([root / "tests/run", *options])


def text(outcome):
    return outcome.stdout.decode() + outcome.stderr.decode()


def test_verdicts():
    """tests/run counts what passes, fails and skips, with the reason"""
    outcome = run('''
        def test_a():
            """this is fine"""
        def test_b():
            """this is not"""
            assert 1 == 2, "one is not two"
        def test_c():
            """this cannot be"""
            raise lib.Skip("no moon")
        def test_d():
            """this dies"""
            os.abort()
        ''', "--kind", "e2e")
    assert outcome.exit == 1, text(outcome)
    assert text(outcome).endswith("1 passed, 2 failed, 1 skipped\n")
    assert "skipped: this cannot be: no moon" in text(outcome)
    assert "one is not two" in text(outcome)
    assert "failed: test_it.py:test_d: this dies" in text(outcome)


def test_deadline():
    """tests/run ends a test that hangs, at the deadline it set itself"""
    outcome = run('''
        @lib.deadline(1)
        def test_a():
            """hangs"""
            time.sleep(100)
        ''', "--kind", "e2e")
    assert outcome.exit == 1
    assert "hangs: no end in 1 s" in text(outcome), text(outcome)


def test_leftovers():
    """tests/run finds and ends what a test leaves running, even a daemon"""
    outcome = run('''
        def test_a():
            """leaves"""
            subprocess.Popen(["sleep", "1000.25"], start_new_session=True)
        ''', "--kind", "e2e")
    assert outcome.exit == 1
    assert "leaves: left running: sleep (" in text(outcome), text(outcome)
    assert not [pid for pid, (_, state, name) in lib.processes().items()
                if name == "sleep" and state not in "ZX"
                and "1000.25" in command(pid)]


def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def test_directory():
    """tests/run gives each test an empty directory and no core files"""
    outcome = run('''
        import resource
        def test_a():
            """clean"""
            assert os.listdir() == []
            assert os.environ["TMPDIR"] == os.getcwd()
            assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
            open("rubbish", "w").close()
        def test_b():
            """clean again"""
            assert os.listdir() == []
        ''', "--kind", "e2e", "-j1")
    assert outcome.exit == 0, text(outcome)
    assert text(outcome).endswith("2 passed, 0 failed, 0 skipped\n")


def test_unit_programs():
    """tests/run believes a unit program's exit status more than its words"""
    tree = {"silent": "exit 0", "liar": "echo ok - it works; exit 1",
            "honest": "echo ok - it works; echo 'not ok - it fails'; exit 1"}
    outcome = run("", "--kind", "unit", units=tree)
    assert outcome.exit == 1
    assert "FAIL unit silent: the program: no tests in it" in text(outcome)
    assert "FAIL unit liar: the program: exit status 1" in text(outcome)
    assert "FAIL unit honest: it fails\n" in text(outcome)
    assert "FAIL unit unbuilt: the program: exit status 127" in text(outcome)
    assert text(outcome).endswith("2 passed, 4 failed, 0 skipped\n")

"""README.md is a promise: its commands run, and print what it shows."""

import os
import pathlib
import re
import subprocess
import time

import lib

README = (lib.ROOT / "README.md").read_text()
PORT = "127.0.0.1:7350"  # what README's commands say
HOME = "/src/epitaph"    # where README says that this tree is

# Not run from within a test: what runs the tests, and what takes minutes. That
# such targets exist is checked.
ELSEWHERE = re.compile(r"(sudo )?make\b")
MARK = "=== done ==="

# What may differ from run to run: ids, hashes, addresses, times, numbers; and
# "..." alone in a line stands for any lines.
VARYING = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
     r"[0-9a-f-]{36}"),
    (r"\b[0-9a-f]{16,64}\b", r"[0-9a-f]{16,64}"),
    (r"0x[0-9a-f]+", r"0x[0-9a-f]+"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z?", r"\d{4}-\d\d-\d\dT[\d:.]+Z?"),
    (r"\b\d+\b", r"\d+"),
    (r"(?m:^\.\.\.\n)", r"(?:.*\n)*"),
    (r" +", r" +"),
]


class Shell:
    """A bash that is typed into, as a reader would."""

    def __init__(self, directory):
        self.out = open(directory / "typescript", "w+b")
        self.bash = subprocess.Popen(
            ["/bin/bash"], stdin=subprocess.PIPE, stdout=self.out,
            stderr=self.out, cwd=directory,
            env=lib.clean_env({"HOME": directory}))
        self.seen = 0

    def type(self, command, shown=""):
        """What COMMAND prints; of one in the background, once it has printed
        as much as is SHOWN."""
        self.bash.stdin.write(f"{command}\n".encode())
        self.bash.stdin.flush()
        if command.endswith("&"):
            lib.wait_for(lambda: len(self.text()) - self.seen >= len(shown),
                         20, command)
        self.bash.stdin.write(f"echo {MARK}\n".encode())
        self.bash.stdin.flush()

        def answer():
            text = self.text()[self.seen:]
            return text if text.endswith(MARK + "\n") else None

        text = lib.wait_for(answer, 60, command)
        self.seen += len(text)
        return tidy(text[:-len(MARK) - 1])

    def text(self):
        return os.pread(self.out.fileno(), 1 << 20, 0).decode()

    def close(self):
        self.bash.stdin.write(b"kill $(jobs -p) 2>/dev/null; wait; exit\n")
        self.bash.stdin.close()
        self.bash.wait(20)
        self.out.close()


def tidy(text):
    """TEXT as bash would have put it at a prompt: a script's bash says more
    of a program that died."""
    return re.sub(r"(?m)^/bin/bash: line \d+: +\d+ (\w[\w ]*?)( +\(core dumped"
                  r"\))?  .*$", r"\1", text)


def sessions():
    """[[(command, what README shows of it)]] of the ```console blocks."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", README, re.M | re.S):
        session = []
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command = f"{command}\n{more}"
            session.append((command, output))
        found.append(session)
    return found


def pattern_of(shown):
    """A regular expression of the output that README shows."""
    pattern, place = "", 0
    regex = re.compile("|".join(f"({source})" for source, _ in VARYING))
    for match in regex.finditer(shown):
        pattern += re.escape(shown[place:match.start()])
        pattern += VARYING[match.lastindex - 1][1]
        place = match.end()
    return pattern + re.escape(shown[place:])


def tree():
    """A directory where README's commands find the built programs, and can
    write to build/."""
    root = lib.temp_dir("tree.")
    (root / "build").mkdir()
    for path in lib.BUILD.iterdir():
        if path.name in ("crashers", "epitaph", "epitaph-helper", "epitaphd",
                         "libepitaph.so"):
            (root / "build" / path.name).symlink_to(path)
    return root


def try_command(shell, command, shown):
    """Type COMMAND until it prints what is SHOWN: a report takes a moment to
    arrive, and only commands that look are typed twice."""
    looks = re.match(r"build/epitaph (list|show|symbolize|symbols)\b", command)
    end = time.monotonic() + (20 if looks else 0)
    while True:
        answer = shell.type(command, shown)
        if re.fullmatch(pattern_of(shown), answer):
            return
        assert time.monotonic() < end, (
            f"{command}\nprints:\n{answer}\nREADME.md shows:\n{shown}")
        time.sleep(0.2)


@lib.deadline(240)
def test_commands():
    """Every command of README.md prints what README.md shows"""
    address = f"127.0.0.1:{lib.free_port()}"
    count = 0
    for session in sessions():
        home = tree()
        shell = Shell(home)
        try:
            for command, shown in session:
                # What is built is there, and the sources are here.
                shown = shown.replace(f"{HOME}/build", f"{home}/build")
                shown = shown.replace(HOME, str(lib.ROOT))
                if not ELSEWHERE.match(command):
                    count += 1
                    try_command(shell, command.replace(PORT, address),
                                shown.replace(PORT, address))
        finally:
            shell.close()
    assert count >= 5, f"only {count} commands found in README.md"


def test_pattern():
    """What README.md shows may differ in ids and numbers, and nothing else"""
    shown = ("#1 0x12  f at a.c:3\n...\n"
             "id 0199aaaa-0000-7000-8000-00000000000a\n")
    assert re.fullmatch(pattern_of(shown), shown)
    assert re.fullmatch(pattern_of(shown), shown.replace("0x12", "0xabc"))
    assert re.fullmatch(pattern_of(shown), shown.replace("a.c:3", "a.c:44"))
    assert not re.fullmatch(pattern_of(shown), shown.replace("a.c", "b.c"))
    assert not re.fullmatch(pattern_of(shown), shown.replace("f at", "at"))
    assert not re.fullmatch(pattern_of(shown), "")


def test_targets():
    """Every make target that README.md names is one"""
    makefile = (lib.ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", makefile, re.M)[1]
    targets = set(phony.replace("\\", " ").split())
    named = set(re.findall(r"(?:^\$ |`)make ([a-z][a-z-]*)", README, re.M))
    assert "check" in named and "demo" in named, named
    assert named <= targets, f"no targets: {sorted(named - targets)}"


def test_paths():
    """Every file and folder that README.md names is there"""
    layout = re.search(r"^## Layout\n.*?^```\n(.*?)^```", README, re.M | re.S)
    named = [line.split()[0] for line in layout[1].splitlines()
             if line.strip()]
    named += re.findall(r"\]\(((?!http)[^)#]+)\)", README)
    assert len(named) > 10, named
    missing = [name for name in named if not pathlib.Path(
        lib.ROOT / name).exists()]
    assert not missing, missing

"""Arguments and variables, ours held against gdb's: both are told to show all
of them for the frames of one thread, and what both show has to be the same."""

import json
import re
import subprocess
import textwrap
from typing import NamedTuple

import lib

# Printed by gdb as JSON, one object a physical frame: its pc, and for each
# function inlined there, innermost first, its arguments and its variables, by
# block, innermost first.
GDB = textwrap.dedent(r"""
    import gdb
    import json

    def text(symbol, frame):
        try:
            return symbol.value(frame).format_string(raw=True,
                                                     deref_refs=True)
        except Exception as error:
            return f"<error: {error}>"

    def function(frame):
        args, variables = [], []
        try:
            block = frame.block()
        except RuntimeError:
            return None
        while block:
            for symbol in block:
                if symbol.is_argument:
                    args.append((symbol.name, text(symbol, frame)))
                elif symbol.is_variable:
                    variables.append((symbol.name, text(symbol, frame)))
            if block.function:
                break
            block = block.superblock
        return {"args": args, "locals": variables,
                "function": frame.name(), "unit": str(frame.find_sal())}

    frames, levels = [], []
    frame = gdb.newest_frame()
    while frame and len(frames) < 300:
        frame.select()
        if frame.type() != gdb.TAILCALL_FRAME:
            levels.append(function(frame))
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            frames.append({"pc": frame.pc(), "functions": levels})
            levels = []
        try:
            frame = frame.older()
        except gdb.error:
            break
    print("VALUES" + json.dumps(frames))
    """)


def gdb_frames(program, core, *commands):
    """What gdb says of the crashed thread of CORE."""
    script = lib.temp_dir("gdb.") / "values.py"
    script.write_text(GDB)
    argv = ["gdb", "-nx", "-batch"]
    for command in ("set debuginfod enabled off", "set width 0", *commands):
        argv += ["-iex", command]
    done = subprocess.run(
        [*argv, "-ex", f"source {script}", str(program), str(core)],
        env=lib.clean_env(), capture_output=True, text=True, timeout=300,
        check=False)
    found = re.search(r"^VALUES(.*)$", done.stdout, re.M)
    assert found, done.stdout + done.stderr
    return json.loads(found[1])


def our_frames(path, *options, env=None):
    """The same of a core or report."""
    outcome = lib.epitaph("symbolize", "--json", "--args", *options, path,
                          env=env, seconds=300)
    assert outcome.exit == 0, outcome
    report = json.loads(outcome.stdout)
    assert not report["trouble"], report["trouble"]
    thread = next(t for t in report["threads"] if t["crashed"])
    frames, levels = [], []
    for frame in thread["frames"]:
        if "tail_call" in frame["flags"]:
            continue
        levels.append(frame)
        if not frame["inline"]:
            frames.append({"pc": int(frame["pc"], 16), "functions": levels})
            levels = []
    return frames


class Seen(NamedTuple):
    """One variable of one frame; a value is None where it is not there, and
    WHY is then ours."""

    function: str
    name: str
    ours: str
    gdbs: str
    why: str


class Frame(NamedTuple):
    """A frame that both know, by the programs' own names."""

    function: str
    variables: list


def in_order(pairs):
    """{(name, how many of that name were before): value}."""
    found, times = {}, {}
    for name, value in pairs:
        times[name] = times.get(name, -1) + 1
        found[name, times[name]] = value
    return found


def join(ours, gdbs):
    """The variables of one function."""
    seen = []
    for key in ("args", "locals"):
        theirs = in_order(gdbs[key])
        for at, variable in in_order((v["name"], v)
                                     for v in ours[key]).items():
            if at in theirs:
                seen.append(Seen(ours["function"], at[0], variable["value"],
                                 theirs[at], variable["why"]))
    return seen


def frames_of(ours, gdbs):
    """Frames, by pc, in their order, of all that both have variables of."""
    frames = []
    for mine, theirs in zip(ours, gdbs):
        if mine["pc"] != theirs["pc"]:
            break
        if len(mine["functions"]) != len(theirs["functions"]):
            continue
        for one, other in zip(mine["functions"], theirs["functions"]):
            if one["args"] is None or other is None:
                continue
            frames.append(Frame(one["function"], join(one, other)))
    return frames


# What is shown differently on purpose


def close_of(text, at):
    """Where the bracket ends that begins before AT; ">" of "->" is none."""
    depth = 1
    while at < len(text) and depth:
        if text[at - 1:at + 1] != "->":
            depth += {"<": 1, ">": -1}.get(text[at], 0)
        at += 1
    return at


def without(text, pattern, behind=""):
    """TEXT without what is in the brackets that end PATTERN, where BEHIND
    follows these, and the brackets."""
    out, at = "", 0
    for found in re.finditer(pattern, text):
        end = close_of(text, found.end())
        if found.start() >= at and text.startswith(behind, end):
            out += text[at:found.end(1)]
            at = end
    return out + text[at:]


def plain(text):
    """TEXT without the symbols that gdb shows behind addresses of data, and its
    errors about strings, without the names of base classes, which gdb spells
    its own way, and without members that a class has once for all."""
    text = without(text, r"(0x[0-9a-f]+) <(?!repeats)")
    text = without(text, r"([{ ])<(?=[\w:(])", " = ")
    return re.sub(r"static \w+ = (\{[^{}]*\}|<error[^>]*>|[^,{}]*)(, )?", "",
                  text)


ABSENT = re.compile(r"<(optimized out|clobbered|not captured|"
                    r"synthetic pointer|in thread-local storage|too large|"
                    r"not understood)>")
STRING = r"(?: [LuU]?[\"'].*?)?"


def agrees(ours, gdbs, whole=True):
    """Whether OURS is what gdb shows. Where not all memory was there (not
    WHOLE), strings may be missing, or cut off; what is not there may be
    anything."""
    ours, gdbs = plain(ours), plain(gdbs)
    if ours == gdbs:
        return True
    if re.fullmatch(r"@0x[0-9a-f]+: <error.*", gdbs):
        return ABSENT.search(ours) is not None
    pattern = "".join(
        ".*?" if i % 2 else re.escape(part)
        for i, part in enumerate(re.split(f"({ABSENT.pattern[:-1]}>)"
                                          .replace("(opt", "(?:opt"), ours)))
    if not whole:
        pattern = re.sub(r"(0x[0-9a-f]+)(?=[,}]|\\}|$)", r"\1" + STRING,
                         pattern)
        pattern = pattern.replace(r'"\.\.\.', r'.*?')
    return re.fullmatch(pattern, gdbs, re.S) is not None


def says_something(text):
    """Whether any part of what gdb shows is a value."""
    text = plain(text)
    if re.match(r"<(error|synthetic)", text):
        return False
    return "<No data" in text or \
        re.sub(r"[\w.$]+ = |<[^<>]*>|[{}, ]", "", text) != ""


class Tally:
    """What came of a comparison."""

    def __init__(self):
        self.frames = self.equal = self.neither = 0
        self.only_ours, self.only_gdbs, self.wrong = [], [], []
        self.reasons = {}

    def add(self, frames, whole=True):
        for frame in frames:
            self.frames += bool(frame.variables)
            for seen in frame.variables:
                self._add(seen, whole)

    def merge(self, other):
        self.frames += other.frames
        self.equal += other.equal
        self.neither += other.neither
        self.wrong += other.wrong
        self.only_ours += other.only_ours
        self.only_gdbs += other.only_gdbs
        for why, times in other.reasons.items():
            self.reasons[why] = self.reasons.get(why, 0) + times

    def _add(self, seen, whole):
        has_gdb = says_something(seen.gdbs)
        if seen.ours is None or (seen.ours.startswith("@") and not has_gdb):
            self.reasons[seen.why] = self.reasons.get(seen.why, 0) + 1
            if has_gdb:
                self.only_gdbs.append(seen)
            self.neither += not has_gdb
        elif not has_gdb:
            self.only_ours.append(seen)
        elif agrees(seen.ours, seen.gdbs, whole):
            self.equal += 1
        else:
            self.wrong.append(seen)

    def __str__(self):
        return (f"{self.frames} frames: {self.equal} values are gdb's, "
                f"{len(self.wrong)} are not, {len(self.only_ours)} only we "
                f"have, {len(self.only_gdbs)} only gdb has, {self.neither} "
                f"neither; why we have none: {self.reasons}")


def cored(argv, where, env=None, **options):
    """(core, report) of one crash of ARGV under the shim, in WHERE."""
    outcome = lib.run_under_shim(argv, env, cwd=where, cores=True, **options)
    return lib.core_in(where), outcome.report

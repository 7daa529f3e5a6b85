"""Programs of many functions that call each other and crash at the end, made up
by the dice: what their frames hold is not what somebody had in mind."""

import random

HEAD = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum shade { DARK, GRAY = 4, LIGHT };
enum marks { READ = 1, WRITE = 2, RUN = 4 };
struct point { int x; short y; };
struct box { struct point low, high; const char *label; unsigned kind : 3;
	int depth : 7; union { uint32_t bits; float real; } u; };
struct chain { struct chain *next; double weight; char tag[12];
	enum marks marks; };
typedef int (*hook)(int);

int opaque(int n);
void keep(const void *p, ...);
void give_up(int how);
extern volatile int sink;
extern const char *const words[8];
"""

OTHER = r"""
volatile int sink;
const char *const words[8] = { "", "a", "two words", "tab\there",
	"\"quoted\"", "aaaaaaaaaaaaaaaaaaaaaaa", "caf\303\251", "\001\177end" };

int opaque(int n) { return n + sink; }
void keep(const void *p, ...) { sink += p != 0; }

void give_up(int how)
{
	if (how % 3 == 0)
		abort();
	if (how % 3 == 1)
		*(volatile int *)16 = 1;
	__builtin_trap();
}
"""

# Type, how an expression of it is made of an int, how an int is made of it.
TYPES = [
    ("int", "({0}) * 3 + 1", "{0}"),
    ("unsigned char", "(unsigned char)(({0}) + 65)", "(int){0}"),
    ("char", "(char)(97 + (({0}) & 15))", "(int){0}"),
    ("short", "(short)(({0}) - 7)", "(int){0}"),
    ("long", "(long)({0}) << 33", "(int)({0} >> 33)"),
    ("unsigned long", "(unsigned long)({0}) * 0x123456789ul",
     "(int)({0} >> 7)"),
    ("double", "({0}) * 0.125", "(int)({0} * 8)"),
    ("float", "(float)({0}) / 3", "(int){0}"),
    ("const char *", "words[({0}) & 7]", "{0}[0]"),
    ("enum shade", "(enum shade)(({0}) & 7)", "(int){0}"),
    ("enum marks", "(enum marks)(({0}) & 15)", "(int){0}"),
    ("struct point", "(struct point){{ ({0}), (short)-({0}) }}", "{0}.x"),
    ("struct box", "(struct box){{ {{ ({0}), 1 }}, {{ 2, 3 }}, words[2], 5, "
     "-3, {{ 7 }} }}", "{0}.low.x"),
    ("struct chain", "(struct chain){{ 0, ({0}) / 2.0, \"tag\", "
     "READ | RUN }}", "(int){0}.weight"),
    ("hook", "({0}) & 1 ? opaque : (hook)0", "({0} == opaque)"),
    ("__int128", "(__int128)({0}) * 1000000007", "(int){0}"),
    ("long double", "({0}) * 0.5L", "(int){0}"),
    ("_Bool", "({0}) & 1", "(int){0}"),
]
LOCAL_ONLY = [
    ("int {0}[5] = {{ {1}, 2, 3 }}", "{0}[0]"),
    ("char {0}[16] = \"local\"; {0}[9] = (char)({1})", "{0}[9]"),
    ("unsigned char {0}[40] = {{ 0 }}; {0}[3] = (unsigned char)({1})",
     "{0}[3]"),
    ("struct point {0}[2] = {{ {{ {1}, 1 }}, {{ 4, 5 }} }}", "{0}[1].x"),
    ("int {0}[(({1}) & 3) + 2]; for (int q = 0; q < (({1}) & 3) + 2; q++) "
     "{0}[q] = q * 5", "{0}[1]"),
]


class Maker:
    def __init__(self, seed, functions):
        self.dice = random.Random(seed)
        self.functions = functions
        self.names = iter(range(1 << 30))

    def name(self, letter):
        return f"{letter}{next(self.names)}"

    def value(self, kind, ints):
        return kind[1].format(self.dice.choice(ints))

    def locals(self, ints, lines, count):
        """Declare COUNT locals; those that become ints are added to INTS."""
        made = []
        for _ in range(count):
            name = self.name("v")
            if self.dice.random() < 0.3:
                text, back = self.dice.choice(LOCAL_ONLY)
                lines.append(text.format(name, self.dice.choice(ints)) + ";")
            else:
                kind = self.dice.choice(TYPES)
                lines.append(f"{kind[0]} {name} = "
                             f"{self.value(kind, ints)};")
                back = kind[2]
            made.append((name, back.format(name)))
            if self.dice.random() < 0.4:
                ints = ints + [made[-1][1]]
        return made

    def call(self, callee, ints):
        number, parameters = callee
        return (f"f{number}(" + ", ".join(
            ["n - 1"] + [self.value(kind, ints) for kind, _ in parameters]) +
                ")")

    def function(self, number, parameters, callee):
        dice = self.dice
        ints = ["n"] + [back.format(name) for (_, _, back), name in
                        parameters]
        lines = []
        made = self.locals(ints, lines, dice.randrange(5))
        used = [back for _, back in made] + ints
        if dice.random() < 0.5 and made:
            lines.append(f"keep(&{dice.choice(made)[0]});")
        text = ("__attribute__((noinline)) " if dice.random() < 0.6 else "")
        text += ("static " if dice.random() < 0.7 else "")
        text += f"int f{number}(int n" + "".join(
            f", {kind[0]} {name}" for kind, name in parameters) + ")\n{\n"
        call = self.call(callee, ["n"] + used) if callee else "0"
        if not callee:
            lines.append("give_up(n);")
        if dice.random() < 0.2 and callee:
            lines.append(f"return {call};")
        else:
            block = self.name("w")
            lines.append(f"int r = {dice.choice(used)};")
            lines.append(f"if (n > -1000) {{ int {block} = "
                         f"opaque({dice.choice(used)}); r += {call} + "
                         f"{block}; }}")
            kept = dice.sample(used, min(len(used), dice.randrange(1, 4)))
            lines.append("return r + " + " + ".join(kept) + ";")
        return text + "".join(f"\t{line}\n" for line in lines) + "}\n\n"

    def program(self):
        bodies, callee = [], None
        for number in range(self.functions):
            parameters = [(self.dice.choice(TYPES), self.name("p"))
                          for _ in range(self.dice.randrange(7))]
            bodies.append(self.function(number, parameters, callee))
            callee = number, parameters
        first = self.call(callee, ["argc", "n", "7"])
        return (HEAD + "".join(bodies) + "int main(int argc, char **argv)\n"
                f"{{\n\tint n = argc + {self.functions};\n\n"
                f"\tkeep(argv);\n\treturn {first} + n;\n}}\n")


def write(where, seed, functions):
    """The sources of a program of FUNCTIONS frames, in WHERE."""
    where.mkdir(parents=True, exist_ok=True)
    (where / "calls.c").write_text(Maker(seed, functions).program())
    (where / "other.c").write_text(HEAD + OTHER)
    return [where / "calls.c", where / "other.c"]

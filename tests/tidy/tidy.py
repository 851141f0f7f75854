#!/usr/bin/env python3
"""Keeps the house: what a reader may rely on in every file, checked by a machine.

    tests/tidy/tidy.py [FOLDER]

prints one line a violation, `path:line: rule: what`, and exits with 1 when there is one. It looks at
the files that git tracks or would track. The rules are the functions of RULES below.
"""

import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

# A room includes only rooms before it. The four in SERVERS know nothing of each other, of the
# vault or of a store.
ROOMS = ["base", "store", "vault", "kafka", "postgres", "clickhouse", "zookeeper", "recovery",
         "serve", "cli"]
SERVERS = {"kafka", "postgres", "clickhouse", "zookeeper"}

HEADER_LINES = 160    # a header has fewer
SOURCE_LINES = 700    # a source has fewer
FUNCTION_LINES = 70   # a function has at most so many

# Longer functions that have a reason: path, first words of the head, the reason.
LONG_FUNCTIONS = []

# Only these may read the machine's clocks or sleep.
CLOCK_FILES = {"src/base/clock.cpp", "src/base/cancel.cpp"}
CLOCK_CALLS = re.compile(
    r"\b(?:system_clock|steady_clock|high_resolution_clock)::now\b|\bstd::time\b|\btime\(nullptr\)"
    r"|\btime\(NULL\)|\btime\(0\)|\bgettimeofday\(|\bclock_gettime\(|\bthis_thread::sleep_"
    r"|(?<![\w.:>])(?:sleep|usleep|nanosleep)\(")

# Places of one machine, and words about how the work was done; the words are spelt so that this
# file does not hold them.
MACHINE_PATHS = re.compile("(?<![\\w.}/])/(?:" + "work|root|" + "tmp/build" + r")(?:/|-|\b)")
HOW_IT_WAS_MADE = re.compile(
    r"(?i)\b(?:" + "clau" + "de|anthro" + "pic|chat" + "gpt|open" + "ai|copi" + "lot|sub-?age" + "nt|"
    "ai age" + "nt|shared/(?:des" + "ign|sty" + "le|fac" + "ts|field|experiments)|issue #?" + r"\d+)\b")
UNFINISHED = re.compile(r"\b(?:" + "TO" + "DO|FIX" + r"ME|XX" + r"X)\b")

TEXT = {".cpp", ".hpp", ".py", ".md", ".txt", ".cmake", ".sql", ".yaml", ".yml", ".json", ".xml",
        ".sh", ".sha256", ""}


class Violation(NamedTuple):
    path: str
    line: int
    rule: str
    what: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.what}"


class House:
    """The files of one folder: {relative path: text}."""

    def __init__(self, files):
        self.files = files

    @staticmethod
    def of_folder(folder):
        names = subprocess.run(
            ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True, capture_output=True).stdout.decode().split("\0")
        files = {}
        for name in filter(None, names):
            path = pathlib.Path(folder, name)
            if path.suffix not in TEXT or path.is_symlink() or not path.is_file():
                continue
            try:
                files[name] = path.read_text()
            except UnicodeDecodeError:
                continue  # no text
        return House(files)

    def sources(self, *tops):
        for name, text in sorted(self.files.items()):
            if name.endswith((".cpp", ".hpp")) and (not tops or name.split("/")[0] in tops):
                yield name, text


def room_of(name):
    parts = name.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "src" else None


def may_include(room, other):
    if room == other:
        return True
    if room in SERVERS:
        return other == "base"
    return ROOMS.index(other) < ROOMS.index(room)


def includes_go_one_way(house):
    for name, text in house.sources("src"):
        room = room_of(name)
        if room not in ROOMS:
            yield Violation(name, 1, "rooms", "is in no room of the house")
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*[<"]([^/>"]+)/', line)
            if found and found[1] in ROOMS and line.count('"') and not may_include(room, found[1]):
                yield Violation(name, number, "includes", f"{room} may not include {found[1]}")
            elif re.match(r'\s*#\s*include\s*"\.\.?/', line):
                yield Violation(name, number, "includes", "write it from src/, as room/file.hpp")


def rooms_say_what_they_are(house):
    rooms = {room_of(name) for name in house.files} - {None}
    for room in sorted(rooms):
        for file in ("README.md", "CMakeLists.txt"):
            if f"src/{room}/{file}" not in house.files:
                yield Violation(f"src/{room}", 1, "rooms", f"has no {file}")


def files_are_short(house):
    for name, text in house.sources():
        lines, limit = text.count("\n"), HEADER_LINES if name.endswith(".hpp") else SOURCE_LINES
        if lines >= limit:
            yield Violation(name, limit, "length", f"has {lines} lines; fewer than {limit} are asked for")


def without_comments_and_strings(text):
    """The same lines, with blanks for what the compiler does not read as code."""
    def blank(found):
        return re.sub(r"[^\n]", " ", found[0])
    return re.sub(
        r'R"([^\s()\\]{0,16})\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])\'(?:\\.|[^\'\\\n])+\'',
        blank, text, flags=re.DOTALL)


TYPE_HEAD = re.compile(r"(?:template\s*<.*>\s*)?(?:class|struct|union|enum)\b(?:\s*alignas\([^()]*\))?[^()]*$",
                       re.DOTALL)


def functions(text):
    """(first line, last line, head) of each function body. A heuristic: a brace that opens after ')'
    and what may follow a parameter list, outside of any other body."""
    code = without_comments_and_strings(text)
    code = re.sub(r"(?m)^[ \t]*#.*?(?<!\\)$", lambda found: " " * len(found[0]), code)
    stack, body_depth, head_from = [], None, 0
    for at, char in enumerate(code):
        if char == "{":
            head = code[head_from:at]
            is_body = (body_depth is None and ")" in head and not TYPE_HEAD.match(head.strip()) and
                       not head.rstrip().endswith(("=", ",", "(")))
            stack.append((at, is_body, head))
            if is_body:
                body_depth = len(stack)
            head_from = at + 1 if body_depth is None else head_from
        elif char == "}" and stack:
            opened, is_body, head = stack.pop()
            if is_body:
                body_depth = None
                yield (code.count("\n", 0, opened) + 1, code.count("\n", 0, at) + 1,
                       " ".join(head.split()))
            if body_depth is None:
                head_from = at + 1
        elif char == ";" and body_depth is None:
            head_from = at + 1


def functions_are_short(house):
    for name, text in house.sources():
        for first, last, head in functions(text):
            if last - first - 1 <= FUNCTION_LINES:
                continue
            if any(name == path and words in head for path, words, _ in LONG_FUNCTIONS):
                continue
            yield Violation(name, first, "function",
                            f"is {last - first - 1} lines long, more than {FUNCTION_LINES}: {head[-70:]}")


def clocks_are_passed_in(house):
    for name, text in house.sources("src"):
        if name in CLOCK_FILES:
            continue
        for number, line in enumerate(without_comments_and_strings(text).splitlines(), 1):
            if found := CLOCK_CALLS.search(line):
                yield Violation(name, number, "clock", f"{found[0]}: take a Clock or a Cancel instead")


def nothing_about_one_machine(house):
    for name, text in sorted(house.files.items()):
        for number, line in enumerate(text.splitlines(), 1):
            if found := MACHINE_PATHS.search(line):
                yield Violation(name, number, "machine", f"names a place of one machine: {found[0]}")


def nothing_about_how_it_was_made(house):
    for name, text in sorted(house.files.items()):
        for number, line in enumerate(text.splitlines(), 1):
            if found := HOW_IT_WAS_MADE.search(line):
                yield Violation(name, number, "subject", f"the project is about itself, not {found[0]}")


def nothing_unfinished(house):
    for name, text in sorted(house.files.items()):
        for number, line in enumerate(text.splitlines(), 1):
            if found := UNFINISHED.search(line):
                yield Violation(name, number, "unfinished", found[0])


def files_end_with_a_newline(house):
    for name, text in sorted(house.files.items()):
        if text and not text.endswith("\n"):
            yield Violation(name, text.count("\n") + 1, "newline", "does not end with one")
        elif text.endswith("\n\n"):
            yield Violation(name, text.count("\n"), "newline", "ends with an empty line")


def headers_are_guarded(house):
    for name, text in house.sources():
        if name.endswith(".hpp") and "#pragma once" not in text:
            yield Violation(name, 1, "header", "has no #pragma once")


RULES = [includes_go_one_way, rooms_say_what_they_are, files_are_short, functions_are_short,
         clocks_are_passed_in, nothing_about_one_machine,
         nothing_about_how_it_was_made, nothing_unfinished,
         files_end_with_a_newline, headers_are_guarded]


def violations(house):
    return [violation for rule in RULES for violation in rule(house)]


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    found = violations(House.of_folder(folder))
    for violation in found:
        print(violation)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

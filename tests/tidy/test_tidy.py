#!/usr/bin/env python3
"""The house is tidy, and the checker finds what it is there to find."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import tidy  # noqa: E402


def room_files(room):
    return {f"src/{room}/README.md": "# Room\n", f"src/{room}/CMakeLists.txt": "lifeboat_room(x)\n"}


def found(rule, files):
    return [(violation.path, violation.line) for violation in rule(tidy.House(files))]


def body(lines, head="void f()"):
    return head + " {\n" + "  g();\n" * lines + "}\n"


class TheHouse(unittest.TestCase):
    def test_is_tidy(self):
        house = tidy.House.of_folder(pathlib.Path(__file__).resolve().parents[2])
        self.assertGreater(len(list(house.sources("src"))), 50)
        found_here = [str(violation) for violation in tidy.violations(house)]
        self.assertEqual(found_here, [], "\n" + "\n".join(found_here))

    def test_its_functions_are_seen(self):
        """The heuristic sees (nearly) every definition that begins at a line's start and ends in '{'."""
        house = tidy.House.of_folder(pathlib.Path(__file__).resolve().parents[2])
        seen = sum(1 for _, text in house.sources("src") for _ in tidy.functions(text))
        heads = sum(1 for _, text in house.sources("src") for line in text.splitlines()
                    if line[:1].isalpha() and line.endswith(") {"))
        self.assertGreater(heads, 100)
        self.assertGreaterEqual(seen, heads)


class PlantedViolations(unittest.TestCase):
    def test_includes(self):
        bad = [("store", "vault"), ("base", "store"), ("kafka", "postgres"), ("kafka", "vault"),
               ("clickhouse", "store"), ("zookeeper", "recovery"), ("recovery", "cli"), ("serve", "cli")]
        good = [("store", "base"), ("vault", "store"), ("kafka", "base"), ("kafka", "kafka"),
                ("recovery", "zookeeper"), ("recovery", "vault"), ("cli", "serve")]
        for room, other in bad + good:
            files = {f"src/{room}/a.cpp": f'#include <string>\n\n#include "{other}/b.hpp"\n'}
            expected = [(f"src/{room}/a.cpp", 3)] if (room, other) in bad else []
            self.assertEqual(found(tidy.includes_go_one_way, files), expected, (room, other))
        self.assertEqual(found(tidy.includes_go_one_way, {"src/store/a.cpp": '#include "../vault/b.hpp"\n'}),
                         [("src/store/a.cpp", 1)])
        self.assertEqual(found(tidy.includes_go_one_way, {"src/zookeeper/a.cpp": "#include <zookeeper/zookeeper.h>\n"}),
                         [])
        self.assertEqual(found(tidy.includes_go_one_way, {"src/attic/a.cpp": "\n"}), [("src/attic/a.cpp", 1)])

    def test_rooms(self):
        files = room_files("base")
        self.assertEqual(found(tidy.rooms_say_what_they_are, files), [])
        for name in list(files):
            rest = {key: text for key, text in files.items() if key != name} | {"src/base/a.cpp": "\n"}
            self.assertEqual(found(tidy.rooms_say_what_they_are, rest), [("src/base", 1)])

    def test_lengths_of_files(self):
        for name, limit in (("src/base/a.hpp", 160), ("src/base/a.cpp", 700), ("tests/base/a_test.cpp", 700)):
            self.assertEqual(found(tidy.files_are_short, {name: "\n" * (limit - 1)}), [])
            self.assertEqual(found(tidy.files_are_short, {name: "\n" * limit}), [(name, limit)])

    def test_lengths_of_functions(self):
        def long_ones(text):
            return [line for _, line in found(tidy.functions_are_short, {"src/base/a.cpp": text})]

        heads = ["void f()", "int C::f(int a, char b) const", "C::C(int a) : a_(a), b_(std::move(a))",
                 "auto f() -> std::vector<int>", "TEST_F(Suite, Name)", "struct ::stat of(int fd)",
                 "template <typename T>\nT f(T x) noexcept", 'void f(const char* x = "{")']
        for head in heads:
            self.assertEqual(long_ones(body(70, head)), [], head)
            self.assertEqual(long_ones(body(71, head)), [1 + head.count("\n")], head)
            inside = "namespace a {\nclass B : public C {\n" + body(71, head) + "};\n}\n"
            self.assertEqual(long_ones(inside), [3 + head.count("\n")], head)
        short = body(40) + body(40)
        self.assertEqual(long_ones(short), [])
        self.assertEqual(long_ones("class A {\n" + short + "};\n" + "namespace b {\n" + short + "}\n"), [])
        self.assertEqual(long_ones("const int t[] = {\n" + "  f(1),\n" * 100 + "};\n"), [])
        noise = 'void f() {\n  // }\n  g("}");\n  h(\'}\');\n  /* } */\n' + "  g();\n" * 70 + "}\n"
        self.assertEqual(long_ones(noise), [1])

    def test_clocks(self):
        bad = ["auto t = std::chrono::system_clock::now();", "auto t = steady_clock::now();", "time(nullptr);",
               "std::this_thread::sleep_for(x);", "usleep(5);", "::clock_gettime(CLOCK_REALTIME, &t);"]
        good = ["clock.now();", "cancel.sleep_for(Millis(5));", "// steady_clock::now()", 'f("time(nullptr)");',
                "std::chrono::steady_clock::time_point t;"]
        for line in bad + good:
            files = {"src/kafka/a.cpp": "\n" + line + "\n", "src/base/clock.cpp": line + "\n",
                     "tests/kafka/a.cpp": line + "\n"}
            self.assertEqual(found(tidy.clocks_are_passed_in, files),
                             [("src/kafka/a.cpp", 2)] if line in bad else [], line)

    def test_places_of_one_machine(self):
        for place in ("work/main", "root/x", "tmp/build-x"):
            self.assertEqual(found(tidy.nothing_about_one_machine, {"README.md": f"see /{place}\n"}),
                             [("README.md", 1)])
        for text in ("a/work/b\n", "${HOME}/root/x\n", "the /workload\n", "/tmp/lifeboat\n"):
            self.assertEqual(found(tidy.nothing_about_one_machine, {"README.md": text}), [], text)

    def test_how_it_was_made(self):
        for words in ("Clau" + "de", "is" + "sue 3", "shared/" + "design.md", "sub" + "agent"):
            self.assertEqual(found(tidy.nothing_about_how_it_was_made, {"README.md": f"by {words}\n"}),
                             [("README.md", 1)], words)
        self.assertEqual(found(tidy.nothing_about_how_it_was_made, {"README.md": "issues a request\n"}), [])

    def test_unfinished(self):
        for word in ("TO" + "DO", "FIX" + "ME"):
            self.assertEqual(found(tidy.nothing_unfinished, {"src/base/a.cpp": f"// {word}: x\n"}),
                             [("src/base/a.cpp", 1)])

    def test_newlines(self):
        self.assertEqual(found(tidy.files_end_with_a_newline, {"a.md": "x"}), [("a.md", 1)])
        self.assertEqual(found(tidy.files_end_with_a_newline, {"a.md": "x\n\n"}), [("a.md", 2)])
        self.assertEqual(found(tidy.files_end_with_a_newline, {"a.md": "x\n", "empty.md": ""}), [])

    def test_headers(self):
        self.assertEqual(found(tidy.headers_are_guarded, {"src/base/a.hpp": "int x;\n"}), [("src/base/a.hpp", 1)])
        self.assertEqual(found(tidy.headers_are_guarded, {"src/base/a.hpp": "#pragma once\n"}), [])

    def test_every_rule_is_asked(self):
        asked = {rule.__name__ for rule in tidy.RULES}
        written = {name for name, thing in vars(tidy).items()
                   if callable(thing) and getattr(thing, "__code__", None) and
                   thing.__code__.co_varnames[:1] == ("house",) and name != "violations"}
        self.assertEqual(asked, written)

    def test_the_program_fails_on_a_folder_that_is_not_tidy(self):
        with tempfile.TemporaryDirectory() as folder:
            program = [sys.executable, "-B", tidy.__file__, folder]
            subprocess.run(["git", "init", "-q", folder], check=True)
            for name, text in room_files("base").items():
                pathlib.Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
                pathlib.Path(folder, name).write_text(text)
            clean = subprocess.run(program, capture_output=True, text=True)
            self.assertEqual((clean.returncode, clean.stdout), (0, ""))
            pathlib.Path(folder, "src/base/a.cpp").write_text('#include "vault/x.hpp"\n')
            bad = subprocess.run(program, capture_output=True, text=True)
            self.assertEqual(bad.returncode, 1)
            self.assertIn("src/base/a.cpp:1: includes: base may not include vault", bad.stdout)


if __name__ == "__main__":
    unittest.main()

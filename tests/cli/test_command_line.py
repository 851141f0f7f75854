#!/usr/bin/env python3
"""The command line, lifeboat.yaml, the vault: errors, exit statuses, JSON. Needs no server."""

import os
import resource
import subprocess
import unittest

import harness
from harness import Lifeboat, vault_objects

# Nothing listens on port 1: these tests must not reach a server that happens to be there.
GOOD = """vault: {folder}/vault
postgres:
  url: postgresql://lifeboat@127.0.0.1:1/postgres
"""
LOOKING = (
    ["check"],
    ["points"],
    ["prune", "--dry-run"],
    ["status"],
    ["plan", "postgres"],
    ["cursors", "show"],
    ["verify"],
    ["logbook", "ls"],
    ["init"],
)
EVENTS = (["backup"], ["restore", "postgres", "--yes"], ["run"])


class WithFolder(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.lifeboat = Lifeboat(self.folder)

    def write(self, text=GOOD):
        self.lifeboat.config.write_text(text.replace("{folder}", str(self.folder)))

    def make_vault(self):
        self.write()
        ended = self.lifeboat.run("init")
        # PostgreSQL is not there, which `init` says; the vault is made all the same.
        self.assertEqual(ended.code, harness.FAILED, ended)
        self.assertTrue(vault_objects(self.lifeboat.vault_path()), ended)

    def assert_error(self, ended, code, *words):
        self.assertEqual(ended.code, code, ended)
        self.assertIn("lifeboat: error: ", ended.err)
        for word in words:
            self.assertIn(word, ended.err)
        self.assertNotIn("unexpected", ended.err)
        return ended


class CommandLine(WithFolder):
    def test_version_and_help(self):
        self.assertRegex(
            self.lifeboat.run("--version", config=False).out, r"^lifeboat \d+\.\d+\.\d+\n$"
        )
        helped = self.lifeboat.run("--help", config=False)
        self.assertEqual(helped.code, 0)
        for verb in (
            "init",
            "check",
            "run",
            "backup",
            "points",
            "prune",
            "status",
            "plan",
            "apply",
            "restore",
            "cursors",
            "verify",
            "key",
            "logbook",
            "wal-fetch",
            "drill",
        ):
            self.assertRegex(helped.out, rf"(?m)^  {verb}\b")
        self.assertNotIn("hold-watchdog", helped.out)

    def test_wrong_words_are_usage_errors(self):
        self.write()
        for words in (
            [],
            ["sink"],
            ["points", "--nonsense"],
            ["apply"],
            ["plan"],
            ["verify", "--level", "full"],
            ["verify", "--sample", "5"],
            ["verify", "--sample", "0%"],
            ["verify", "--data", "--sample", "5%"],
            ["verify", "--seed", "1"],
            ["verify", "--sample", "5%", "--seed", "x"],
            ["cursors"],
            ["cursors", "reset", "--point", "latest"],
            ["points", "extra"],
            ["--quiet", "--verbose", "points"],
        ):
            with self.subTest(words=words):
                ended = self.assert_error(self.lifeboat.run(*words), harness.USAGE, "  next: ")
                self.assertEqual(ended.out, "")

    def test_a_verb_that_is_none_is_named(self):
        for words in (["frob"], ["frob", "--json"], ["--quiet", "frob", "x"]):
            with self.subTest(words=words):
                ended = self.lifeboat.run(*words)
                self.assert_error(ended, harness.USAGE, "no verb 'frob'", "lifeboat --help")
        self.assert_error(self.lifeboat.run(config=False), harness.USAGE, "which verb?")

    def test_a_group_of_verbs_alone_lists_them(self):
        for words, listed in (
            (["cursors"], ["lifeboat cursors show ", "lifeboat cursors reset ", "Where each group stands"]),
            (["key"], ["key ls ", "key check ", "key add ", "key rm ", "key rotate ", "key export ",
                       "key import "]),
            (["logbook"], ["logbook ls ", "logbook cat "]),
        ):  # fmt: skip
            group = f"lifeboat {words[0]}: "
            with self.subTest(words=words):
                ended = self.lifeboat.run(*words, config=False)
                self.assert_error(ended, harness.USAGE, group, "which verb?", *listed)
                ended = self.lifeboat.run(*words, "frob", config=False)
                self.assert_error(ended, harness.USAGE, group, "no verb 'frob'", *listed)
                error = self.lifeboat.run(*words, "--json").json()["error"]
                self.assertEqual(error["code"], "usage")
                self.assertIn(listed[0], error["hint"])
        ended = self.lifeboat.run("cursors", "reset", "--point", "latest")
        self.assert_error(ended, harness.USAGE, "lifeboat cursors reset --help")

    def test_words_that_are_wrong_by_meaning(self):
        self.make_vault()
        for words, named in (
            (["plan", "mysql"], "mysql"),
            (["plan", "postgres", "--to", "noon"], "noon"),
            (["restore", "postgres", "--wait", "soon"], "soon"),
        ):
            with self.subTest(words=words):
                self.assert_error(self.lifeboat.run(*words), harness.USAGE, named, "  next: ")

    def test_a_limit_on_memory_is_no_fault_of_the_program(self):
        """An object as large as one may be, where there is no room for it."""
        self.make_vault()
        os.truncate(self.lifeboat.vault_path() / "vault", 1 << 30)  # takes none on the disk

        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

        ended = self.lifeboat.run("points", preexec=limit)
        self.assert_error(ended, harness.FAILED, "gives no more memory", "MemoryMax=")

    def test_json_of_a_usage_error(self):
        ended = self.lifeboat.run("points", "--json", "--nonsense")
        self.assertEqual(ended.code, harness.USAGE)
        self.assertEqual(ended.json()["error"]["code"], "usage")

    def test_wal_fetch_ends_above_125_for_every_error(self):
        """PostgreSQL takes 1 to 125 for the archive's end and would come up without the rest."""
        self.write()
        wrong = (
            ["wal-fetch"],
            ["wal-fetch", "--nonsense", "a", "b"],
            ["wal-fetch", "0" * 24, "out"],
        )
        for words in wrong:
            with self.subTest(words=words):
                self.assertEqual(self.lifeboat.run(*words).code, 200)
        self.make_vault()  # without a point nobody knows which cluster's WAL is meant
        self.assertEqual(self.lifeboat.run("wal-fetch", "0" * 23 + "1", "out").code, 200)
        self.assertFalse((self.folder / "out").exists())
        self.lifeboat.config.write_text("nonsense")
        self.assertEqual(self.lifeboat.run("wal-fetch", "0" * 24, "out").code, 200)

    def test_drill_without_the_source_tree(self):
        ended = self.lifeboat.run(
            "drill", "--list", config=False, environment={"LIFEBOAT_SOURCE": "/nonexistent"}
        )
        self.assert_error(ended, harness.FAILED, "/nonexistent/drills/run.py", "LIFEBOAT_SOURCE")

    def test_drill_passes_its_words_on(self):
        (self.folder / "drills").mkdir()
        (self.folder / "drills" / "run.py").write_text(
            "import sys; print(sys.argv[1:]); sys.exit(9)"
        )
        ended = self.lifeboat.run(
            "drill",
            "--json",
            "a b",
            "--help",
            config=False,
            environment={"LIFEBOAT_SOURCE": str(self.folder)},
        )
        self.assertEqual((ended.code, ended.out.strip()), (9, "['--json', 'a b', '--help']"), ended)

    def test_a_full_stdout_is_an_error(self):
        self.make_vault()
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                self.lifeboat.words(["points", "--json"]),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                cwd=self.folder,
            )
        self.assertEqual(done.returncode, harness.NO_SPACE, done.stderr)
        self.assertIn("stdout", done.stderr)

    def test_a_reader_that_goes_away_is_no_crash(self):
        self.make_vault()
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            self.lifeboat.words(["points", "--json"]),
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        )
        os.close(write)
        self.assertEqual((done.returncode, done.stderr), (141, ""))


class Config(WithFolder):
    def test_no_file(self):
        for words in LOOKING[:-1] + EVENTS:
            with self.subTest(words=words):
                self.assert_error(
                    self.lifeboat.run(*words),
                    harness.USAGE,
                    str(self.lifeboat.config),
                    "does not exist",
                    "lifeboat init",
                )

    def test_wrong_files(self):
        cases = (
            (
                "unknown key",
                "vault: /v\ncompression: high\n",
                2,
                ["compression", "expected one of", "point_every"],
            ),
            ("unknown key in a section", GOOD + "  host: here\n", 4, ["host", "postgres", "url"]),
            (
                "missing key",
                "point_every: 1h\nkafka:\n  bootstrap: [a:1]\n",
                1,
                ["vault", "missing"],
            ),
            (
                "missing key in a section",
                "vault: /v\nclickhouse:\n  url: http://a:1\n",
                3,
                ["backup_disk"],
            ),
            ("wrong time", "vault: /v\npoint_every: often\n", 2, ["point_every", "15m"]),
            ("wrong size", "vault: /v\nflush_bytes: 3 bananas\n", 2, ["flush_bytes", "16MiB"]),
            ("size out of range", "vault: /v\nflush_bytes: 1GiB\n", 2, ["flush_bytes"]),
            ("wrong type", "vault: [a]\n", 1, ["vault", "text"]),
            ("section that is none", "vault: /v\nkafka: yes\n", 2, ["mapping"]),
            ("empty value", "vault: ~\n", 1, ["vault", "no value"]),
            ("tab", "vault: /v\npostgres:\n\turl: x\n", 3, ["YAML"]),
            ("cut off", "vault: [/v\n", None, ["YAML"]),
            ("not a mapping", "- a\n- b\n", 1, ["mapping"]),
            ("both passwords", GOOD + "  password: a\n  password_file: b\n", 5, ["not both"]),
            (
                "no password file",
                GOOD + "  password_file: nowhere\n",
                4,
                ["nowhere", "does not exist"],
            ),
            ("slot", GOOD + "  slot: Life-Boat\n", 4, ["Life-Boat", "slot"]),
        )
        for name, text, line, words in cases:
            with self.subTest(name):
                self.write(text)
                where = f"{self.lifeboat.config}:{line}" if line else str(self.lifeboat.config)
                ended = self.assert_error(
                    self.lifeboat.run("points"), harness.USAGE, where, "  next: ", *words
                )
                self.assertEqual(ended.out, "")

    def test_a_directory_in_the_place_of_a_file(self):
        for words in (["points"], ["init"]):
            ended = Lifeboat(self.folder, self.folder).run(*words)
            self.assert_error(ended, harness.USAGE, "is a directory", f"{self.folder}/lifeboat.yaml")

    def test_a_file_in_the_place_of_a_directory(self):
        self.write()
        self.lifeboat.vault_path().write_text("in the way")
        for words in (["points"], ["init"], ["backup"]):
            ended = self.lifeboat.run(*words)
            self.assert_error(ended, harness.REFUSED, "is a file", "  next: name a directory")
        self.assertEqual(self.lifeboat.vault_path().read_text(), "in the way")

    def test_a_state_folder_that_cannot_be_made(self):
        self.make_vault()
        self.write(GOOD + "state: /proc/lifeboat\n")
        ended = self.lifeboat.run("backup")
        self.assertNotIn("unexpected", ended.err)
        self.assertIn("/proc/lifeboat", ended.err)
        self.assertIn("  next: ", ended.err)

    def test_which_file(self):
        self.write("nonsense: 1\n")
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        other = elsewhere / "other.yaml"
        other.write_text("other: 1\n")
        here = self.lifeboat.run(
            "points", config=False, environment={"LIFEBOAT_CONFIG": str(other)}
        )
        self.assertIn("lifeboat.yaml:1", here.err)
        self.lifeboat.folder = elsewhere
        there = self.lifeboat.run(
            "points", config=False, environment={"LIFEBOAT_CONFIG": str(other)}
        )
        self.assertIn("other.yaml:1", there.err)

    def test_a_password_is_never_printed(self):
        self.write(GOOD + "  password: tops3cret\n")
        for words in (
            ["init"],
            ["check", "--json"],
            ["status"],
            ["backup"],
            ["backup", "--json", "--verbose"],
        ):
            ended = self.lifeboat.run(*words)
            self.assertNotIn("tops3cret", ended.out + ended.err, ended)


class Init(WithFolder):
    def test_print_is_a_file_that_can_be_read(self):
        printed = self.lifeboat.run("init", "--print")
        self.assertEqual(printed.code, 0)
        self.assertFalse(self.lifeboat.config.exists())
        self.lifeboat.config.write_text(
            printed.out.replace("/backup/vault", str(self.folder / "vault"))
        )
        self.assert_error(self.lifeboat.run("points"), harness.FAILED, "vault")

    def test_three_calls(self):
        first = self.lifeboat.run("init")
        self.assertEqual(first.code, 0, first)
        self.assertIn("lifeboat init", first.err)
        self.assertTrue(self.lifeboat.config.exists())
        self.make_vault()
        before = harness.fingerprint(self.lifeboat.vault_path())
        third = self.lifeboat.run("init")
        self.assertIn("is there already", third.err)
        self.assertEqual(harness.fingerprint(self.lifeboat.vault_path()), before)

    def test_dry_run_makes_nothing(self):
        self.assertEqual(self.lifeboat.run("init", "--dry-run").code, 0)
        self.assertEqual(os.listdir(self.folder), [])
        self.write()
        said = self.lifeboat.run("init", "--dry-run")
        self.assertIn("would make a plain vault", said.err)
        self.assertFalse(self.lifeboat.vault_path().exists())

    def test_json(self):
        wrote = self.lifeboat.run("init", "--json").json()
        self.assertEqual(
            (wrote["wrote_config"], wrote["config"]), (True, str(self.lifeboat.config))
        )
        self.write()
        made = self.lifeboat.run("init", "--json").json()
        self.assertTrue(made["vault"]["made"])
        self.assertFalse(made["ok"])
        self.assertIn(("postgres", "problem"), {(f["store"], f["level"]) for f in made["findings"]})
        again = self.lifeboat.run("init", "--json").json()
        self.assertEqual(
            (again["vault"]["made"], again["vault"]["id"]), (False, made["vault"]["id"])
        )

    def test_a_broken_vault_is_never_made_again(self):
        self.make_vault()
        root = self.lifeboat.vault_path() / "vault"
        root.write_bytes(root.read_bytes()[:-3])
        before = harness.fingerprint(self.lifeboat.vault_path())
        self.assert_error(self.lifeboat.run("init"), harness.CORRUPT)
        self.assertEqual(harness.fingerprint(self.lifeboat.vault_path()), before)

    def test_no_vault_is_made_over_one_that_has_lost_its_root(self):
        self.make_vault()
        (self.lifeboat.vault_path() / "vault").unlink()
        (self.lifeboat.vault_path() / "points").mkdir()
        (self.lifeboat.vault_path() / "points" / "20261122T170506123Z-aaaa").write_bytes(b"")
        self.write(GOOD + "vault_key: {key_file: made.key}\n")
        before = harness.fingerprint(self.lifeboat.vault_path())
        for words in (["init"], ["init", "--dry-run"], ["points"]):
            if words == ["points"]:
                self.write()  # the key that was not made is not asked for
            ended = self.assert_error(self.lifeboat.run(*words), harness.CORRUPT, "replica")
            self.assertIn("its root object `vault` is lost", ended.err)
        self.assertEqual(harness.fingerprint(self.lifeboat.vault_path()), before)
        self.assertIn("root object `vault` is lost", self.lifeboat.run("check").out)
        self.assertFalse((self.folder / "made.key").exists())


class NoServer(WithFolder):
    """A lifeboat.yaml with a vault alone, as on the machine that prunes."""

    def setUp(self):
        super().setUp()
        self.make_vault()
        self.write("vault: {folder}/vault\n")

    def test_does_for_looking(self):
        for words in (["points"], ["status"], ["logbook", "ls"], ["key", "ls"], ["check"], ["init"]):
            with self.subTest(words=words):
                self.assertEqual(self.lifeboat.run(*words).code, 0, words)
        self.assertEqual(self.lifeboat.run("verify").code, harness.COULD_NOT_VERIFY)
        self.write("vault: {folder}/vault\nretention: {keep_last: 3}\n")
        self.assertEqual(self.lifeboat.run("prune").code, 0)

    def test_is_refused_where_servers_are_needed(self):
        for words in (
            ["backup"],
            ["backup", "--dry-run"],
            ["run"],
            ["plan", "all"],
            ["restore", "all", "--yes"],
            ["cursors", "show"],
        ):
            with self.subTest(words=words):
                ended = self.lifeboat.run(*words)
                self.assert_error(ended, harness.USAGE, "lifeboat.yaml", "  next: ")


class Vault(WithFolder):
    def test_missing(self):
        self.write()
        for words in (
            ["points"],
            ["status"],
            ["verify"],
            ["logbook", "ls"],
            ["backup"],
            ["plan", "postgres"],
            ["run"],
            ["restore", "postgres", "--yes"],
        ):
            with self.subTest(words=words):
                self.assert_error(
                    self.lifeboat.run(*words), harness.FAILED, str(self.lifeboat.vault_path())
                )
                self.assertFalse(self.lifeboat.vault_path().exists())

    def test_a_directory_that_is_no_vault(self):
        self.write()
        self.lifeboat.vault_path().mkdir()
        self.assert_error(self.lifeboat.run("points"), harness.FAILED, "vault", "  next: ")

    def test_truncated_flipped_and_newer(self):
        self.make_vault()
        root = self.lifeboat.vault_path() / "vault"
        whole = root.read_bytes()
        for size in (0, 1, 23, 24, len(whole) - 1):
            with self.subTest(size=size):
                root.write_bytes(whole[:size])
                self.assert_error(self.lifeboat.run("points"), harness.CORRUPT)
        for at in range(len(whole)):
            root.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
            ended = self.lifeboat.run("points")
            self.assertEqual(ended.code, harness.CORRUPT, f"byte {at}: {ended}")
        root.write_bytes(whole)
        self.assertEqual(self.lifeboat.run("points").code, 0)

    def test_empty(self):
        self.make_vault()
        self.assertEqual(self.lifeboat.run("points", "--json").json()["points"], [])
        self.assertEqual(
            self.lifeboat.run("logbook", "ls", "--json").json(), {"logs": [], "damaged": []}
        )
        for words in (
            ["plan", "postgres"],
            ["verify", "--point", "latest"],
            ["plan", "postgres", "--point", "2026"],
        ):
            with self.subTest(words=words):
                self.assert_error(self.lifeboat.run(*words), harness.FAILED, "point")
        verified = self.lifeboat.run("verify", "--json")
        self.assertEqual(
            (verified.json()["verdict"], verified.code),
            ("COULD NOT VERIFY", harness.COULD_NOT_VERIFY),
        )

    def test_a_broken_point_is_listed_and_found(self):
        self.make_vault()
        points = self.lifeboat.vault_path() / "points"
        points.mkdir()
        (points / "20260101T000000000Z-abcd").write_bytes(b"not a point")
        listed = self.lifeboat.run("points", "--json").json()["points"]
        self.assertEqual([p["id"] for p in listed], ["20260101T000000000Z-abcd"])
        self.assertTrue(listed[0]["problem"])
        self.assertIn("BROKEN", self.lifeboat.run("points").out)
        verified = self.lifeboat.run("verify", "--json")
        self.assertEqual(
            (verified.code, verified.json()["verdict"]), (harness.CORRUPT, "FAILED"), verified
        )
        self.assertEqual(verified.json()["damages"][0]["kind"], "point")

    def test_a_backup_that_fails_leaves_no_open_point(self):
        self.make_vault()
        self.assert_error(self.lifeboat.run("backup"), harness.UNAVAILABLE)
        listed = self.lifeboat.run("points", "--json").json()
        self.assertEqual((listed["points"], listed["unfinished"]), ([], []))
        points = self.lifeboat.vault_path() / "points"
        self.assertEqual(list(points.iterdir()) if points.exists() else [], [])

    def test_a_vault_that_may_not_be_read(self):
        self.make_vault()
        if os.geteuid() != 0:
            self.lifeboat.vault_path().chmod(0)
            self.addCleanup(self.lifeboat.vault_path().chmod, 0o700)
            self.assert_error(self.lifeboat.run("points"), harness.UNAVAILABLE)
            return
        self.folder.chmod(0o755)
        self.lifeboat.config.chmod(0o644)
        self.lifeboat.vault_path().chmod(0o700)
        ended = self.lifeboat.run("points", preexec=lambda: os.setuid(65534))
        self.assert_error(ended, harness.UNAVAILABLE, "  next: ")


class Json(WithFolder):
    def test_looking_verbs_print_one_document(self):
        self.make_vault()
        for words in LOOKING + (
            ["cursors", "reset", "--group", "g", "--point", "latest", "--yes"],
        ):
            with self.subTest(words=words):
                ended = self.lifeboat.run(*words, "--json")
                self.assertIsInstance(ended.json(), dict, ended)
                self.assertEqual("error" in ended.json(), "lifeboat: error: " in ended.err, ended)

    def test_changing_verbs_print_events(self):
        self.make_vault()
        plan = self.folder / "plan.json"
        plan.write_text("{}")
        for words in EVENTS[:-1] + (["apply", plan],):
            with self.subTest(words=words):
                ended = self.lifeboat.run(*words, "--json")
                last = ended.events()[-1]
                self.assertEqual(last["event"], "error", ended)
                for member in ("code", "subject", "message", "hint"):
                    self.assertIn(member, last)

    def test_apply_refuses_what_is_no_plan(self):
        self.make_vault()
        for text, code in (
            ("", harness.CORRUPT),
            ("{", harness.CORRUPT),
            ("[]", harness.CORRUPT),
            ('{"version": 99}', harness.CORRUPT),
            ('{"version": "x"}', harness.CORRUPT),
        ):
            plan = self.folder / "plan.json"
            plan.write_text(text)
            with self.subTest(text=text):
                self.assert_error(self.lifeboat.run("apply", plan), code)
        self.assert_error(
            self.lifeboat.run("apply", "nowhere.json"), harness.FAILED, "nowhere.json"
        )


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Encrypted vaults without a server: keys are made, added, rotated, removed, exported, imported; an
implementation that shares no code with the program reads what it wrote, and the other way round.
"""

import json
import os
import re
import stat
import unittest

import harness
import sealed_vault
from harness import Lifeboat
from sealed_vault import SealedVault

CONFIG = """vault: {folder}/vault
{key}
postgres:
  url: postgresql://lifeboat@127.0.0.1:1/postgres
"""
FIRST, SECOND, THIRD = "correct horse battery", "a second passphrase", "a third passphrase"


class WithVault(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.lifeboat = Lifeboat(self.folder)
        self.vault = self.folder / "vault"

    def secret(self, name, content):
        path = self.folder / name
        path.write_text(content + "\n")
        path.chmod(0o600)
        return path

    def configure(self, key="vault_key: {passphrase_file: first}"):
        self.lifeboat.config.write_text(
            CONFIG.replace("{folder}", str(self.folder)).replace("{key}", key)
        )

    def make(self, *words):
        """An encrypted vault; `init` ends with 1, as PostgreSQL is not there."""
        self.secret("first", FIRST)
        self.configure()
        made = self.lifeboat.run("init", *words)
        self.assertEqual(made.code, harness.FAILED, made)
        return made

    def ok(self, *words, **more):
        ended = self.lifeboat.run(*words, **more)
        self.assertEqual(ended.code, 0, ended)
        for passphrase in (FIRST, SECOND, THIRD):
            self.assertNotIn(passphrase, ended.out + ended.err)
        return ended

    def refused(self, code, *words, **more):
        ended = self.lifeboat.run(*words, **more)
        self.assertEqual(ended.code, code, ended)
        self.assertIn("lifeboat: error: ", ended.err)
        self.assertIn("  next: ", ended.err)
        self.assertNotIn("unexpected", ended.err)
        for passphrase in (FIRST, SECOND, THIRD, "wrong and long"):
            self.assertNotIn(passphrase, ended.out + ended.err)
        return ended

    def keys(self):
        return self.ok("key", "ls", "--json").json()["keys"]

    def opened_by(self, **more):
        return self.ok("key", "check", "--json", **more).json()["opened_by"]

    def sheet(self, name="sheet"):
        path = self.folder / name
        self.ok("key", "export", "--out", path)
        return path


class Init(WithVault):
    def test_a_plain_vault_says_so(self):
        self.configure(key="")
        made = self.lifeboat.run("init")
        self.assertIn("made a plain vault", made.err)
        self.assertIn("THE VAULT IS NOT ENCRYPTED", made.err)
        self.assertIn("NOT ENCRYPTED", made.out)
        self.assertIn("NOT ENCRYPTED", self.lifeboat.run("check").out)
        status = self.lifeboat.run("status")
        self.assertIn("NOT ENCRYPTED", status.out)
        self.assertFalse(self.lifeboat.run("status", "--json").json()["vault"]["encrypted"])
        self.assertIn("plain", self.ok("key", "check").out)
        self.refused(harness.REFUSED, "key", "add", "--key-file", self.folder / "k")
        self.refused(harness.REFUSED, "key", "export")

    def test_an_encrypted_one_says_so_and_writes_its_sheet(self):
        made = self.make("--recovery-sheet", self.folder / "sheet")
        self.assertIn("made an encrypted vault", made.err)
        self.assertNotIn("NOT ENCRYPTED", made.err + made.out)
        self.assertIn("AES-256-GCM", made.out)
        sheet = self.folder / "sheet"
        self.assertEqual(stat.S_IMODE(sheet.stat().st_mode), 0o600)
        for words in ("has lost all", "without any passphrase", "apart from the vault"):
            self.assertIn(words, re.sub(r"\n# ", " ", sheet.read_text()))
        self.assertIn("encrypted\n", self.ok("status").out)
        self.assertTrue(self.ok("status", "--json").json()["vault"]["encrypted"])
        self.assertIn("init", {key["label"] for key in self.keys()})

    def test_the_sheet_does_not_go_into_a_pipe(self):
        made = self.make()
        self.assertIn("THE RECOVERY SHEET WAS NOT PRINTED", made.err)
        digits = self.ok("key", "export").out.splitlines()[-1]
        self.assertRegex(digits, r"^([0-9a-f]{4} ?)+$")
        self.assertIn(digits, self.ok("key", "export", "--json").json()["sheet"])
        self.assertNotIn(digits, made.out + made.err)

    def test_a_key_file_is_made_for_it(self):
        self.configure("vault_key: {key_file: made.key}")
        made = self.lifeboat.run("init", "--dry-run")
        self.assertIn("would make an encrypted vault", made.err)
        self.assertFalse((self.folder / "made.key").exists())
        made = self.lifeboat.run("init", "--json")
        self.assertEqual(made.json()["vault"]["key_file"], str(self.folder / "made.key"))
        self.assertTrue(made.json()["vault"]["encrypted"])
        key = self.folder / "made.key"
        self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600)
        self.assertEqual(self.opened_by(), self.keys()[0]["id"])
        key.unlink()  # it is never made again
        self.refused(harness.USAGE, "init")
        self.assertFalse(key.exists())

    def test_wrong_configurations(self):
        for key, words in (
            ("vault_key: {}", ["one of"]),
            ("vault_key: {passphrase_file: a, key_file: b}", ["one of"]),
            ("vault_key: {passphrase: secret}", ["unknown key"]),
            ("vault_key: {passphrase_file: nowhere}", ["nowhere", "does not exist"]),
            ("vault_key: {passphrase_file: empty}", ["is empty"]),
            ("vault_key: {passphrase_file: short}", ["8 characters"]),
            ("vault_key: {passphrase_env: LIFEBOAT_TEST_UNSET}", ["LIFEBOAT_TEST_UNSET"]),
            ("vault_key: {passphrase_command: exit 3}", ["status 3"]),
            ("vault_key: {key_file: short}", ["64 hex digits"]),
        ):
            with self.subTest(key=key):
                self.secret("empty", "")
                self.secret("short", "sh0rt")
                self.configure(key)
                ended = self.lifeboat.run("init")
                self.assertIn(ended.code, (harness.USAGE, harness.REFUSED), ended)
                for word in words:
                    self.assertIn(word, ended.err)
                self.assertNotIn("sh0rt", ended.err)
                self.assertFalse((self.vault / "vault").exists())

    def test_check_names_files_that_others_can_read(self):
        self.make()
        (self.folder / "first").chmod(0o644)
        self.assertIn("can be read by others", self.lifeboat.run("check").out)


class Keys(WithVault):
    def test_each_source_of_a_key(self):
        self.make()
        self.secret("second", SECOND)
        self.ok("key", "add", "--passphrase-file", "second", "--label", "of the night shift")
        self.ok("key", "add", "--key-file", "a.key")
        first, *_ = (key["id"] for key in self.keys() if key["label"] == "init")
        second, *_ = (key["id"] for key in self.keys() if "night" in key["label"])
        file, *_ = (key["id"] for key in self.keys() if key["kind"] == "key file")
        for config, environment, expected in (
            ("vault_key: {passphrase_file: second}", {}, second),
            ("vault_key: {passphrase_command: cat second}", {}, second),
            ("vault_key: {passphrase_env: OF_THE_TEST}", {"OF_THE_TEST": SECOND}, second),
            ("vault_key: {key_file: a.key}", {}, file),
            ("", {"LIFEBOAT_PASSPHRASE": FIRST}, first),
            ("", {"LIFEBOAT_KEY_FILE": "a.key"}, file),
            ("vault_key: {key_file: a.key}", {"LIFEBOAT_PASSPHRASE": FIRST}, first),
        ):
            with self.subTest(config=config, environment=list(environment)):
                self.configure(config)
                self.assertEqual(self.opened_by(environment=environment), expected)
        self.configure(f"vault_key: {{key_file: {self.folder / 'sheet'}}}")
        self.configure()
        sheet = self.sheet()
        self.configure(f"vault_key: {{key_file: {sheet}}}")
        self.assertEqual(self.opened_by(), "")
        self.assertIn("recovery key", self.ok("key", "check").out)

    def test_a_wrong_or_missing_one_is_named(self):
        self.make()
        self.secret("wrong", "wrong and long")
        known = self.keys()[0]["id"]
        for config, words in (
            ("vault_key: {passphrase_file: wrong}", ["opens none of its keys", known, "init"]),
            ("", ["encrypted", "vault_key"]),
        ):
            self.configure(config)
            for verb in (
                ["points"],
                ["status"],
                ["verify"],
                ["logbook", "ls"],
                ["backup"],
                ["plan", "postgres"],
                ["restore", "postgres", "--yes"],
                ["key", "check"],
                ["init"],
            ):
                with self.subTest(config=config, verb=verb):
                    ended = self.refused(harness.UNAVAILABLE, *verb)
                    for word in words:
                        self.assertIn(word, ended.err)
            self.assertIn(words[0], self.lifeboat.run("check").out)
            self.assertEqual(self.lifeboat.run("wal-fetch", "0" * 24, "out").code, 200)
            self.assertEqual(len(self.keys()), 1)  # listed without any

    def test_a_plain_root_is_not_taken(self):
        """Who is configured with a key does not read from, or write to, what says it is plain."""
        self.make()
        other = Lifeboat(harness.temporary_folder(self))
        other.config.write_text(CONFIG.format(folder=other.folder, key=""))
        other.run("init")
        (self.vault / "vault").write_bytes((other.folder / "vault" / "vault").read_bytes())
        before = harness.fingerprint(self.vault)
        for verb in (["points"], ["backup"], ["verify"], ["init"], ["key", "check"]):
            self.assertIn("plain", self.refused(harness.REFUSED, *verb).err)
        self.assertEqual(harness.fingerprint(self.vault), before)

    def test_a_lost_root_is_written_anew(self):
        self.make()
        sheet = self.sheet()
        id = self.lifeboat.run("status", "--json").json()["vault"]["id"]
        (path,) = (self.vault / "keys").iterdir()
        key = sealed_vault.unwrap(f"keys/{path.name}", path.read_bytes(), FIRST.encode())
        (self.vault / "points").mkdir()
        name = "points/20261122T170506123Z-cafe"
        (self.vault / name).write_bytes(
            SealedVault(self.vault, key).seal(sealed_vault.POINT, name, b"{}")
        )
        (self.vault / "vault").unlink()
        said = self.refused(harness.CORRUPT, "key", "check").err
        self.assertIn("its root object `vault` is lost", said)
        self.assertIn("init --recover-root", said)
        self.refused(harness.CORRUPT, "init")
        self.secret("wrong", "wrong and long")
        self.configure("vault_key: {passphrase_file: wrong}")
        self.refused(harness.UNAVAILABLE, "init", "--recover-root")
        for key in ("passphrase_file: first", f"key_file: {sheet}"):
            self.configure(f"vault_key: {{{key}}}")
            made = self.lifeboat.run("init", "--recover-root")
            self.assertIn(f"wrote the root object of vault {id} anew", made.err)
            self.assertEqual(self.ok("status", "--json").json()["vault"]["id"], id)
            (self.vault / "vault").unlink()

    def test_add_rotate_and_remove(self):
        self.make()
        before = harness.fingerprint(self.vault)
        self.secret("second", SECOND)
        self.secret("third", THIRD)
        first = self.keys()[0]["id"]
        self.refused(harness.REFUSED, "key", "rm", first)  # the last, and in use
        self.refused(harness.USAGE, "key", "add")  # no terminal to ask on
        added = self.ok("key", "add", "--json", "--passphrase-file", "second").json()["added"]
        self.assertIn("copied", self.ok("key", "rm", added).err)
        self.refused(harness.FAILED, "key", "rm", added)

        rotated = self.ok("key", "rotate", "--json", "--passphrase-file", "third").json()
        self.assertEqual(rotated["removed"], first)
        self.assertEqual([key["id"] for key in self.keys()], [rotated["added"]])
        self.refused(harness.UNAVAILABLE, "points")  # the old one is of no use any more
        self.configure("vault_key: {passphrase_file: third}")
        self.assertEqual(self.opened_by(), rotated["added"])
        self.ok("points")
        # Nothing but keys was written.
        after = harness.fingerprint(self.vault)
        changed = {name for name in before if before[name] != after.get(name)}
        self.assertEqual({name for name in changed if not name.startswith("keys")}, set())

    def test_export_and_import(self):
        self.make()
        sheet = self.sheet()
        self.refused(harness.REFUSED, "key", "export", "--out", sheet)
        for key in (self.vault / "keys").iterdir():
            key.unlink()  # and all keys are lost
        self.refused(harness.UNAVAILABLE, "points")
        self.secret("second", SECOND)
        self.configure("vault_key: {passphrase_file: second}")
        digits = self.secret("digits", sheet.read_text().split("\n\n")[1].replace(" ", ""))
        self.ok("key", "import", digits)
        self.assertEqual(self.opened_by(), self.keys()[0]["id"])
        wrong = digits.read_text()
        self.secret("digits", ("0" if wrong[0] != "0" else "1") + wrong[1:].strip())
        self.assertIn("mistyped", self.refused(harness.USAGE, "key", "import", "digits").err)
        other = Lifeboat(harness.temporary_folder(self))
        other.config.write_text(CONFIG.format(folder=other.folder, key=""))
        (other.folder / "p").write_text(THIRD)
        environment = {"LIFEBOAT_PASSPHRASE": THIRD}
        other.run("init", environment=environment)
        ended = other.run("key", "import", sheet, environment=environment)
        self.assertEqual(ended.code, harness.UNAVAILABLE, ended)
        self.assertIn("that of another vault", ended.err)

    def test_a_passphrase_typed_on_a_terminal_is_not_shown(self):
        self.make()
        typed = self.lifeboat.on_terminal("key", "add", answers=[SECOND, SECOND])
        self.assertEqual(typed.code, 0, typed)
        self.assertNotIn(SECOND, typed.err)
        self.configure("vault_key: {passphrase_env: OF_THE_TEST}")
        self.opened_by(environment={"OF_THE_TEST": SECOND})
        self.configure()
        typed = self.lifeboat.on_terminal("key", "add", answers=[SECOND, THIRD])
        self.assertEqual(typed.code, harness.USAGE, typed)
        self.assertIn("differ", typed.err)

    def test_flipped_and_truncated_keys_are_named(self):
        self.make()
        (path,) = (self.vault / "keys").iterdir()
        good = path.read_bytes()
        sheet = self.sheet()
        for at in range(0, len(good), 7):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            ended = self.refused(harness.CORRUPT, "key", "check")
            self.assertIn(path.name, ended.err)
            path.write_bytes(good[:at])
            self.refused(harness.CORRUPT, "key", "check")
        self.configure(f"vault_key: {{key_file: {sheet}}}")
        verified = self.lifeboat.run("verify", "--json")
        self.assertEqual(verified.code, harness.CORRUPT, verified)
        self.assertIn(f"keys/{path.name}", {d["object"] for d in verified.json()["damages"]})


class Independently(WithVault):
    """Two implementations of docs/format.md."""

    def test_keys_and_points_in_both_directions(self):
        self.make()
        (path,) = (self.vault / "keys").iterdir()
        key = sealed_vault.unwrap(f"keys/{path.name}", path.read_bytes(), FIRST.encode())
        with self.assertRaises(Exception):
            sealed_vault.unwrap(f"keys/{path.name}", path.read_bytes(), SECOND.encode())
        vault = SealedVault(self.vault, key)
        sheet = self.sheet().read_text().split("\n\n")[1]
        self.assertTrue("".join(sheet.split()).startswith(key.hex()))

        identifier = vault.wrap(SECOND.encode())
        self.secret("second", SECOND)
        self.configure("vault_key: {passphrase_file: second}")
        self.assertEqual(self.opened_by(), identifier)
        self.assertIn("by another program", {key["label"] for key in self.keys()})

        point = {
            "id": "20261122T170506123Z-cafe",
            "created": "2026-11-22T17:05:06.123Z",
            "finished": "2026-11-22T17:05:07.123Z",
            "label": "sealed by Python",
            "stores": {},
        }
        name = f"points/{point['id']}"
        (self.vault / "points").mkdir()
        (self.vault / name).write_bytes(
            vault.seal(sealed_vault.POINT, name, json.dumps(point).encode())
        )
        listed = self.ok("points", "--json").json()["points"]
        self.assertEqual([p["label"] for p in listed], ["sealed by Python"])
        self.assertEqual(json.loads(vault.open(sealed_vault.POINT, name)[0]), point)
        moved = "points/20261122T170506123Z-beef"
        os.rename(self.vault / name, self.vault / moved)
        (problem,) = self.ok("points", "--json").json()["points"]
        self.assertIn("problem", problem)

        self.ok("key", "add", "--key-file", "a.key")
        digits = "".join(
            line for line in (self.folder / "a.key").read_text().splitlines() if line[0] != "#"
        )
        opened = [
            sealed_vault.unwrap(
                f"keys/{path.name}",
                path.read_bytes(),
                key_file=bytes.fromhex(digits.replace(" ", "")),
            )
            for path in (self.vault / "keys").iterdir()
        ]
        self.assertEqual([found for found in opened if found], [key])


if __name__ == "__main__":
    unittest.main()

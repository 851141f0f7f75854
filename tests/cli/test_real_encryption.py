#!/usr/bin/env python3
"""An encrypted vault with a real PostgreSQL: backed up, archived, read by a program that shares no
code with this one, damaged, and restored by a user who has neither passphrase nor lifeboat.yaml.
"""

import hashlib
import json
import pathlib
import subprocess
import unittest

import harness
import sealed_vault
from harness import Lifeboat, Stack, until
from sealed_vault import SealedVault

PASSPHRASE = "correct horse battery"
MARK = "a text that nobody may see in the vault"


def zstd(data):
    """What zstd's own program makes of a frame."""
    return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout


class Encryption(unittest.TestCase):
    """In this order: the restore comes last, for it loses the store."""

    @classmethod
    def setUpClass(cls):
        cls.folder = harness.temporary_folder(cls)
        cls.random = harness.seeded("test_real_encryption")
        cls.stack = Stack(cls.folder / "stack", servers=("postgres",))
        cls.addClassCleanup(cls.stack.close)
        cls.stack.start_all()
        cls.lifeboat = Lifeboat(cls.folder)
        (cls.folder / "passphrase").write_text(PASSPHRASE + "\n")
        (cls.folder / "passphrase").chmod(0o600)
        text = harness.config_text(cls.stack.info(), cls.folder, ("postgres",))
        cls.lifeboat.config.write_text(text + "vault_key: {passphrase_file: passphrase}\n")
        cls.lifeboat.config.chmod(0o600)
        made = cls.lifeboat.run("init")
        assert made.code == 0 and "made an encrypted vault" in made.err, made
        cls.vault = cls.folder / "vault"
        cls.sql("CREATE TABLE marks (n int, mark text)")
        cls.insert(0, 2000)
        cls.daemon = cls.lifeboat.start("run")
        cls.addClassCleanup(harness.end, cls.daemon)
        backup = cls.lifeboat.run("backup", "--json")
        assert backup.code == 0, backup
        cls.point = backup.events()[-1]["point"]
        cls.insert(2000, 3000)
        cls.sql("SELECT pg_switch_wal()")
        until(cls.caught_up, "all WAL is in the logbook")

    @classmethod
    def sql(cls, statement):
        return harness.sql(cls.stack.info(), statement)

    @classmethod
    def insert(cls, first, end):
        cls.sql(f"INSERT INTO marks SELECT n, '{MARK}' FROM generate_series({first}, {end - 1}) n")

    @classmethod
    def caught_up(cls):
        logs = cls.lifeboat.run("status", "--json").json()["logs"]
        return any(log["log"].startswith("postgres/") and log.get("behind") == 0 for log in logs)

    def wrapped_key(self):
        (path,) = (self.vault / "keys").iterdir()
        return sealed_vault.unwrap(f"keys/{path.name}", path.read_bytes(), PASSPHRASE.encode())

    def assert_verified(self):
        verified = self.lifeboat.run("verify", "--data", "--json")
        self.assertEqual(verified.json()["verdict"], "VERIFIED", verified)

    def test_1_nothing_of_it_is_seen(self):
        self.assert_verified()
        for path in harness.vault_objects(self.vault):
            content = path.read_bytes()
            for word in (MARK.encode(), b"marks", b"postgres", b"PG_VERSION"):
                self.assertNotIn(word, content, path)
                self.assertNotIn(word.decode(), str(path.relative_to(self.vault)))
        for verb in (["points"], ["status"], ["logbook", "ls"], ["check"], ["--verbose", "verify"]):
            ended = self.lifeboat.run(*verb)
            self.assertEqual(ended.code, 0, ended)
            self.assertNotIn(PASSPHRASE, ended.out + ended.err)

    def test_2_another_program_reads_all_of_it(self):
        vault = SealedVault(self.vault, self.wrapped_key())
        points = [
            json.loads(vault.open(sealed_vault.POINT, name)[0]) for name in vault.names("points")
        ]
        (document,) = (point for point in points if point["id"] == self.point)
        snapshots = {}
        for name in vault.names("snapshots"):
            payload, flags = vault.open(sealed_vault.SNAPSHOT, name)
            self.assertEqual((flags, name), (0, f"snapshots/{vault.name_of(payload)}"))
            snapshots[name] = json.loads(payload)
        digest = document["stores"]["postgres"]["snapshot"]
        self.assertIn(
            f"snapshots/{sealed_vault.hmac_sha256(vault.names_key, bytes.fromhex(digest)).hex()}",
            snapshots,
        )
        marked = 0
        for name in vault.names("packs"):
            for digest, codec, size, content in vault.pack(name):
                content = zstd(content) if codec == 1 else content
                self.assertEqual(size, len(content))
                self.assertEqual(digest, hashlib.sha256(content).digest())
                marked += MARK.encode() in content
        self.assertGreater(marked, 0)
        wal = 0
        for name in vault.names("logbook"):
            for log, base, end, codec, content in vault.logbook(name):
                self.assertTrue(log.startswith("postgres/"))
                content = zstd(content) if codec == 1 else content
                self.assertEqual(len(content), end - base)
                wal += content.count(MARK.encode())
        self.assertGreater(wal, 900)

    def test_3_a_snapshot_taken_again_costs_nothing(self):
        def size_of_packs():
            return harness.stored_bytes(self.vault / "packs")

        before = size_of_packs()
        backup = self.lifeboat.run("backup", "--json")
        self.assertEqual(backup.code, 0, backup)
        self.assertLess(size_of_packs(), before * 1.5)

    def test_4_damage_is_named(self):
        objects = [
            path
            for kind in ("packs", "snapshots", "points", "logbook")
            for path in harness.vault_objects(self.vault / kind)[:3]
        ]
        for path in objects:
            good = path.read_bytes()
            at = self.random.randrange(len(good))
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            verified = self.lifeboat.run("verify", "--data", "--json")
            self.assertEqual(verified.code, harness.CORRUPT, verified)
            name = str(path.relative_to(self.vault))
            self.assertIn(name, {d["object"] for d in verified.json()["damages"]})
            path.write_bytes(good)
        self.assert_verified()

    def test_5_restore_by_a_user_who_has_no_key(self):
        rows = self.sql("SELECT count(*), sum(n) FROM marks")
        self.daemon.terminate()
        self.assertEqual(self.daemon.wait(timeout=60), 0, self.daemon.log.read_text())
        info = self.stack.info()["postgres"]
        self.stack.kill("postgres")
        self.stack.wipe("postgres")
        process = self.lifeboat.start("restore", "postgres", "--yes", "--json")
        self.addCleanup(harness.end, process)

        def waits():
            self.assertIsNone(process.poll(), process.log.read_text())
            return '"postgres-wait"' in process.log.read_text()

        until(waits, "the restore waits for PostgreSQL")
        key = pathlib.Path(info["data"]) / "lifeboat-vault.key"
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        if info["os_user"]:
            self.assertEqual(key.owner(), info["os_user"])
        self.stack.start("postgres")
        self.assertEqual(process.wait(timeout=harness.PATIENCE), 0, process.log.read_text())
        self.assertEqual(self.sql("SELECT count(*), sum(n) FROM marks"), rows)
        self.assertFalse(key.exists(), "the key stays in the data directory")
        self.assertNotIn(PASSPHRASE, process.log.read_text())


if __name__ == "__main__":
    unittest.main()

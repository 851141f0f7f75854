#!/usr/bin/env python3
"""`postgres: {read_files: true}` on a real PostgreSQL: files that did not change are not read, what did
change is; each point comes back as it was; what the vault lost meanwhile is read and stored again.
Needs what stack/setup installs, and the build.
"""

import os
import pathlib
import subprocess
import time
import unittest

import harness
from harness import Lifeboat, until
from stack import Stack

SUMS = """SELECT (SELECT sum(abalance::bigint * aid) FROM pgbench_accounts),
 (SELECT count(*) || ' ' || coalesce(sum(delta), 0) FROM pgbench_history), (SELECT sum(n) FROM quiet)"""


class ReadFiles(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.stack = Stack(self.folder / "stack", servers=["postgres"])
        self.addCleanup(self.stack.close)
        self.stack.start_all()
        self.info = self.stack.info()["postgres"]
        self.data = pathlib.Path(self.info["data"])
        self.lifeboat = Lifeboat(self.folder)
        text = harness.config_text(self.stack.info(), self.folder, ("postgres",), flush_interval="200ms")
        self.lifeboat.config.write_text(text.replace("  os_user:", "  read_files: true\n  os_user:"))
        self.assertEqual(self.lifeboat.run("init").code, 0)

    def pgbench(self, *words):
        subprocess.run(
            ["pgbench", *words, "-h", self.info["host"], "-p", str(self.info["port"]), "-U",
             self.info["user"], self.info["database"]],
            check=True, capture_output=True, env={**os.environ, "PGPASSWORD": self.info["password"]},
        )  # fmt: skip

    def sql(self, statement):
        return harness.sql(self.stack.info(), statement)

    def settle(self):
        """Nothing was written for ten seconds before a backup begins."""
        self.sql("CHECKPOINT")
        newest = max(stat.st_ctime for _, stat in harness.below(self.data / "base"))
        until(lambda: time.time() > newest + 11, "the files are settled")
        self.sql("SELECT pg_switch_wal()")  # else a checkpoint has nothing to do, and says no time

    def backup(self, *more):
        """The point, and the bytes of it that were not read."""
        ended = self.lifeboat.run("backup", "--json", *more)
        self.assertEqual(ended.code, 0, ended)
        postgres = ended.events()[-1]["postgres"]
        return ended.events()[-1]["point"], postgres["bytes_unread"], postgres["bytes"]

    def restore(self, point):
        self.stack.kill("postgres")
        self.stack.wipe("postgres")
        process = harness.operate(
            self.lifeboat, ("restore", "postgres", "--point", point),
            {"postgres-wait": lambda: self.stack.start("postgres")},
        )  # fmt: skip
        self.assertEqual(process.returncode, 0, (self.folder / "operated.jsonl").read_text()[-3000:])

    def test_unchanged_files_are_not_read(self):
        self.pgbench("-i", "-q", "-s", "3")
        self.sql("CREATE TABLE quiet AS SELECT generate_series(1, 300000) n")
        self.sql("VACUUM FREEZE")
        self.assertEqual(self.lifeboat.run("check").code, 0)
        _, unread, _ = self.backup()
        self.assertEqual(unread, 0)
        self.settle()
        self.backup()
        _, unread, total = self.backup()
        self.assertGreater(unread, total * 0.9, "nothing was written between the two")
        _, none, _ = self.backup("--reread")
        self.assertEqual(none, 0)

        self.pgbench("-n", "-t", "300")
        sums = self.sql(SUMS)
        busy, still, total = self.backup()
        self.assertTrue(0 < still < unread, (still, unread, total))
        self.settle()
        self.backup()
        self.sql("UPDATE quiet SET n = n + 1 WHERE n % 1000 = 0")
        last_sums = self.sql(SUMS)
        self.assertNotEqual(sums, last_sums)

        # The vault loses all that it holds of files: what did not change is read again all the same.
        packs = [path for path in harness.vault_objects(self.folder / "vault/packs")]
        for path in packs:
            os.truncate(path, path.stat().st_size // 2)
        last, unread, _ = self.backup()
        self.assertEqual(unread, 0)
        for path in packs:
            path.unlink()
        self.restore(last)
        self.assertEqual(self.sql(SUMS), last_sums)
        self.assertIn("is missing", self.lifeboat.run("verify").out + self.lifeboat.run("verify").err)

    def test_a_point_of_files_that_were_not_read_comes_back(self):
        self.pgbench("-i", "-q", "-s", "3")
        self.sql("CREATE TABLE quiet AS SELECT generate_series(1, 300000) n")
        self.sql("VACUUM FREEZE")
        self.settle()
        self.backup()
        self.pgbench("-n", "-t", "300")
        sums = self.sql(SUMS)
        point, unread, _ = self.backup()
        self.assertGreater(unread, 0)
        self.pgbench("-n", "-t", "300")
        self.assertNotEqual(self.sql(SUMS), sums)
        verified = self.lifeboat.run("verify", "--data", "--json")
        self.assertEqual(verified.json()["verdict"], "VERIFIED", verified)
        self.restore(point)
        self.assertEqual(self.sql(SUMS), sums)
        # Another directory: of the files of before nothing is taken for known.
        _, unread, _ = self.backup()
        self.assertEqual(unread, 0)

    def test_a_directory_that_is_not_the_servers(self):
        text = self.lifeboat.config.read_text()
        other = self.folder / "other"
        self.lifeboat.config.write_text(text.replace(str(self.data), str(other)))
        checked = self.lifeboat.run("check")
        self.assertEqual(checked.code, harness.FAILED, checked)
        self.assertIn("there is no cluster in this directory", checked.out)
        ended = self.lifeboat.run("backup")
        self.assertNotEqual(ended.code, 0, ended)
        self.assertIn(str(other), ended.err)
        self.assertEqual(self.lifeboat.run("points", "--json").json()["points"], [])


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""A PostgreSQL whose data directory is a link to another disk: a restore over it puts the new files on that
disk, keeps the former ones beside them, and leaves the link; after a crash in between too."""

import pathlib
import shutil
import unittest

import harness
from harness import Lifeboat
from stack import Stack


class LinkedData(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.stack = Stack(self.folder / "stack", servers=["postgres"])
        self.addCleanup(self.stack.close)
        self.stack.start_all()
        self.info = self.stack.info()["postgres"]
        self.data = pathlib.Path(self.info["data"])
        self.stack.stop("postgres")
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        self.place = self.disk / "main"
        self.data.rename(self.place)
        hop = self.folder / "hop"  # a link to a link, relative
        hop.symlink_to("disk/main/")
        self.data.symlink_to(hop)
        self.stack.start("postgres")
        self.lifeboat = Lifeboat(self.folder)
        text = harness.config_text(self.stack.info(), self.folder, ("postgres",), flush_interval="200ms")
        self.lifeboat.config.write_text(text)
        self.assertEqual(self.lifeboat.run("init").code, 0)
        self.sql("CREATE TABLE t AS SELECT 42 AS answer")
        self.assertEqual(self.lifeboat.run("backup").code, 0)

    def sql(self, statement):
        return harness.sql(self.stack.info(), statement)

    def restore(self, *more, kill_after=None):
        return harness.operate(
            self.lifeboat, ("restore", "postgres", "--overwrite", self.data, *more),
            {"postgres-wait": lambda: self.stack.start("postgres")}, kill_after,
        )  # fmt: skip

    def assert_restored(self, process):
        self.assertEqual(process.returncode, 0, (self.folder / "operated.jsonl").read_text()[-3000:])
        self.assertEqual(self.sql("SELECT answer FROM t"), "42")
        self.assertTrue(self.data.is_symlink())
        self.assertEqual(self.data.resolve(), self.place.resolve())
        (former,) = [one for one in self.disk.iterdir() if one != self.place]
        self.assertTrue(former.name.startswith("main.before-"), former)
        self.assertTrue((former / "marker").exists())
        self.assertFalse((self.place / "marker").exists())
        beside_the_link = [one.name for one in self.data.parent.iterdir() if ".before-" in one.name]
        self.assertEqual(beside_the_link, [])

    def test_the_link_stays(self):
        (self.place / "marker").touch()
        self.stack.kill("postgres")
        self.assert_restored(self.restore())

    def test_a_crash_after_it_was_moved_aside(self):
        """Nothing is there where the link leads, until the same restore goes on."""
        self.sql("CREATE TABLE large AS SELECT repeat(md5(n::text), 9) FROM generate_series(1, 200000) n")
        self.assertEqual(self.lifeboat.run("backup").code, 0)
        (self.place / "marker").touch()
        self.stack.kill("postgres")
        killed = self.restore(kill_after=("postgres-data", 0.0))
        self.assertIsNone(killed)
        plan = next((self.folder / "lifeboat-state").glob("*.plan.json")).name.split(".")[0]
        former = self.disk / f"main.before-{plan}"
        if former.exists():
            shutil.rmtree(self.place, ignore_errors=True)
        else:
            self.place.rename(former)
        self.assertFalse(self.data.exists(), "the link leads nowhere")
        self.assert_restored(self.restore("--resume"))


if __name__ == "__main__":
    unittest.main()

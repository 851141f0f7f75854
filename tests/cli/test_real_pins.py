#!/usr/bin/env python3
"""A restore keeps its point: `prune` that would drop it while a real PostgreSQL is being restored,
a restore that is killed and gone on with, one that may only read the vault. Needs what stack/setup
installs, and the build.
"""

import os
import pwd
import shutil
import subprocess
import unittest

import harness
from harness import Lifeboat, Stack, until

# A day: nothing that is dropped can go within a test but by --unpin.
RETENTION = "retention: {keep_last: 1, grace: 1s, keep_for_resume: 1d}\n"
ROWS = 20000


class Pins(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.stack = Stack(self.folder / "stack", servers=("postgres",))
        self.addCleanup(self.stack.close)
        self.stack.start_all()
        self.lifeboat = Lifeboat(self.folder)
        self.write_config()
        self.run_well("init")
        self.sql(f"CREATE TABLE rows AS SELECT md5(n::text) FROM generate_series(1, {ROWS}) n")
        self.point = self.backup()
        self.sql("INSERT INTO rows SELECT 'later'")
        self.newest = self.backup()
        self.stack.kill("postgres")
        self.stack.wipe("postgres")

    def write_config(self):
        text = harness.config_text(self.stack.info(), self.folder, ("postgres",))
        self.lifeboat.config.write_text(text + RETENTION)

    def sql(self, statement):
        return harness.sql(self.stack.info(), statement)

    def run_well(self, *words, **more):
        ended = self.lifeboat.run(*words, **more)
        self.assertEqual(ended.code, 0, ended)
        return ended

    def backup(self):
        return self.run_well("backup", "--json").events()[-1]["point"]

    def points(self):
        return self.run_well("points", "--json").json()

    def ids(self):
        return [point["id"] for point in self.points()["points"]]

    def prune(self, *more):
        """Until nothing is left to be deleted."""
        return self.run_well("prune", "--wait", "--json", *more).json()

    def start_restore(self, *words):
        """Until it waits for PostgreSQL."""
        log = self.folder / f"restore{''.join(words)}.log"
        process = self.lifeboat.start(
            "restore", "postgres", "--point", self.point, "--yes", *words, log=log
        )
        self.addCleanup(harness.end, process)

        def waits():
            self.assertIsNone(process.poll(), process.log.read_text())
            return "Wait until PostgreSQL has recovered" in process.log.read_text()

        until(waits, "the restore waits for PostgreSQL")
        return process

    def finish(self, process):
        self.stack.start("postgres")
        self.assertEqual(process.wait(timeout=harness.PATIENCE), 0, process.log.read_text())
        self.assertGreaterEqual(int(self.sql("SELECT count(*) FROM rows")), ROWS)

    def test_a_point_that_is_being_restored_is_kept(self):
        process = self.start_restore()
        (restore,) = self.points()["restores"]
        self.assertEqual(restore["point"], self.point)
        self.assertEqual(restore["process"], process.pid)
        for verb, stream in (("points", "err"), ("status", "out")):
            said = getattr(self.run_well(verb), stream)
            self.assertIn(f"point {self.point} is being restored by", said)
        looked = self.run_well("prune", "--dry-run", "--drop", self.point)
        self.assertRegex(looked.out, rf"{self.point} +kept +is being restored by")
        self.assertIn(f"lifeboat prune --unpin {self.point}", looked.err)
        for more in ((), ("--drop", self.point)):
            self.assertEqual(self.prune(*more)["dropped"], [])
        self.assertEqual(self.ids(), [self.point, self.newest])
        self.finish(process)
        self.assertEqual(self.points()["restores"], [])
        self.assertEqual(self.prune()["dropped"], [self.point])
        self.assertEqual(self.ids(), [self.newest])

    def test_one_that_was_killed_finds_its_point(self):
        harness.kill(self.start_restore())
        self.assertEqual(self.prune()["dropped"], [])
        first = self.points()["restores"][0]
        process = self.start_restore("--resume")
        again = self.points()["restores"][0]
        self.assertEqual((again["id"], again["process"]), (first["id"], process.pid))
        self.finish(process)
        self.assertEqual(self.points()["restores"], [])

    def test_one_that_was_given_up_says_so(self):
        harness.kill(self.start_restore())
        told = self.run_well("prune", "--dry-run", "--unpin", self.point).out
        self.assertRegex(told, rf"{self.point} +dropped")
        pruned = self.run_well("prune", "--json", "--unpin", self.point).json()
        self.assertEqual(pruned["dropped"], [self.point])
        self.assertEqual(pruned["unpinned"][0]["point"], self.point)
        gone = self.lifeboat.run("restore", "postgres", "--point", self.point, "--resume")
        self.assertEqual(gone.code, harness.FAILED, gone)
        self.assertIn("was given up by prune --unpin", gone.err)
        self.assertIn("restore another point", gone.err)
        unknown = self.lifeboat.run("prune", "--unpin", self.point)
        self.assertEqual(unknown.code, harness.FAILED, unknown)

    def test_one_whose_point_is_still_there_pins_it_anew(self):
        older, self.point = self.ids()
        harness.kill(self.start_restore())
        first = self.points()["restores"][0]
        self.assertEqual(self.prune("--unpin", self.point)["dropped"], [older])
        process = self.start_restore("--resume")
        self.assertIn("pinned anew", process.log.read_text())
        self.assertNotEqual(self.points()["restores"][0]["id"], first["id"])
        self.finish(process)

    def test_who_may_only_read_restores_with_a_warning(self):
        """PostgreSQL's user, on a vault that its group can read."""
        os_user = self.stack.info()["postgres"]["os_user"]
        if not os_user or os.geteuid() != 0:
            self.fail("not run as root: nobody else can be")
        user = pwd.getpwnam(os_user)
        state = self.folder / "reader"
        state.mkdir()
        shutil.chown(state, user.pw_uid, user.pw_gid)
        reader = Lifeboat(self.folder, self.folder / "reader.yaml")
        reader.config.write_text(self.lifeboat.config.read_text() + f"state: {state}\n")
        before = harness.fingerprint(self.lifeboat.vault_path())
        log = self.folder / "reader.log"
        with open(log, "wb") as out:
            process = subprocess.Popen(
                ["runuser", "-u", os_user, "--",
                 *reader.words(["restore", "postgres", "--point", self.point, "--yes"])],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env=harness.clean_environment(),
            )  # fmt: skip
        process.log = log
        self.addCleanup(harness.end, process)
        until(lambda: process.poll() is not None or "has recovered" in log.read_text(), "it waits")
        self.assertIsNone(process.poll(), log.read_text())
        self.assertIn("could not be pinned", log.read_text())
        self.assertIn("grace period", log.read_text())
        self.assertEqual(harness.fingerprint(self.lifeboat.vault_path()), before)
        self.finish(process)


if __name__ == "__main__":
    unittest.main()

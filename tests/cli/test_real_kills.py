#!/usr/bin/env python3
"""SIGKILL of `backup`, `run` and `restore` at random moments on the real stack under load: the
second call finishes the work, nothing is left held, nothing is lost or doubled by the ledger of
truth. $LIFEBOAT_SEED repeats a run.
"""

import json
import pathlib
import time
import unittest

import harness
from harness import Lifeboat, Stack, until

import compare  # drills/, by harness

KILLS = {"backup": 5, "run": 4, "restore": 3}


class Kills(unittest.TestCase):
    """In this order: the restores come last, for they lose a store."""

    @classmethod
    def setUpClass(cls):
        cls.folder = harness.temporary_folder(cls)
        cls.random = harness.seeded("test_real_kills")
        cls.stack = Stack(cls.folder / "stack")
        cls.addClassCleanup(cls.stack.close)
        cls.stack.start_all()
        harness.apply_schema(cls.stack, slow_view=0.1)
        cls.lifeboat = Lifeboat(cls.folder)
        cls.lifeboat.config.write_text(harness.config_text(cls.stack.info(), cls.folder))
        initialised = cls.lifeboat.run("init")
        assert initialised.code == 0, initialised
        cls.ledger = cls.folder / "ledger"
        cls.load = harness.load.Load(
            cls.stack.json_path,
            cls.ledger,
            events_rate=1000,
            transactions_rate=20,
            program=harness.LOAD,
            seed=cls.random.randrange(1 << 31),
        )
        cls.load.__enter__()
        cls.addClassCleanup(lambda: cls.load.__exit__(None))
        cls.load.wait_until_running("kafka")
        cls.load.wait_until_running("postgres")

    def info(self):
        return self.stack.info()

    def backup(self):
        begun = time.monotonic()
        ended = self.lifeboat.run("backup", "--json")
        self.assertEqual(ended.code, 0, ended)
        return ended.events()[-1]["point"], time.monotonic() - begun

    def points(self):
        return [point["id"] for point in self.lifeboat.run("points", "--json").json()["points"]]

    def assert_consumes(self):
        before = harness.consumed(self.info())
        until(
            lambda: harness.consumed(self.info()) > before, "ClickHouse consumes: no table is held"
        )

    def assert_verified(self):
        verified = self.lifeboat.run("verify", "--data", "--json")
        self.assertEqual(verified.json()["verdict"], "VERIFIED", verified)

    def kill_after(self, seconds, *words):
        """Starts the program and kills it; its exit status when it was faster."""
        process = self.lifeboat.start(*words)
        try:
            return process.wait(timeout=seconds)
        except Exception:
            return None
        finally:
            harness.end(process)

    def test_1_backup(self):
        self.backup()
        _, whole = self.backup()  # the second one is the quicker one, as the next ones are
        for _ in range(KILLS["backup"]):
            moment = self.random.uniform(0, whole)
            before = self.points()
            status = self.kill_after(moment, "backup")
            print(f"backup killed after {moment:.2f} of {whole:.1f} s: {status}", flush=True)
            # The watchdog alone must do: no second call yet.
            self.assert_consumes()
            self.assertIn(len(self.points()) - len(before), (0, 1) if status in (None, 0) else (0,))
        point, _ = self.backup()
        self.assertEqual(self.points()[-1], point)
        folders = pathlib.Path(self.info()["clickhouse"]["backup_path"]).iterdir()
        left = {folder.name for folder in folders} - {f"lifeboat-{id}" for id in self.points()}
        self.assertEqual(left, set(), "BACKUPs of points that were never published")
        self.assert_consumes()
        self.assert_verified()

    def test_2_run(self):
        for _ in range(KILLS["run"]):
            moment = self.random.uniform(0.2, 6)
            status = self.kill_after(moment, "run")
            print(f"run killed after {moment:.2f} s: {status}", flush=True)
            self.assertIsNone(status, self.last_words("run"))
            self.assert_consumes()
        daemon = self.lifeboat.start("run")
        self.addCleanup(harness.end, daemon)
        self.load.pause("kafka")
        until(self.caught_up, "the archiver has all that Kafka has")
        self.load.resume("kafka")
        daemon.terminate()
        self.assertEqual(daemon.wait(timeout=60), 0, self.last_words("run"))
        for log in self.lifeboat.run("logbook", "ls", "--json").json()["logs"]:
            if log["log"].startswith(("kafka/", "postgres/")):
                self.assertEqual(log["gaps"], [], log)
        self.assert_verified()

    def last_words(self, verb):
        return (self.folder / f"{verb}.log").read_text()[-4000:]

    def caught_up(self):
        logs = [
            log
            for log in self.lifeboat.run("status", "--json").json()["logs"]
            if log["log"].startswith("kafka/")
        ]
        return len(logs) >= 8 and all(log.get("behind") == 0 for log in logs)

    def test_3_restore_of_clickhouse(self):
        self.backup()
        self.stack.kill("clickhouse")
        self.stack.wipe("clickhouse")
        self.stack.start("clickhouse")
        for _ in range(KILLS["restore"]):
            moment = self.random.uniform(0.2, 5)
            status = self.kill_after(moment, "restore", "clickhouse", "--yes")
            print(f"restore of ClickHouse killed after {moment:.2f} s: {status}", flush=True)
            self.assertIn(status, (None, 0), self.last_words("restore"))
            if status == 0:
                break
        if status is None:
            ended = self.lifeboat.run("restore", "clickhouse", "--yes", "--json")
            self.assertEqual(ended.code, 0, ended)
            done = ended.events()[-1]
            self.assertEqual(done["event"], "done")
            self.assertLessEqual(done["peak_rss_mib"], 256)
        self.assert_consumes()

    def test_4_restore_of_postgres(self):
        """Killed while the data directory is written. `run` archives until PostgreSQL is lost, so
        nothing that was acknowledged may be missing."""
        daemon = self.lifeboat.start("run")
        self.addCleanup(harness.end, daemon)
        self.backup()
        before = self.load.status()["postgres"]["acknowledged"]
        until(
            lambda: self.load.status()["postgres"]["acknowledged"] > before + 50,
            "transactions that only the logbook has",
        )
        self.load.pause("postgres")
        until(lambda: self.wal_behind() == 0, "all WAL is in the logbook")
        self.stack.kill("postgres")
        self.stack.wipe("postgres")
        daemon.terminate()
        self.assertEqual(daemon.wait(timeout=60), 0, self.last_words("run"))
        for _ in range(KILLS["restore"]):
            moment = self.random.uniform(0.1, 3)
            status = self.kill_after(moment, "restore", "postgres", "--yes")
            print(f"restore of PostgreSQL killed after {moment:.2f} s: {status}", flush=True)
            # It waits for the server at its end, so it can't have been faster.
            self.assertIsNone(status, self.last_words("restore"))
        self.finish_postgres()
        self.load.resume("postgres")
        self.load.wait_until_running("postgres")
        self.load.stop()
        harness.stores.drain(self.stack.json_path, harness.PATIENCE, harness.LOAD)
        report = compare.compare(self.info(), self.ledger)
        self.assertEqual(report["verdict"], compare.HOLDS, json.dumps(report, indent=1))

    def wal_behind(self):
        logs = self.lifeboat.run("status", "--json").json()["logs"]
        return next((log.get("behind") for log in logs if log["log"].startswith("postgres/")), None)

    def finish_postgres(self):
        """The operator starts PostgreSQL when the restore waits for it."""
        process = self.lifeboat.start(
            "restore", "postgres", "--yes", "--json", log=self.folder / "last.jsonl"
        )
        self.addCleanup(harness.end, process)

        def waits():
            self.assertIsNone(process.poll(), process.log.read_text())
            return '"postgres-wait"' in process.log.read_text()

        until(waits, "the restore waits for PostgreSQL")
        self.stack.start("postgres")
        self.assertEqual(process.wait(timeout=harness.PATIENCE), 0, process.log.read_text())


if __name__ == "__main__":
    unittest.main()

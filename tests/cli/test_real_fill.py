#!/usr/bin/env python3
"""ClickHouse is lost, and Kafka has deleted what follows the point's cut: the range comes from the
logbook, once and under its original offsets, while new events go on. The restore is killed at
random moments on its way. $LIFEBOAT_SEED repeats a run.
"""

import json
import subprocess
import unittest

import harness
from harness import Lifeboat, until

import compare  # drills/, by harness
import servers  # stack/, by harness

KILLS = 3


class Fill(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.start_under_load(cls, "test_real_fill", events_rate=1500)

    def info(self):
        return self.stack.info()

    def ends(self, member):
        """(topic, partition) -> a column of `cursors show`."""
        shown = self.lifeboat.run("cursors", "show", "--group", "group1", "--json").json()
        return {
            (row["topic"], row["partition"]): row[member]
            for group in shown["groups"]
            for row in group["cursors"]
        }

    def delete_records(self, before):
        """As retention does, only at once."""
        file = self.folder / "delete.json"
        rows = [
            {"topic": topic, "partition": partition, "offset": offset}
            for (topic, partition), offset in before.items()
        ]
        file.write_text(json.dumps({"version": 1, "partitions": rows}))
        tool = "org.apache.kafka.tools.DeleteRecordsCommand"
        subprocess.run(
            ["java", "-cp", f"{servers.KAFKA_JARS}/*", tool, "--bootstrap-server",
             self.info()["kafka"]["bootstrap"], "--offset-json-file", str(file)],
            check=True, timeout=harness.PATIENCE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def archived_past(self, offsets):
        logs = {}
        for log in self.lifeboat.run("status", "--json").json()["logs"]:
            parts = log["log"].split("/")
            if parts[0] == "kafka":
                logs[parts[3], int(parts[4])] = log["next"]
        return all(logs.get(tp, 0) >= offset for tp, offset in offsets.items())

    def test_retention_passed_the_cut(self):
        daemon = self.lifeboat.start("run")
        self.addCleanup(harness.end, daemon)
        until(lambda: harness.consumed(self.info()) > 1000, "ClickHouse consumes")
        backup = self.lifeboat.run("backup", "--json")
        self.assertEqual(backup.code, 0, backup)
        point = backup.events()[-1]["point"]
        cut = self.ends("committed")
        until(
            lambda: all(end > cut[tp] + 500 for tp, end in self.ends("high_watermark").items()),
            "the log goes on after the cut",
        )
        self.stack.kill("clickhouse")
        self.stack.wipe("clickhouse")
        deleted = self.ends("high_watermark")
        until(lambda: self.archived_past(deleted), "all of it is in the logbook")
        self.delete_records(deleted)
        self.stack.start("clickhouse")
        self.refuses_to_lose(point)
        self.plan_names_the_ranges(point)
        self.restore(point)
        self.nothing_is_left()
        until(lambda: self.ends("log_start") == deleted, "nothing else was deleted")
        self.load.stop()
        daemon.terminate()
        self.assertEqual(daemon.wait(timeout=60), 0, (self.folder / "run.log").read_text()[-3000:])
        harness.stores.drain(self.stack.json_path, harness.PATIENCE, harness.LOAD)
        self.compare()

    def refuses_to_lose(self, point):
        """With a logbook that lacks the range nothing is touched, and the range is named."""
        elsewhere = self.folder / "elsewhere.yaml"
        text = harness.config_text(self.info(), self.folder)
        vault = self.folder / "other"
        elsewhere.write_text(text.replace(f"{self.folder}/vault", str(vault)) + "state: other-state\n")
        harness.copy_vault(self.folder / "vault", vault)
        for logbook in (vault / "logbook").iterdir():
            for at, each in enumerate(sorted(logbook.iterdir())):
                if at > 0:
                    each.unlink()
        other = Lifeboat(self.folder, elsewhere)
        refused = other.run("restore", "clickhouse", "--point", point, "--dry-run")
        self.assertEqual(refused.code, harness.REFUSED, refused)
        self.assertIn("--accept-loss", refused.err)
        self.assertRegex(refused.err, r"events_json/\d \[\d+, \d+\)")
        accepted = other.run(
            "restore", "clickhouse", "--point", point, "--dry-run", "--accept-loss"
        )
        self.assertEqual(accepted.code, 0, accepted)
        self.assertIn("LOST", accepted.out + accepted.err)

    def plan_names_the_ranges(self, point):
        plan = self.lifeboat.run("plan", "clickhouse", "--point", point, "--json").json()
        names = [step["name"] for step in plan["steps"]]
        for name in ("fill-retention", "fill-topics", "fill-consume", "fill-check", "fill-clean"):
            self.assertIn(name, names)
        self.assertEqual(len([w for w in plan["warnings"] if "comes from the logbook" in w]), 8)

    def restore(self, point):
        words = ("restore", "clickhouse", "--point", point, "--yes", "--json")
        status = None
        for _ in range(KILLS):
            moment = self.random.uniform(0.5, 15)
            process = self.lifeboat.start(*words)
            try:
                status = process.wait(timeout=moment)
            except subprocess.TimeoutExpired:
                status = None
            harness.end(process)
            print(f"restore killed after {moment:.2f} s: {status}", flush=True)
            self.assertIn(status, (None, 0), (self.folder / "restore.log").read_text()[-3000:])
            if status == 0:
                return
        ended = self.lifeboat.run(*words)
        self.assertEqual(ended.code, 0, ended)

    def nothing_is_left(self):
        tables = harness.clickhouse(self.info(), "SHOW TABLES FROM posthog")
        self.assertNotIn("__lifeboat_", tables)
        topics = self.lifeboat.run("cursors", "show", "--json").out
        self.assertNotIn("lifeboat-fill", topics)
        listed = subprocess.run(
            ["kcat", "-b", self.info()["kafka"]["bootstrap"], "-L"],
            check=True, capture_output=True, text=True, timeout=60,
        ).stdout  # fmt: skip
        self.assertNotIn("lifeboat-fill", listed)

    def compare(self):
        report = compare.compare(self.info(), str(self.folder / "ledger"))
        self.assertEqual(report["verdict"], compare.HOLDS, json.dumps(report, indent=1))
        # The views saw the original places: offsets from 0 on without holes, each once.
        ends = self.ends("high_watermark")
        events = [end for (topic, _), end in ends.items() if topic == "events_json"]
        found = harness.clickhouse(
            self.info(), "SELECT count(), sum(_offset) FROM posthog.events_recent"
        )
        expected = (sum(events), sum(end * (end - 1) // 2 for end in events))
        self.assertEqual(tuple(map(int, found.split("\t"))), expected)


if __name__ == "__main__":
    unittest.main()

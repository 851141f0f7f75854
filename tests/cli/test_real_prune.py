#!/usr/bin/env python3
"""`retention: {keep_logbook: …}` on a real PostgreSQL and a real Kafka: what lies before the window
goes, compacted topics stay whole, and a point of before the window still comes back as it was.
Needs what stack/setup installs, and the build.
"""

import json
import subprocess
import time
import unittest

import harness
from harness import Lifeboat, until
from test_real_gaps import Broker

KEEPING = "logbook: {merge_after: 1s, remove_after: 1s}\n"
RETENTION = """retention: {keep_last: 1, keep_labels: [old], keep_logbook: 1s, grace: 1s}
"""
ROWS = 20000


class PruneLogbook(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.broker = Broker(self.folder, ("postgres", "zookeeper", "kafka"))
        self.stack = self.broker.stack
        self.addCleanup(self.stack.close)
        self.stack.start_all()
        self.lifeboat = Lifeboat(self.folder)
        stores = ("postgres", "kafka")
        text = harness.config_text(
            self.stack.info(), self.folder, stores, flush_interval="200ms", point_every="never"
        )
        self.lifeboat.config.write_text(text + KEEPING)
        # `run` has no retention, or it would prune by itself in the middle of the test.
        self.pruner = Lifeboat(self.folder, self.folder / "prune.yaml")
        self.pruner.config.write_text(text + KEEPING + RETENTION)
        initialised = self.lifeboat.run("init")
        self.assertEqual(initialised.code, 0, initialised)

    def sql(self, statement):
        return harness.sql(self.stack.info(), statement)

    def count(self):
        return int(self.sql("SELECT count(*) FROM rows"))

    def happen(self):
        """Something in all stores, until it is archived."""
        self.sql(f"INSERT INTO rows SELECT md5(n::text) FROM generate_series(1, {ROWS}) n")
        self.sql("SELECT pg_switch_wal()")
        # Much more than the keeper puts into one extent: only whole ones go.
        self.produce("events", (f"{n:060000}" for n in range(300)))
        # Of a compacted topic each record has a key.
        self.produce("state", (f"{n}:state of {n}" for n in range(300)), "-K", ":")
        until(self.caught_up, "all is in the logbook")

    def produce(self, topic, records, *more):
        subprocess.run(
            ["kcat", "-P", "-b", self.broker.bootstrap, "-t", topic, *more],
            input="".join(record + "\n" for record in records), text=True, check=True,
            capture_output=True,
        )  # fmt: skip

    def caught_up(self):
        logs = self.lifeboat.run("status", "--json").json()["logs"]
        logs = [log for log in logs if log["log"].startswith(("kafka/", "postgres/"))]
        return len(logs) >= 3 and all(log.get("behind") == 0 for log in logs)

    def backup(self, *more):
        ended = self.lifeboat.run("backup", "--json", *more)
        self.assertEqual(ended.code, 0, ended)
        return ended.events()[-1]["point"]

    def logs(self):
        """By topic, or `wal`."""
        listed = self.lifeboat.run("logbook", "ls", "--json").json()["logs"]
        out = {}
        for log in listed:
            parts = log["log"].split("/")
            out[parts[3] if parts[0] == "kafka" else "wal" if parts[0] == "postgres" else parts[0]] = log
        return out

    def stored(self):
        return harness.stored_bytes(self.folder / "vault/logbook")

    def delete_events(self):
        """As Kafka's own retention does, only at once."""
        end = self.logs()["events"]["next"]
        file = self.folder / "delete.json"
        rows = [{"topic": "events", "partition": 0, "offset": end - 10}]
        file.write_text(json.dumps({"version": 1, "partitions": rows}))
        self.broker.tool("DeleteRecordsCommand", "--offset-json-file", str(file))
        return end - 10

    def test_a_window(self):
        self.sql("CREATE TABLE rows (text text)")
        self.broker.create("events")
        self.broker.create("state", cleanup_policy="compact")
        daemon = self.lifeboat.start("run")
        self.addCleanup(harness.end, daemon)
        self.happen()
        old, rows_of_old = self.backup("--label", "old"), self.count()
        self.happen()
        self.happen()
        begins = self.delete_events()
        first = self.backup()
        taken = time.time()
        self.happen()
        until(lambda: time.time() > taken + 1, "the first point is as old as the window")
        last = self.backup()
        before, stored = self.logs(), self.stored()

        looked = self.pruner.run("prune", "--dry-run", "--json").json()
        self.assertEqual([point["keep"] for point in looked["points"]], [True, True, True])
        self.assertIn("window begins", " ".join(looked["points"][1]["why"]))
        goes = {log["log"].split("/")[3 if log["log"].startswith("kafka") else 0]: log
                for log in looked["logs"] if not log["log"].startswith("kafka-groups")}  # fmt: skip
        self.assertEqual(set(goes), {"events", "postgres"}, looked)
        self.assertEqual(goes["events"]["kept"], [{"from": begins}])
        self.assertEqual(len(goes["postgres"]["kept"]), 2, "the old point's WAL, and the window's")
        self.assertGreater(goes["postgres"]["bytes"], 0)
        told = self.pruner.run("prune", "--dry-run")
        self.assertRegex(told.out, rf"(?m)^postgres/.*the logbook's window begins with point {first}")
        self.assertEqual(self.logs().keys(), before.keys())

        ended = self.pruner.run("prune", "--wait")
        self.assertEqual(ended.code, 0, ended)
        until(lambda: self.stored() < stored * 2 / 3, "the space is free")
        after = self.logs()
        self.assertEqual(after["events"]["first"], begins)
        self.assertEqual(after["state"]["first"], before["state"]["first"])
        for name, log in after.items():
            self.assertGreaterEqual(log["next"], before[name]["next"])
        verified = self.lifeboat.run("verify", "--json")
        self.assertEqual(verified.json()["verdict"], "VERIFIED", verified)
        self.assertNotIn("gap", self.lifeboat.run("check").out)
        read = self.lifeboat.run("logbook", "cat", "events", "--from", "0", "--format", "values")
        self.assertEqual(read.code, harness.FAILED, read)
        self.assertIn("was pruned", read.err)
        read = self.lifeboat.run("logbook", "cat", "state", "--from", "0", "--format", "values")
        self.assertEqual((read.code, len(read.out.splitlines())), (0, 1200), read.err)
        self.happen()  # the archiver goes on where it was
        self.assertEqual(self.logs()["events"]["first"], begins)
        daemon.terminate()
        self.assertEqual(daemon.wait(timeout=60), 0)
        self.restore(old, rows_of_old, last)

    def restore(self, old, rows, last):
        self.stack.kill("postgres")
        self.stack.wipe("postgres")
        refused = self.lifeboat.run("plan", "postgres", "--point", old, "--to", "2030-01-01 00:00:00")
        self.assertEqual(refused.code, harness.REFUSED, refused)
        self.assertIn("keep_logbook", refused.err)
        plan = self.lifeboat.run(
            "plan", "kafka", "--point", last, "--overwrite", self.broker.bootstrap, "--json"
        ).json()
        self.assertIn("events: what lay before the logbook's window was pruned", " ".join(plan["warnings"]))
        process = harness.operate(
            self.lifeboat, ("restore", "postgres", "--point", old),
            {"postgres-wait": lambda: self.stack.start("postgres")},
        )  # fmt: skip
        self.assertEqual(process.returncode, 0, (self.folder / "operated.jsonl").read_text()[-3000:])
        self.assertEqual(self.count(), rows)


if __name__ == "__main__":
    unittest.main()

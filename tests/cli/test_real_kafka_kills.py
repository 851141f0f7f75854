#!/usr/bin/env python3
"""SIGKILL of `restore zookeeper` and of `restore kafka` (by producing) in random steps, on the real
stack with a living ClickHouse: run again, each goes on, and by the ledger of truth nothing is lost
or doubled. $LIFEBOAT_SEED repeats a run.
"""

import json
import unittest

import harness
from harness import until

import compare  # drills/, by harness

ZOOKEEPER = (
    "zookeeper-hold-clickhouse",
    "zookeeper-wait",
    "zookeeper-tree",
    "zookeeper-kafka",
    "zookeeper-release-clickhouse",
)
KAFKA = (
    "kafka-wait",
    "kafka-detach-clickhouse",
    "kafka-topics",
    "kafka-batches",
    "kafka-cursors",
    "kafka-configs",
)
KILLS = 3


class Kills(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.start_under_load(cls, "test_real_kafka_kills", events_rate=1000)

    def restore(self, store, actions, steps, always=()):
        """Killed in some of the steps, then to its end."""
        done = set()

        def once(name, action):
            def act():
                if name not in done:
                    done.add(name)
                    action()

            return act

        actions = {name: once(name, action) for name, action in actions.items()}
        others = [step for step in steps if step not in always]
        chosen = [*always, *self.random.sample(others, KILLS - len(always))]
        for name in sorted(chosen, key=steps.index):
            moment = (name, self.random.uniform(0, 0.5))
            ended = harness.operate(self.lifeboat, ("restore", store), actions, moment)
            if ended:
                break  # it was faster
        else:
            ended = harness.operate(self.lifeboat, ("restore", store), actions)
        self.assertEqual(ended.returncode, 0, ended.log.read_text()[-4000:])

    def caught_up(self):
        logs = [
            log
            for log in self.lifeboat.run("status", "--json").json()["logs"]
            if log["log"].startswith("kafka/")
        ]
        return len(logs) >= 8 and all(log.get("behind") == 0 for log in logs)

    def test_1_zookeeper(self):
        backup = self.lifeboat.run("backup", "--json")
        self.assertEqual(backup.code, 0, backup)
        self.stack.kill("zookeeper")
        self.stack.wipe("zookeeper")
        consumed = []

        def look():
            """What is written while the brokers are away cannot be committed: it comes twice."""
            consumed.append(harness.consumed(self.stack.info()))
            kafka_tables = "SELECT count() FROM system.tables WHERE engine = 'Kafka'"
            self.assertEqual(harness.clickhouse(self.stack.info(), kafka_tables), "0")

        def stop_brokers():
            """When consumers that were only paused would have fetched more."""
            before = self.load.status()["kafka"]["acknowledged"]
            until(
                lambda: self.load.status()["kafka"]["acknowledged"] > before + 1000,
                "events that ClickHouse has not consumed",
            )
            self.stack.kill("kafka")
            look()

        def start_brokers():
            look()
            self.stack.start("kafka")

        actions = {
            "zookeeper-brokers-stopped": stop_brokers,
            "zookeeper-wait": lambda: self.stack.start("zookeeper"),
            "zookeeper-kafka": start_brokers,
        }
        self.restore("zookeeper", actions, ZOOKEEPER, always=("zookeeper-wait",))
        self.assertEqual(len(set(consumed)), 1, consumed)
        self.load.wait_until_running("kafka")

    def test_2_kafka(self):
        daemon = self.lifeboat.start("run")
        self.addCleanup(harness.end, daemon)
        backup = self.lifeboat.run("backup", "--json")
        self.assertEqual(backup.code, 0, backup)
        before = self.load.status()["kafka"]["acknowledged"]
        until(
            lambda: self.load.status()["kafka"]["acknowledged"] > before + 5000,
            "events that only the logbook has",
        )
        self.load.pause("kafka")
        until(self.caught_up, "all of Kafka is in the logbook")
        daemon.terminate()
        self.assertEqual(daemon.wait(timeout=60), 0, (self.folder / "run.log").read_text()[-3000:])
        self.stack.kill("kafka")
        self.stack.wipe("kafka")
        self.restore("kafka", {"kafka-wait": lambda: self.stack.start("kafka")}, KAFKA)
        self.load.resume("kafka")
        self.load.wait_until_running("kafka")
        self.load.stop()
        harness.stores.drain(self.stack.json_path, harness.PATIENCE, harness.LOAD)
        report = compare.compare(self.stack.info(), str(self.folder / "ledger"))
        self.assertEqual(report["verdict"], compare.HOLDS, json.dumps(report, indent=1))


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Records that Kafka deletes before they are archived, on a real broker: the alarm comes before the
gap, the gap is recorded exactly, and metrics tell of both. Needs what stack/setup installs, and the
build.
"""

import re
import subprocess
import unittest
import urllib.request

import harness
import servers
from harness import Lifeboat, Stack, until

SEGMENT = 16384
MINUTE = 60


class Broker:
    def __init__(self, folder, servers_wanted=("zookeeper", "kafka")):
        self.stack = Stack(folder / "stack", servers=servers_wanted)

    @property
    def bootstrap(self):
        return self.stack.info()["kafka"]["bootstrap"]

    def tool(self, name, *arguments):
        jars = f"{servers.CACHE}/kafka-3.9.1/*"
        done = subprocess.run(
            ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", jars,
             f"org.apache.kafka.tools.{name}", "--bootstrap-server", self.bootstrap, *arguments],
            capture_output=True, text=True, timeout=harness.PATIENCE)
        if done.returncode:
            raise AssertionError(f"{name}: {done.stdout}{done.stderr}")

    def create(self, topic, **configs):
        more = [word for key, value in configs.items()
                for word in ("--config", f"{key.replace('_', '.')}={value}")]
        self.tool("TopicCommand", "--create", "--topic", topic, "--partitions", "1", *more)

    def produce(self, topic, count):
        """Records of 200 bytes, one a batch: their offsets are the segments' business alone."""
        lines = "".join(f"{n:0200}\n" for n in range(count))
        subprocess.run(["kcat", "-P", "-b", self.bootstrap, "-t", topic, "-X", "acks=all",
                        "-X", "batch.num.messages=1"],
                       input=lines, text=True, check=True, capture_output=True)

    def first_offset(self, topic):
        """As an independent consumer sees it."""
        done = subprocess.run(["kcat", "-C", "-b", self.bootstrap, "-t", topic, "-p", "0",
                               "-o", "beginning", "-c", "1", "-e", "-q", "-f", "%o"],
                              text=True, check=True, capture_output=True)
        return int(done.stdout)


def setUpModule():
    global BROKER
    BROKER = Broker(harness.temporary_folder(Gaps))
    unittest.addModuleCleanup(BROKER.stack.close)
    BROKER.stack.start_all()


class Gaps(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.port = harness.unused_port()
        self.site = Lifeboat(self.folder)
        self.site.config.write_text(
            harness.config_text(BROKER.stack.info(), self.folder, stores_wanted=("kafka",))
            + "  exclude: [left-*]\nalarm_before: 1h\n"
            + f"metrics: {{listen: 127.0.0.1:{self.port}}}\n")
        self.assertEqual(self.site.run("init").code, 0)

    def daemon(self):
        running = self.site.start("run")
        self.addCleanup(harness.end, running)
        return running

    def stop(self, running):
        running.terminate()
        self.assertEqual(running.wait(timeout=harness.PATIENCE), 0, running.log.read_text())

    def status(self):
        ended = self.site.run("status", "--json")
        self.assertEqual(ended.code, 0, ended)
        return ended.json()

    def retention(self, topic):
        found = [r for r in self.status()["retention"] if f"/{topic}/0" in r["log"]]
        return found[0] if found else None

    def archived(self, topic):
        left = self.retention(topic)
        return left and left["time_left"] == "caught up" and left["next"] > 0 and left

    def metric(self, name, topic):
        address = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(address, timeout=harness.PATIENCE) as answer:
            text = answer.read().decode()
        found = re.search(rf"^{name}{{log=\"[^\"]*/{topic}/0\"}} (\S+)$", text, re.M)
        return float(found[1]) if found else None

    def findings(self, name):
        ended = self.site.run("check", "--json")
        return [f for f in ended.json()["findings"] if f["name"] == name]

    def assert_gap(self, topic, begin, end):
        """In every listing, from `begin` to `end`, and nothing else is missing."""
        running = self.daemon()
        until(lambda: self.archived(topic) and self.status()["gaps"], "the gap is recorded")
        gaps = [g for g in self.status()["gaps"] if f"/{topic}/0" in g["log"]]
        self.assertEqual([(g["from"], g["to"]) for g in gaps], [(begin, end)])
        until(lambda: self.metric("lifeboat_log_gaps", topic) == 1, "the metric tells of the gap")
        self.assertEqual(self.metric("lifeboat_log_missing", topic), end - begin)
        self.stop(running)
        text = f"gap [{begin}, {end})"
        self.assertIn(text, self.site.run("status").out)
        self.assertIn(text, self.site.run("logbook", "ls").out)
        listed = self.site.run("logbook", "ls", "--json").json()
        log = next(one for one in listed["logs"] if f"/{topic}/0" in one["log"])
        self.assertEqual([(g["from"], g["to"], g["recorded"]) for g in log["gaps"]],
                         [(begin, end, True)])
        self.assertTrue(any(f"[{begin}, {end})" in f["what"] for f in self.findings("gap")))

    def test_retention_that_overtakes(self):
        BROKER.create("short", segment_bytes=SEGMENT, retention_ms=20 * MINUTE * 1000)
        BROKER.create("kept", retention_ms=-1)
        BROKER.create("left-alone", retention_ms=20 * MINUTE * 1000)
        for topic in ("short", "kept", "left-alone"):
            BROKER.produce(topic, 100)
        running = self.daemon()
        until(lambda: self.archived("short"), "what there is is archived")
        until(lambda: self.metric("lifeboat_log_lag", "short") == 0, "the metrics say so")
        self.assertEqual(self.metric("lifeboat_log_durable", "short"), 100)
        self.stop(running)
        self.assertEqual(self.findings("retention"), [])

        # Nobody archives: the alarm.
        BROKER.produce("short", 900)
        BROKER.produce("kept", 10)
        left = self.retention("short")
        self.assertTrue(left["alarm"], left)
        self.assertEqual((left["next"], left["source_end"]), (100, 1000))
        self.assertTrue(0 < left["seconds_left"] <= 20 * MINUTE, left)
        self.assertEqual(self.retention("kept")["time_left"], "unlimited")
        self.assertIsNone(self.retention("left-alone"))
        self.assertIn("ALARM", self.site.run("status").out)
        found = self.findings("retention")
        self.assertEqual(len(found), 1, found)
        self.assertIn("short/0", found[0]["what"])

        # And what it was about.
        self.alter("short", f"retention.bytes={3 * SEGMENT}")
        passed = until(lambda: (r := self.retention("short"))["source_start"] > 100 and r,
                       "retention has passed", seconds=2 * harness.PATIENCE)
        self.assertEqual((passed["time_left"], passed["alarm"]), ("passed", True))
        self.assertIn("is lost", self.findings("retention")[0]["what"])
        self.alter("short", "retention.bytes=-1")
        self.assert_gap("short", 100, BROKER.first_offset("short"))

    def alter(self, topic, config):
        jars = f"{servers.CACHE}/kafka-3.9.1/*"
        subprocess.run(
            ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", jars,
             "kafka.admin.ConfigCommand", "--bootstrap-server", BROKER.bootstrap, "--alter",
             "--entity-type", "topics", "--entity-name", topic, "--add-config", config],
            check=True, capture_output=True, timeout=harness.PATIENCE)

    def test_records_that_somebody_deletes(self):
        BROKER.create("deleted")
        BROKER.produce("deleted", 50)
        running = self.daemon()
        until(lambda: self.archived("deleted"), "what there is is archived")
        self.stop(running)
        BROKER.produce("deleted", 50)
        wanted = self.folder / "delete.json"
        wanted.write_text('{"version": 1, "partitions": '
                          '[{"topic": "deleted", "partition": 0, "offset": 73}]}')
        BROKER.tool("DeleteRecordsCommand", "--offset-json-file", str(wanted))
        self.assertEqual(BROKER.first_offset("deleted"), 73)
        self.assert_gap("deleted", 50, 73)


if __name__ == "__main__":
    unittest.main()

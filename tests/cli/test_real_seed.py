#!/usr/bin/env python3
"""A lost Kafka comes back by seeding the brokers' log dirs: with ZooKeeper and with KRaft, of 3.9
and 4, one broker and several replicas. What the brokers hold afterwards is compared with what they held, byte
by byte (but for leader epochs) on disk, and record by record as consumers see it. The restore is
killed at random moments on its way. $LIFEBOAT_SEED repeats a run.
"""

import json
import pathlib
import subprocess
import threading
import unittest

import harness
from harness import Lifeboat, Stack, until

import servers  # stack/, by harness

TOPICS = {"plain": 2, "ledger": 1, "short": 1, "compacted": 1}
STEPS = ("kafka-topics", "seed-stop", "seed-write", "seed-start", "seed-verify", "kafka-cursors")


def java(stack, tool, *words, text=None):
    done = subprocess.run(
        ["java", "-cp", f"{servers.KAFKA_JARS}/*", "-Xmx128m", tool, "--bootstrap-server",
         stack.info()["kafka"]["bootstrap"], *map(str, words)],
        input=text, text=True, capture_output=True, timeout=harness.PATIENCE,
    )  # fmt: skip
    if done.returncode != 0:
        raise AssertionError(f"{tool} {words}: {done.stdout}{done.stderr}")
    return done.stdout


def kcat(stack, *words, text=None):
    return subprocess.run(
        ["kcat", "-b", stack.info()["kafka"]["bootstrap"], "-m", "30", *map(str, words)],
        input=text, text=True, capture_output=True, timeout=harness.PATIENCE, check=True,
    ).stdout  # fmt: skip


def batches(folder):
    """All batches of a partition's segments, (offset, bytes without the leader epoch)."""
    out = []
    for file in sorted(pathlib.Path(folder).glob("*.log")):
        data = file.read_bytes()
        at = 0
        while at + 61 <= len(data):
            size = 12 + int.from_bytes(data[at + 8 : at + 12], "big")
            if size <= 12:
                break
            batch = data[at : at + size]
            out.append((int.from_bytes(batch[:8], "big"), batch[:12] + batch[16:]))
            at += size
    return out


class Seed:
    """What the two modes share."""

    kind, brokers, copies = None, 1, 1
    plain = (20000, 3000, "lz4")  # bytes a segment, records, codec: several segments

    @classmethod
    def setUpClass(cls):
        cls.folder = harness.temporary_folder(cls)
        cls.random = harness.seeded(f"test_real_seed, {cls.kind}")
        cls.names = ["kafka"] + [f"kafka-{n}" for n in range(1, cls.brokers)]
        cls.stack = Stack(
            cls.folder / "stack", servers=("kafka",), kafka=cls.kind, brokers=cls.brokers
        )
        cls.addClassCleanup(cls.stack.close)
        cls.stack.start_all()
        cls.lifeboat = Lifeboat(cls.folder)
        info = cls.stack.info()
        dirs = ", ".join(f'"{at}": [{info[name]["data"]}]' for at, name in enumerate(cls.names))
        text = harness.config_text(info, cls.folder, ("kafka",))
        cls.lifeboat.config.write_text(text + f"  log_dirs: {{{dirs}}}\n")
        initialised = cls.lifeboat.run("init")
        assert initialised.code == 0, initialised

    def data(self, broker):
        return pathlib.Path(self.stack.info()[broker]["data"])

    def end_of(self, topic, partition=0):
        return int(
            kcat(self.stack, "-Q", "-t", f"{topic}:{partition}:-1", "-X",
                 "isolation.level=read_uncommitted").split()[-1]
        )  # fmt: skip

    # --- what is lost

    def create(self, topic, *configs):
        more = [word for config in configs for word in ("--config", config)]
        java(self.stack, "org.apache.kafka.tools.TopicCommand", "--create", "--topic", topic,
             "--partitions", TOPICS[topic], "--replication-factor", self.copies, *more)  # fmt: skip

    def produce(self, topic, records, partition=0, codec="lz4", keys=None):
        lines = (f"k{i % (keys or records)}|value {i} {'x' * (i % 90)}\n" for i in range(records))
        kcat(self.stack, "-P", "-t", topic, "-p", partition, "-K", "|", "-z", codec,
             "-X", "batch.num.messages=100", "-X", "linger.ms=50", text="".join(lines))  # fmt: skip

    def transaction(self, name, kill):
        """One by Kafka's own producer: committed, or left open by a producer that is killed."""
        before = self.end_of("ledger")
        process = subprocess.Popen(
            ["java", "-cp", f"{servers.KAFKA_JARS}/*", "-Xmx128m",
             "org.apache.kafka.tools.ProducerPerformance", "--topic", "ledger", "--record-size", "90",
             "--num-records", "100000" if kill else "60", "--throughput", "200" if kill else "-1",
             "--transactional-id", name, "--transaction-duration-ms", "600000", "--producer-props",
             f"bootstrap.servers={self.stack.info()['kafka']['bootstrap']}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            if kill:
                until(lambda: self.end_of("ledger") > before + 40, f"transaction {name} is under way")
            else:
                self.assertEqual(process.wait(timeout=harness.PATIENCE), 0)
        finally:
            harness.end(process)

    def fill(self):
        segment, records, codec = self.plain
        self.create("plain", f"segment.bytes={segment}", "retention.ms=86400000")
        self.create("ledger")
        self.create("short")
        for partition in range(2):
            self.produce("plain", records, partition, codec)
        self.produce("plain", 100, 1, codec="none")
        self.produce("short", 1000)
        self.transaction("a", kill=False)
        self.transaction("b", kill=True)
        self.transaction("b", kill=False)  # aborts the one before it
        self.produce("ledger", 50)
        self.transaction("c", kill=True)
        self.delete_records("short", 555)  # within a batch
        self.more_topics()
        until(self.commit, "the group has an offset")

    def commit(self):
        """The tool ends well also when the coordinator is not ready yet."""
        java(self.stack, "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
             "--group", "readers", "--topic", "plain:0", "--reset-offsets", "--to-offset", 1234,
             "--execute")  # fmt: skip
        groups = self.lifeboat.run("cursors", "show", "--json").json()["groups"]
        return any(group["group"] == "readers" for group in groups)

    def more_topics(self):
        pass

    def delete_records(self, topic, before):
        file = self.folder / "delete.json"
        rows = [{"topic": topic, "partition": 0, "offset": before}]
        file.write_text(json.dumps({"version": 1, "partitions": rows}))
        java(self.stack, "org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", file)

    def archive(self):
        daemon = self.lifeboat.start("run")
        try:
            until(self.archived, "all of Kafka is in the logbook")
            backup = self.lifeboat.run("backup", "--json")
            self.assertEqual(backup.code, 0, backup)
        finally:
            daemon.terminate()
            daemon.wait(timeout=60)
            harness.end(daemon)

    def archived(self):
        logs = [
            log
            for log in self.lifeboat.run("status", "--json").json()["logs"]
            if log["log"].startswith("kafka/")
        ]
        wanted = sum(n for topic, n in TOPICS.items() if topic in self.there())
        return len(logs) >= wanted and all(log.get("behind") == 0 for log in logs)

    def there(self):
        return {path.name.rpartition("-")[0] for path in self.data("kafka").glob("*-0")}

    # --- how it is compared

    def partitions(self):
        return [(t, p) for t, n in TOPICS.items() if t in self.there() for p in range(n)]

    def on_disk(self, broker):
        return {tp: batches(self.data(broker) / f"{tp[0]}-{tp[1]}") for tp in self.partitions()}

    def consumed(self, level):
        form = "%o %k %s %T %h\n"
        return {
            (t, p): kcat(self.stack, "-C", "-e", "-q", "-t", t, "-p", p, "-o", "beginning", "-f", form,
                         "-X", f"isolation.level=read_{level}", "-X", "check.crcs=true")
            for t, p in self.partitions()
        }  # fmt: skip

    def starts(self):
        return {
            (t, p): int(kcat(self.stack, "-Q", "-t", f"{t}:{p}:-2").split()[-1])
            for t, p in self.partitions()
        }

    def group(self):
        shown = self.lifeboat.run("cursors", "show", "--group", "readers", "--json")
        self.assertEqual(shown.code, 0, shown)
        rows = shown.json()["groups"]
        return {
            (row["topic"], row["partition"]): row["committed"]
            for each in rows
            for row in each["cursors"]
        }

    def configs(self):
        return java(self.stack, "org.apache.kafka.tools.TopicCommand", "--describe", "--topic",
                    "plain").splitlines()[0].partition("Configs:")[2].strip()  # fmt: skip

    # --- the restore

    def every_broker(self, action):
        threads = [threading.Thread(target=action, args=(name,)) for name in self.names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def running(self):
        return [name for name in self.names if self.stack.status()[name]["running"]]

    def start_brokers(self):
        self.every_broker(lambda name: name in self.running() or self.stack.start(name))

    def stop_brokers(self):
        self.every_broker(self.stack.kill)

    def restore(self, kill_after=None):
        actions = {
            "kafka-wait": self.start_brokers,
            "seed-write": self.stop_brokers,
            "seed-start": self.start_brokers,
        }
        ended = harness.operate(self.lifeboat, ("restore", "kafka"), actions, kill_after)
        if ended:
            self.assertEqual(ended.returncode, 0, ended.log.read_text()[-4000:])
        return ended

    def test_everything_is_as_it_was(self):
        self.fill()
        self.archive()
        disk = self.on_disk("kafka")
        committed, all_records = self.consumed("committed"), self.consumed("uncommitted")
        starts, group, configs = self.starts(), self.group(), self.configs()
        self.assertIn(("plain", 0), group)
        self.assertGreater(starts["short", 0], 0)
        for name in self.names:
            self.stack.kill(name)
        for name in self.names:
            self.stack.wipe(name)
        for name in self.random.sample(STEPS, 2):
            if self.restore(kill_after=(name, self.random.uniform(0, 0.4))):
                break  # it was faster
        else:
            self.restore()
        self.compare_starts(self.starts(), starts)
        self.assertEqual(self.group(), group)
        self.assertEqual(self.configs(), configs)
        for broker in self.names:
            until(lambda broker=broker: self.caught_up(broker, disk), f"{broker} has all batches")
            self.compare_disks(self.on_disk(broker), disk)
        self.assertEqual(self.since(starts, self.consumed("committed")), committed)
        self.assertEqual(self.since(starts, self.consumed("uncommitted")), all_records)
        self.goes_on()

    def compare_starts(self, now, before):
        """The logbook holds whole batches: a log that began within one begins with it now."""
        for tp, start in before.items():
            self.assertLessEqual(now[tp], start, tp)
            if tp[0] == "short":
                self.assertIn(now[tp], [offset for offset, _ in self.on_disk("kafka")[tp]])
                self.assertGreater(now[tp], start - 100)  # records a batch
            else:
                self.assertEqual(now[tp], start, tp)

    @staticmethod
    def since(starts, consumed):
        return {
            tp: "".join(
                line
                for line in text.splitlines(keepends=True)
                if int(line.split(" ", 1)[0]) >= starts[tp]
            )
            for tp, text in consumed.items()
        }

    def caught_up(self, broker, before):
        """A follower may begin anew and fetch from its leader."""
        now = self.on_disk(broker)
        return all(now[tp] and now[tp][-1][0] >= had[-1][0] for tp, had in before.items() if had)

    def compare_disks(self, now, before):
        for tp, had in before.items():
            # Whole segments below the log's start may still lie on the old disk.
            had = [batch for batch in had if batch[0] >= now[tp][0][0]]
            self.assertEqual(now[tp][: len(had)], had, tp)
            more = now[tp][len(had) :]
            # The transaction that was open is aborted at the end, nothing else is there.
            self.assertEqual(len(more), 1 if tp[0] == "ledger" else 0, (tp, more))
            for _, batch in more:
                self.assertEqual(int.from_bytes(batch[17:19], "big") & 0x30, 0x30)

    def goes_on(self):
        """New records, by idempotent producers with new ids and by a transaction."""
        before = self.end_of("plain")
        kcat(self.stack, "-P", "-t", "plain", "-p", 0, "-X", "enable.idempotence=true", text="new\n")
        self.assertEqual(self.end_of("plain"), before + 1)
        self.transaction("a", kill=False)
        seen = kcat(self.stack, "-C", "-e", "-q", "-t", "ledger", "-p", 0, "-o", "beginning",
                    "-X", "isolation.level=read_committed", "-f", "%o\n")  # fmt: skip
        self.assertEqual(int(seen.split()[-1]), self.end_of("ledger") - 2)  # then its marker


class WithZooKeeper(Seed, unittest.TestCase):
    kind = "3.9-zookeeper"

    def more_topics(self):
        """Compaction leaves holes, in batches and between them."""
        self.create("compacted", "cleanup.policy=compact", "segment.bytes=10000",
                    "min.cleanable.dirty.ratio=0.01")  # fmt: skip
        for _ in range(4):
            self.produce("compacted", 400, keys=150)
        count = lambda: kcat(self.stack, "-C", "-e", "-q", "-t", "compacted", "-f", "%o\n").count("\n")
        until(lambda: count() < 1000, "compaction has been there")


class WithKRaft(Seed, unittest.TestCase):
    kind, brokers, copies = "3.9", 2, 2


class WithNewestKafka(Seed, unittest.TestCase):
    kind, brokers, copies = "4", 2, 2
    plain = (1 << 20, 30000, "none")  # segments of 1 MiB are its smallest


if __name__ == "__main__":
    unittest.main()

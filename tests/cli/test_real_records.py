#!/usr/bin/env python3
"""Archived records read back, and a Kafka restored, on a real broker: each record as librdkafka's
own consumer saw it. Needs what stack/setup installs, and the build.
"""

import base64
import datetime
import json
import pathlib
import signal
import subprocess
import unittest

import harness
import rdkafka
from harness import Lifeboat, Stack, until
from servers import KAFKA_JARS

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
YEAR = 365 * 86400 * 1000
TIME = 1_700_000_000_000


def java(main, *arguments, stdin=b"", timeout=harness.PATIENCE):
    """One of Kafka's own tools; its standard output."""
    done = subprocess.run(
        ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{KAFKA_JARS}/*", main, *arguments],
        input=stdin,
        capture_output=True,
        timeout=timeout,
    )
    if done.returncode != 0:
        raise AssertionError(f"{main}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


def write_mixed(bootstrap):
    """Nulls, empties, binary, headers, times that fall and lie years apart; each codec."""
    odd = [("team", b"7"), ("team", b"\xff\x00"), ("none", None), ("", b"")]
    for n, codec in enumerate(CODECS):
        with rdkafka.Producer(bootstrap, compression_codec=codec, linger_ms=50) as producer:
            for partition in (0, 1):
                at = TIME + n * 1_000_000
                producer.send("mixed", partition, None, codec.encode() * 40, odd, at)
                producer.send("mixed", partition, b"", b"", (), at + 1)
                producer.send("mixed", partition, b"\x80\x00key", None, odd[:1], at + 5)
                producer.send("mixed", partition, b"k\"\\\n", "ä\u20ac\U0001f600".encode(), (), at)
                producer.send("mixed", partition, b"far", bytes(range(256)) * 20, (), at - 2 * YEAR)
                for i in range(50):
                    producer.send("mixed", partition, b"k%d" % i, b"value-%d" % i, (), at + 10 + i)
            producer.flush()


def write_transactions(bootstrap):
    with rdkafka.transactional(bootstrap, "one") as one:
        for i in range(4):
            one.begin()
            for n in range(3):
                one.send("tx", 0, b"t%d" % i, b"aborted" if i % 2 else b"committed")
            one.flush()
            with rdkafka.Producer(bootstrap) as plain:
                plain.send("tx", 0, b"plain", b"between")
                plain.flush()
            (one.abort if i % 2 else one.commit)()


def begin_hanging(bootstrap):
    """A transaction that ends with its producer, not before."""
    hanging = rdkafka.Producer(bootstrap, transactional_id="two", transaction_timeout_ms=800000)
    hanging._check(rdkafka.LIB.rd_kafka_init_transactions(hanging.handle, rdkafka.TIMEOUT))
    with rdkafka.Producer(bootstrap) as plain:
        plain.send("hanging", 0, b"a", b"before")
        plain.flush()
        hanging.begin()
        hanging.send("hanging", 0, b"b", b"in it")
        hanging.flush()
        plain.send("hanging", 0, b"c", b"after")
        plain.flush()
    return hanging


def write_compacted(bootstrap):
    """Three values a key and tombstones, so that each batch keeps a part of its records."""
    with rdkafka.Producer(bootstrap, compression_codec="lz4", linger_ms=50) as producer:
        for turn in range(3):
            for i in range(300):
                if (i + turn) % (turn + 2) == 0 or turn == 0:
                    value = None if i % 50 == 7 else b"turn-%d-%d" % (turn, i)
                    head = [("turn", b"%d" % turn)]
                    producer.send("compacted", 0, b"key-%d" % i, value, head, TIME + turn * 9999 + i)
                    producer.send("stamped", 0, b"key-%d" % i, value, head, TIME + i)
            producer.flush()
        for i in range(3):  # a segment that is rolled is compacted, never the last one
            producer.send("compacted", 0, b"last-%d" % i, b"x" * 60000)
            producer.flush()


def write_by_java(bootstrap):
    lines = "".join(f"key-{i}\tvalue of Java {i} {'x' * (i % 90)}\n" for i in range(400)).encode()
    words = ["--bootstrap-server", bootstrap, "--topic", "java", "--property", "parse.key=true"]
    for codec in ("snappy", "lz4"):
        java("kafka.tools.ConsoleProducer", *words, "--compression-codec", codec, stdin=lines)


class World:
    def __init__(self, folder):
        self.folder = folder
        self.stack = Stack(folder / "stack", servers=("zookeeper", "kafka"))
        self.lifeboat = Lifeboat(folder)

    def start(self):
        self.stack.start_all()
        self.bootstrap = self.stack.info()["kafka"]["bootstrap"]
        self.admin = rdkafka.Admin(self.bootstrap)
        for topic in ("tx", "hanging", "java"):
            self.admin.create_topic(topic)
        self.admin.create_topic("mixed", 2, retention_ms=-1)  # its records are old
        small = {"segment_bytes": 40000, "min_cleanable_dirty_ratio": 0.0001}
        self.admin.create_topic("compacted", cleanup_policy="compact", **small)
        self.admin.create_topic("stamped", message_timestamp_type="LogAppendTime")
        write_compacted(self.bootstrap)
        write_mixed(self.bootstrap)
        write_transactions(self.bootstrap)
        self.hanging = begin_hanging(self.bootstrap)
        write_by_java(self.bootstrap)
        self.wait_for_compaction()
        config = harness.config_text(self.stack.info(), self.folder, ("kafka",))
        self.lifeboat.config.write_text(config)
        self.expect_ok(self.lifeboat.run("init"))

    def expect_ok(self, ended):
        if ended.code != 0:
            raise AssertionError(str(ended))
        return ended

    def wait_for_compaction(self):
        seen = []

        def stands_still():
            seen.append(len(rdkafka.consume(self.bootstrap, "compacted")))
            return seen[-1] < self.admin.end("compacted") - 100 and seen[-3:].count(seen[-1]) == 3

        until(stands_still, "the log cleaner")

    def archive(self):
        """All that the broker has now."""
        running = self.lifeboat.start("run")
        try:
            until(self.archived, "the archive")
            running.send_signal(signal.SIGTERM)
            running.wait(harness.PATIENCE)
        finally:
            harness.end(running)

    def archived(self):
        there = set()
        for log in self.lifeboat.run("logbook", "ls", "--json").json()["logs"]:
            kind, *rest = log["log"].split("/")
            if kind == "kafka":
                there.add((rest[2], int(rest[3]), log["next"]))
        wanted = [("mixed", 1)] + [(topic, 0) for topic in TOPICS]
        return all((*one, self.admin.end(*one)) in there for one in wanted)

    def seen(self, topic, partition=0, isolation="read_committed"):
        return rdkafka.consume(self.bootstrap, topic, partition, isolation)

    def close(self):
        self.stack.close()


TOPICS = ("mixed", "tx", "hanging", "java", "compacted", "stamped")


def setUpModule():
    global WORLD
    WORLD = World(harness.temporary_folder(Records))
    unittest.addModuleCleanup(WORLD.close)
    WORLD.start()


def as_json(data):
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def line_of(topic, partition, record):
    stamped = topic == "stamped"
    return {
        "topic": topic,
        "partition": partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "timestamp_type": "LogAppendTime" if stamped else "CreateTime",
        "key": as_json(record.key),
        "value": as_json(record.value),
        "headers": [{"key": key, "value": as_json(value)} for key, value in record.headers],
    }


class Records(unittest.TestCase):
    maxDiff = 4000

    def cat(self, *words, code=0):
        ended = WORLD.lifeboat.run("logbook", "cat", *words)
        self.assertEqual(ended.code, code, str(ended)[-3000:])
        return ended

    def lines(self, *words):
        return [json.loads(line) for line in self.cat(*words).out.splitlines()]

    def test_1_every_record_is_as_a_consumer_saw_it(self):
        WORLD.archive()
        for topic, partition in [("mixed", 1)] + [(topic, 0) for topic in TOPICS]:
            for isolation in ("read_committed", "read_uncommitted"):
                with self.subTest(topic=topic, partition=partition, isolation=isolation):
                    seen = WORLD.seen(topic, partition, isolation)
                    if topic == "hanging" and isolation == "read_committed":
                        seen = self.behind_the_hanging(seen)
                    lines = self.lines(f"{topic}/{partition}", "--isolation", isolation)
                    self.assertEqual(lines, [line_of(topic, partition, one) for one in seen])
                    self.assertTrue(seen)
        both = self.lines("mixed")
        self.assertEqual(both, self.lines("mixed/0") + self.lines("mixed/1"))
        self.assertIn("1 transactions have no end", self.cat("hanging").err)

    def behind_the_hanging(self, seen):
        """A consumer stands before the open transaction; the archive also has what is behind it."""
        self.assertEqual([one.value for one in seen], [b"before"])
        everything = WORLD.seen("hanging", 0, "read_uncommitted")
        return [one for one in everything if one.value != b"in it"]

    def test_2_ranges_by_offset_and_by_time(self):
        seen = WORLD.seen("mixed")
        line = [line_of("mixed", 0, one) for one in seen]
        for begin, end in ((0, 1), (3, 3), (17, 58), (100, len(seen)), (54, 56)):
            self.assertEqual(self.lines("mixed/0", "--from", begin, "--to", end), line[begin:end])
        for time in (TIME, TIME + 5, TIME + 1_000_000, TIME + 2_000_030, TIME + 9 * YEAR):
            at = next((i for i, one in enumerate(seen) if one.timestamp >= time), len(seen))
            text = iso(time)
            self.assertEqual(self.lines("mixed/0", "--from", text), line[at:], text)
            self.assertEqual(self.lines("mixed/0", "--to", text), line[:at], text)
        self.assertEqual(len(self.lines("stamped/0", "--from", "-2h")), len(WORLD.seen("stamped")))
        self.assertEqual(self.lines("mixed/0", "--from", "-2h"), [])
        self.assertEqual(len(self.lines("mixed/0", "--from", "-36500d")), len(seen))

    def test_3_values_and_a_reader_that_goes(self):
        values = [one.value.decode() for one in WORLD.seen("java")]
        self.assertEqual(self.cat("java", "--format", "values").out.splitlines(), values)
        joined = self.cat("java", "--format", "values", "--delimiter", r"\x7c\t").out
        self.assertEqual(joined, "".join(value + "|\t" for value in values))
        self.assertIn("values are null", self.cat("compacted", "--format", "values").err)
        words = WORLD.lifeboat.words(["logbook", "cat", "mixed", "--isolation", "read_uncommitted"])
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        self.assertEqual((process.wait(harness.PATIENCE), process.stderr.read()), (141, b""))
        process.stderr.close()

    def test_4_raw_batches_are_a_segment_to_kafka(self):
        folder = harness.temporary_folder(self)
        self.cat("tx/0", "--format", "batches", "-o", folder)
        (segment,) = folder.iterdir()
        self.assertEqual(segment.name, "0" * 20 + ".log")
        own = pathlib.Path(WORLD.stack.info()["kafka"]["data"]) / "tx-0" / segment.name
        self.assertEqual(segment.read_bytes(), own.read_bytes())
        told = java("kafka.tools.DumpLogSegments", "--deep-iteration", "--files", str(segment))
        records = [line for line in told.splitlines() if line.startswith("|")]
        control = sum("endTxnMarker" in line for line in records)
        self.assertEqual(len(records) - control, len(WORLD.seen("tx", 0, "read_uncommitted")))
        self.assertEqual(control, 4)
        raw = subprocess.run(
            WORLD.lifeboat.words(["logbook", "cat", "tx/0", "--format", "batches", "--from", "4"]),
            capture_output=True,
        ).stdout
        self.assertTrue(own.read_bytes().endswith(raw) and raw)
        again = self.cat("tx/0", "--format", "batches", "-o", segment, code=harness.FAILED)
        self.assertIn("File exists", again.err)

    def test_5_what_is_not_there_is_told(self):
        end = WORLD.admin.end("java")
        self.assertIn(
            f"java/0 lacks [{end}, {end + 5}): lies behind what is archived",
            self.cat("java", "--from", end - 1, "--to", end + 5, code=harness.FAILED).err,
        )
        self.cat("java", "--from", end - 1, "--to", end + 5, "--skip-gaps")
        for words, code, told in (
            (["nothing"], harness.FAILED, "is not in the logbook"),
            (["java/7"], harness.FAILED, "partitions there are 0 to 0"),
            (["java/x"], harness.USAGE, "TOPIC/PARTITION"),
            (["java", "--from", "noon"], harness.USAGE, "neither an offset nor a time"),
            (["java", "--topic-id", "x"], harness.FAILED, "has no topic id x"),
            (["java", "--format", "batches"], harness.USAGE, "one partition"),
            (["java", "-o", "x"], harness.USAGE, "--format batches"),
            (["java", "--format", "values", "--delimiter", r"\q"], harness.USAGE, "escape"),
        ):
            ended = self.cat(*words, code=code)
            self.assertIn(told, ended.err)
            self.assertIn("  next: ", ended.err)
            self.assertEqual(ended.out, "")

    def test_6_gaps_and_topics_made_anew(self):
        with rdkafka.Producer(WORLD.bootstrap) as producer:
            for i in range(9):
                producer.send("java", 0, b"late", b"%d" % i)
                producer.flush()
        end = WORLD.admin.end("java")
        WORLD.admin.delete_records("java", 0, end - 4)
        old_id = next(
            log["log"].split("/")[2]
            for log in WORLD.lifeboat.run("logbook", "ls", "--json").json()["logs"]
            if log["log"].endswith("/tx/0")
        )
        WORLD.admin.delete_topic("tx")
        WORLD.admin.create_topic("tx")
        with rdkafka.Producer(WORLD.bootstrap) as producer:
            producer.send("tx", 0, b"new", b"life")
            producer.flush()
        WORLD.archive()
        ended = self.cat("java", code=harness.FAILED)
        self.assertIn(f"java/0 lacks [{end - 9}, {end - 4}): ", ended.err)
        offsets = [json.loads(line)["offset"] for line in ended.out.splitlines()]
        self.assertEqual(offsets, [*range(end - 9), *range(end - 4, end)])
        self.assertEqual(self.cat("java", "--skip-gaps").out, ended.out)
        again = self.cat("tx")
        self.assertEqual([json.loads(one)["key"] for one in again.out.splitlines()], ["new"])
        self.assertIn("tx was made 2 times", again.err)
        self.assertIn(f"--topic-id {old_id}", again.err)
        self.assertEqual(self.lines("tx", "--topic-id", old_id)[0]["key"], "t0")

    def test_7_a_lost_kafka_comes_back_record_by_record(self):
        """Holes of compaction are closed, log append times stay, cursors point at the same record."""
        before = {one: WORLD.seen(*one) for one in RESTORED}
        before["hanging", 0] = self.behind_the_hanging(before["hanging", 0])
        kept = [one.offset for one in before["compacted", 0]]
        self.assertLess(len(kept), kept[-1] - kept[0], "no holes: nothing is tested")
        holes = sorted(set(range(kept[0], kept[-1])) - set(kept))
        groups = {f"g{i}": {("compacted", 0): at} for i, at in enumerate((holes[0], holes[-1]))}
        groups["g2"] = {("compacted", 0): kept[5], ("stamped", 0): 3}
        for group, offsets in groups.items():
            rdkafka.commit_offsets(WORLD.bootstrap, group, offsets)
        WORLD.expect_ok(WORLD.lifeboat.run("backup"))
        WORLD.stack.kill("kafka")
        WORLD.stack.wipe("kafka")
        WORLD.stack.start("kafka")
        WORLD.expect_ok(WORLD.lifeboat.run("restore", "kafka", "--yes"))
        for one, records in before.items():
            after = WORLD.seen(*one)
            self.assertEqual([x[1:] for x in after], [x[1:] for x in records], one)
            self.assertEqual([x.offset for x in after], list(range(len(records))), one)
        for group, offsets in groups.items():
            for one, offset in offsets.items():
                at = sum(x.offset < offset for x in before[one])
                now = rdkafka.committed_offsets(WORLD.bootstrap, group, [one])
                self.assertEqual(now, {one: at}, group)


RESTORED = [("mixed", 0), ("mixed", 1), ("tx", 0), ("hanging", 0), ("compacted", 0), ("stamped", 0)]


def iso(milliseconds):
    at = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


if __name__ == "__main__":
    unittest.main()

"""Restore of Kafka out of the logbook, beside Kafka's own ProducerPerformance: on one broker, of the
same events, with the same batches (the logbook's are those that ProducerPerformance wrote)."""

import json
import os
import pathlib
import shutil
import statistics
import sys

from measure import row, timed

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "stack"))
import servers  # noqa: E402
from stack import Stack  # noqa: E402

PARTITIONS = 4
PEER = "ProducerPerformance of Kafka 3.9.1"
# A producer made for throughput: it does better with these than with its defaults.
PEER_SETTINGS = ("acks=all", "linger.ms=20", "batch.size=262144", "buffer.memory=67108864")


class Produce:
    """One broker with one compression. Topics: `source`, and one for each round of each side."""

    def __init__(self, build, work, mebibytes, codec):
        self.restore_program = build / "bin" / "lifeboat_bench_restore"
        self.archive_program = build / "bin" / "lifeboat_bench_logbook"
        self.work = work
        self.codec = codec
        self.payload = work / "events"
        told = json.loads(timed([self.restore_program, "payload", self.payload, 20000]).out)
        self.records = int((mebibytes << 20) / (told["bytes"] / told["events"]))
        self.bytes = self.records * told["bytes"] / told["events"]

    def run(self, rounds):
        with Stack(self.work / f"stack-{self.codec}", servers=["kafka"]) as stack:
            stack.start_all()
            self.bootstrap = stack.info()["kafka"]["bootstrap"]
            self.peer("source")  # warms the broker up as well
            vault = self.work / f"vault-{self.codec}"
            timed([self.archive_program, "archive", self.bootstrap, "source", vault])
            ours, peers = [], []
            for number in range(rounds):
                print(f"bench: restore, {self.codec}, round {number + 1}", file=sys.stderr)
                sides = [lambda: ours.append(self.ours(vault, f"ours-{number}")),
                         lambda: peers.append(self.peer(f"peer-{number}"))]
                for side in sides if number % 2 == 0 else reversed(sides):
                    os.sync()
                    side()
            return ours, peers

    def seed(self, rounds):
        """The archived topic as partition folders, beside cp of these folders; both made durable."""
        ours, peers = [], []
        for number in range(rounds):
            first, second = self.work / f"seed-{number}", self.work / f"cp-{number}"
            os.sync()
            told = json.loads(timed([self.restore_program, "seed", self.work / f"vault-{self.codec}",
                                     "source", first]).out)
            ours.append(told["bytes"] / 1e6 / told["seconds"])
            os.sync()
            peers.append(told["bytes"] / 1e6 / timed(
                ["sh", "-c", f"cp -r {first} {second} && sync {second}/*/*"]).seconds)
            for place in (first, second):
                shutil.rmtree(place)
        return ours, peers

    def create(self, topic):
        timed([self.restore_program, "create", self.bootstrap, topic, PARTITIONS])

    def ours(self, vault, topic):
        self.create(topic)
        run = timed([self.restore_program, "produce", self.bootstrap, vault, "source", topic])
        told = json.loads(run.out)
        if told["records"] != self.records:
            sys.exit(f"bench: {told['records']} of {self.records} records came back")
        return run._replace(seconds=told["seconds"])

    def peer(self, topic):
        """Its own measure of the time, which leaves the start of the JVM out."""
        self.create(topic)
        run = timed(
            ["java", "-Xmx512m", "-cp", f"{servers.KAFKA_JARS}/*",
             "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
             "org.apache.kafka.tools.ProducerPerformance", "--topic", topic,
             "--num-records", self.records, "--throughput", -1, "--payload-file", self.payload,
             "--producer-props", f"bootstrap.servers={self.bootstrap}",
             f"compression.type={self.codec}", *PEER_SETTINGS])  # fmt: skip
        rate = float(run.out.strip().splitlines()[-1].split(" records sent, ")[1].split()[0])
        return run._replace(seconds=self.records / rate)


def codec_rows(bench, codec, rounds):
    def rate(runs):
        return bench.bytes / 1e6 / statistics.median(run.seconds for run in runs)

    def user(runs):
        return statistics.median(run.user for run in runs)

    ours, peers = bench.run(rounds)
    name = f"logbook-restore-produce-{codec}"
    yield row(name, "MB/s", rate(ours), rate(peers), PEER, at_least=0.9)
    yield row(f"{name}-user", "user s", user(ours), user(peers), PEER, at_most=0.2)
    yield row(f"{name}-memory", "MiB", max(run.mebibytes for run in ours), None, None, at_most=192)
    ours, peers = bench.seed(rounds)
    yield row(f"logbook-seed-{codec}", "MB/s", statistics.median(ours), statistics.median(peers),
              "cp and sync", at_least=0.5)


def rows(build, work, mebibytes, rounds):
    found = []
    for codec in ("lz4", "none"):
        found += codec_rows(Produce(build, work, mebibytes, codec), codec, rounds)
    return found

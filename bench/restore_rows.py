"""Restore of Kafka out of the logbook, beside Kafka's own ProducerPerformance: on one broker, of the
same events, with the same batches (the logbook's are those that ProducerPerformance wrote)."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "stack"))

import servers  # noqa: E402
from stack import Stack  # noqa: E402

PARTITIONS = 4
PEER = "ProducerPerformance of Kafka 3.9.1"
# A producer made for throughput: it does better with these than with its defaults.
PEER_SETTINGS = ("acks=all", "linger.ms=20", "batch.size=262144", "buffer.memory=67108864")


class Run(NamedTuple):
    seconds: float
    user: float
    out: str


def timed(command):
    with tempfile.TemporaryFile("w+") as out:
        begun = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - begun
        if process.returncode != 0:
            sys.exit(f"bench: {' '.join(map(str, command))} failed: {process.returncode}")
        out.seek(0)
        return Run(seconds, usage.ru_utime, out.read())


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
        with Stack(self.work / f"stack-{self.codec}", servers=("zookeeper", "kafka")) as stack:
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

    def create(self, topic):
        timed([self.restore_program, "create", self.bootstrap, topic, PARTITIONS])

    def ours(self, vault, topic):
        self.create(topic)
        run = timed([self.restore_program, "produce", self.bootstrap, vault, "source", topic])
        told = json.loads(run.out)
        if told["records"] != self.records:
            sys.exit(f"bench: {told['records']} of {self.records} records came back")
        return run._replace(seconds=told["seconds"]), told["peak_mib"]

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


def produce_rows(build, work, mebibytes, rounds, row):
    """`row(name, unit, ours, peer, peer_name, bar)`: bar is ("least" or "most", ratio)."""
    rows = []
    for codec in ("lz4", "none"):
        bench = Produce(build, work, mebibytes, codec)
        ours, peers = bench.run(rounds)
        rows.append(row(f"logbook-restore-produce-{codec}", "MB/s",
                        bench.bytes / 1e6 / statistics.median(run.seconds for run, _ in ours),
                        bench.bytes / 1e6 / statistics.median(run.seconds for run in peers),
                        PEER, ("least", 0.9)))
        rows.append(row(f"logbook-restore-produce-{codec}-cpu", "user s",
                        statistics.median(run.user for run, _ in ours),
                        statistics.median(run.user for run in peers), PEER, ("most", 0.2)))
        rows.append(row(f"logbook-restore-produce-{codec}-peak", "MiB",
                        max(peak for _, peak in ours), None, None, ("most", 192)))
    return rows


def main():
    def row(name, unit, ours, peer, peer_name, bar):
        return {"name": name, "unit": unit, "ours": round(ours, 3),
                "peer": round(peer, 3) if peer else None,
                "ratio": round(ours / peer, 3) if peer else None, "bar": bar}

    build = pathlib.Path(os.environ.get("LIFEBOAT_BUILD") or ROOT / "build").resolve()
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else 2048
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with tempfile.TemporaryDirectory(prefix="lifeboat-bench-") as work:
        for each in produce_rows(build, pathlib.Path(work), mebibytes, rounds, row):
            print(json.dumps(each), flush=True)


if __name__ == "__main__":
    main()

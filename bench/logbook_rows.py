"""Rows `logbook-*`: Kafka into the logbook, beside kcat and kafka-backup.

The topics hold the drills' events, 4 partitions, as one producer wrote them, with lz4 and without
compression; one broker. All contenders read the same topics in turns.
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

from measure import row, timed

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "stack"))
from stack import Stack  # noqa: E402

CODECS = ("lz4", "none")
MANY = 1000  # partitions of the row of small objects
MANY_SECONDS = 60


def topic_of(codec):
    return f"events_{codec}"


class Broker:
    """One broker with the topics, in a stack of its own."""

    def __init__(self, build, folder):
        self.build = build
        self.stack = Stack(folder, ["kafka"])
        self.records = {}
        self.bytes = {}

    def __enter__(self):
        self.stack.__enter__()
        self.stack.start_all()
        return self

    def __exit__(self, *what):
        return self.stack.__exit__(*what)

    @property
    def bootstrap(self):
        return self.stack.info()["kafka"]["bootstrap"]

    def fill(self, mebibytes):
        for codec in CODECS:
            print(f"bench: logbook, writing {mebibytes} MiB of events, {codec}", file=sys.stderr)
            run = timed([self.build / "bin" / "lifeboat_bench_logbook", "fill", self.bootstrap,
                         topic_of(codec), mebibytes, codec])
            said = json.loads(run.out)
            self.records[codec], self.bytes[codec] = said["records"], said["bytes"]
        os.sync()


class Lifeboat:
    name = "lifeboat"

    def __init__(self, broker):
        self.broker = broker

    def archive(self, codec, place):
        run = timed([self.broker.build / "bin" / "lifeboat_bench_logbook", "archive",
                     self.broker.bootstrap, topic_of(codec), place / "vault"])
        if json.loads(run.out)["records"] != self.broker.records[codec]:
            sys.exit(f"bench: the logbook has {run.out.strip()}, the topic "
                     f"{self.broker.records[codec]} records")
        return run


class Kcat:
    def __init__(self, broker):
        self.broker = broker
        said = subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=True).stdout
        self.name = "kcat " + said.split("Version ")[1].split()[0]

    def archive(self, codec, _place):
        with open(os.devnull, "wb") as nowhere:
            return timed(["kcat", "-C", "-q", "-e", "-b", self.broker.bootstrap, "-o", "beginning",
                          "-t", topic_of(codec)], stdout=nowhere)


class KafkaBackup:
    """The crate kafka-backup-core, by the program in bench/peers/kafka-backup; lz4 segments."""

    name = "kafka-backup-core 0.25.2"

    def __init__(self, broker, program):
        self.broker = broker
        self.program = program

    def archive(self, codec, place):
        config = place / "backup.yaml"
        config.write_text(json.dumps({
            "mode": "backup", "backup_id": "bench",
            "source": {"bootstrap_servers": [self.broker.bootstrap],
                       "topics": {"include": [topic_of(codec)]}},
            "storage": {"backend": "filesystem", "path": str(place / "kafka-backup")},
            "backup": {"compression": "lz4", "include_offset_headers": False},
            "metrics": {"enabled": False},
            "offset_storage": {"backend": "memory", "db_path": str(place / "offsets.db")}}))
        run = timed([self.program, config], cwd=place)
        segments = [p for p in (place / "kafka-backup").rglob("*") if p.is_file()]
        if not any(p.stat().st_size for p in segments):
            sys.exit("bench: kafka-backup wrote nothing")
        return run


def kafka_backup_program():
    """Built once, into the cache of all clones; None where cargo is missing."""
    cache = pathlib.Path(os.environ.get("LIFEBOAT_CACHE") or pathlib.Path(
        os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "lifeboat")
    target = cache / "kafka-backup-core-0.25.2"
    program = target / "release" / "kafka-backup-peer"
    cargo = shutil.which("cargo")
    if not program.exists() and cargo:
        print("bench: building kafka-backup-core 0.25.2 (about 15 minutes, once)", file=sys.stderr)
        subprocess.run([cargo, "build", "--release", "--locked", "--quiet", "--target-dir", target,
                        "--manifest-path", ROOT / "bench/peers/kafka-backup/Cargo.toml"])
    return program if program.exists() else None


def archive_rows(broker, work, rounds):
    contenders = [Lifeboat(broker), Kcat(broker)]
    program = kafka_backup_program()
    if program:
        contenders.append(KafkaBackup(broker, program))
    found = []
    for codec in CODECS:
        runs = {contender.name: [] for contender in contenders}
        for number in range(rounds):
            print(f"bench: archive of {codec}, round {number + 1} of {rounds}", file=sys.stderr)
            for contender in contenders if number % 2 == 0 else reversed(contenders):
                place = work / "archive"
                place.mkdir()
                os.sync()
                runs[contender.name].append(contender.archive(codec, place))
                shutil.rmtree(place)
        found += codec_rows(codec, broker.records[codec], contenders, runs)
    return found


def codec_rows(codec, records, contenders, runs):
    def median(contender, value):
        return statistics.median(value(run) for run in runs[contender.name])

    ours, kcat = contenders[:2]

    def against(peer, suffix, unit, value, **bar):
        return row(f"logbook-archive-{codec}{suffix}", unit, median(ours, value),
                   median(peer, value), peer.name, **bar)

    def speed(run):
        return records / run.seconds / 1e6

    found = [against(kcat, "", "M records/s", speed, at_least=3)]
    if len(contenders) > 2:
        found.append(against(contenders[2], "-peer", "M records/s", speed, at_least=6))
    else:
        found.append(row(f"logbook-archive-{codec}-peer", "M records/s", median(ours, speed), None,
                         KafkaBackup.name, at_least=6))
    return found + [
        against(kcat, "-user", "user s", lambda run: run.user, at_most=0.1),
        against(kcat, "-cpu", "CPU s", lambda run: run.cpu, at_most=1 / 3),
        row(f"logbook-archive-{codec}-memory", "MiB", median(ours, lambda run: run.mebibytes), None,
            None, at_most=192)]


def many_rows(broker, work):
    """What a flush each 5 s costs with many quiet partitions."""
    place = work / "many"
    place.mkdir()
    program = broker.build / "bin" / "lifeboat_bench_logbook"
    print(f"bench: {MANY} partitions, {MANY_SECONDS} s", file=sys.stderr)
    load = subprocess.Popen([program, "trickle", broker.bootstrap, "many", str(MANY), "1",
                             str(MANY_SECONDS + 10)], stdout=subprocess.PIPE, text=True)
    run = timed([program, "follow", broker.bootstrap, "many", place / "vault", MANY_SECONDS])
    sent, _ = load.communicate()
    if load.returncode != 0:
        sys.exit("bench: the load of many partitions failed")
    said = json.loads(run.out)
    hours = MANY_SECONDS / 3600
    shutil.rmtree(place)
    raw = json.loads(sent)["bytes"] * MANY_SECONDS / (MANY_SECONDS + 10)
    return [
        row(f"logbook-{MANY}-partitions-objects", "objects/hour", said["objects"] / hours, None,
            None, at_most=3600 / 5 * 1.1),
        row(f"logbook-{MANY}-partitions-bytes", "GB/hour", said["stored"] / hours / 1e9,
            raw / hours / 1e9, "what was produced, uncompressed", at_most=1),
        row(f"logbook-{MANY}-partitions-cpu", "CPU s/s", run.cpu / run.seconds, None, None),
        row(f"logbook-{MANY}-partitions-memory", "MiB", run.mebibytes, None, None, at_most=192)]


def rows(build, work, mebibytes, rounds):
    with Broker(build, work / "stack") as broker:
        broker.fill(mebibytes)
        return archive_rows(broker, work, rounds) + many_rows(broker, work)

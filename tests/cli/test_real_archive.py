#!/usr/bin/env python3
"""Archiving under faults, on three real brokers: several archivers share the topics while they and
the brokers are killed and stopped, leaders move, records are deleted before they are archived,
transactions abort and hang, and a topic is compacted. Afterwards what the logbook gives is compared
record by record with an independent consumer's copy: 0 lost, 0 changed, 0 twice, and gaps only where
records were deleted.

$LIFEBOAT_ARCHIVE_RUNS says how many runs (4; 30 and more before a release); $LIFEBOAT_SEED repeats
them; a failure names its own.
"""

import base64
import concurrent.futures
import json
import os
import random
import signal
import threading
import time
import unittest

import harness
import rdkafka
from harness import Lifeboat, Stack, until

AT_ONCE = 3
RUNS = int(os.environ.get("LIFEBOAT_ARCHIVE_RUNS") or 4)
PLAIN_PARTITIONS = 3
ACTIONS = 4  # a run


def bytes_of(json_value):
    """A key or value as `logbook cat` prints it: text, null, or {"base64": …}."""
    if json_value is None:
        return None
    if isinstance(json_value, dict):
        return base64.b64decode(json_value["base64"])
    return json_value.encode()


def number_of(record):
    """The place of a record among those of its producer; values are `<who> <number> <padding>`."""
    who, number, _ = record.value.split(b" ", 2)
    return who.decode(), int(number)


class Writer(threading.Thread):
    """Writes to one partition until told to stop; numbers its records, each once."""

    def __init__(self, run, topic, partition, transactional=False, keys=0):
        super().__init__(name=f"{topic}/{partition}")
        self.topic, self.partition, self.keys = topic, partition, keys
        self.random = random.Random(run.random.random())
        self.transactional = transactional
        self.bootstrap = run.bootstrap
        self.enough = threading.Event()
        self.sent = 0
        self.acknowledged = set()
        self.aborted = set()
        self.failure = None

    def run(self):
        try:
            if self.transactional:
                self.write_transactions()
            else:
                self.write()
        except Exception as error:  # told by finish()
            self.failure = error

    def delivered(self, error, value):
        """A record whose fate is unknown may be there or not; an acknowledged one must be."""
        if error == 0:
            self.acknowledged.add(int(value.split(b" ", 2)[1]))
        else:
            print(f"  {self.name}: not acknowledged: {rdkafka.LIB.rd_kafka_err2str(error)}")

    def settings(self):
        return {"delivered": self.delivered, "enable_idempotence": "true",
                "batch_size": 8000,  # below the segments' size
                "linger_ms": self.random.choice((0, 5, 50)),
                "compression_codec": self.random.choice(("none", "lz4", "zstd", "gzip", "snappy"))}

    def send(self, producer):
        key = b"k%d" % (self.sent % self.keys) if self.keys else None
        padding = bytes(self.random.randrange(256) for _ in range(self.random.randrange(64)))
        headers = (("h", padding[:5]), ("n", None)) if self.sent % 7 == 0 else ()
        value = b"%s %d %s" % (self.name.encode(), self.sent, padding)
        producer.send(self.topic, self.partition, key, value, headers)
        self.sent += 1

    def write(self):
        with rdkafka.Producer(self.bootstrap, **self.settings()) as producer:
            while not (self.enough.is_set() and self.acknowledged):
                for _ in range(self.random.randrange(1, 60)):
                    self.send(producer)
                self.enough.wait(self.random.random() / 10)
            producer.flush()

    def write_transactions(self):
        with rdkafka.transactional(self.bootstrap, f"t-{self.name}",
                                   delivered=self.delivered) as producer:
            while not (self.enough.is_set() and self.acknowledged):
                producer.begin()
                first = self.sent
                for _ in range(self.random.randrange(1, 40)):
                    self.send(producer)
                producer.flush()
                if self.random.random() < 0.4:
                    producer.abort()
                    self.aborted.update(range(first, self.sent))
                else:
                    producer.commit()
                self.enough.wait(self.random.random() / 10)
        # A commit is told before its markers lie in the log; who comes next under the same name has
        # to wait for them.
        with rdkafka.transactional(self.bootstrap, f"t-{self.name}"):
            pass

    def finish(self):
        self.enough.set()
        self.join(harness.PATIENCE)
        if self.failure or self.is_alive():
            raise AssertionError(f"the load on {self.name} failed: {self.failure or 'no end'}")


class Run:
    """One seed: topics, a vault and archivers of its own."""

    def __init__(self, test, seed):
        self.test, self.seed = test, seed
        self.random = random.Random(seed)
        self.stack = test.stack
        self.bootstrap = ",".join(
            server["bootstrap"] for name, server in self.stack.info().items()
            if name.startswith("kafka"))
        self.folder = test.folder / f"run-{seed}"
        self.folder.mkdir()
        self.plain, self.transactions, self.compacted, self.short = (
            f"{kind}-{seed}" for kind in ("plain", "transactions", "compacted", "short"))
        self.partitions = [(self.plain, p) for p in range(PLAIN_PARTITIONS)]
        self.partitions += [(self.transactions, 0), (self.compacted, 0), (self.short, 0)]
        self.archivers = {}
        self.stopped = []  # (when to go on, process id)
        self.troubles = []

    # --- before ---

    def create_topics(self):
        with rdkafka.Admin(self.bootstrap) as admin:
            copies = {"replication": 3, "min_insync_replicas": 2}
            admin.create_topic(self.plain, PLAIN_PARTITIONS, **copies)
            admin.create_topic(self.transactions, **copies)
            admin.create_topic(self.compacted, **copies, cleanup_policy="compact",
                               segment_bytes=30_000, min_cleanable_dirty_ratio=0.01)
            admin.create_topic(self.short, **copies, segment_bytes=30_000)

    def start_archiver(self, number):
        folder = self.folder / f"archiver-{number}"
        folder.mkdir(exist_ok=True)
        lifeboat = Lifeboat(folder)
        lifeboat.config.write_text(
            f"vault: {self.folder}/vault\n"
            "flush_interval: 300ms\n"
            "point_every: 1d\n"
            "kafka:\n"
            f"  bootstrap: [{', '.join(json.dumps(b) for b in self.bootstrap.split(','))}]\n"
            f"  include: ['*-{self.seed}']\n"
            f"  archiver_group: archivers-{self.seed}\n")
        if not self.archivers:
            initialised = lifeboat.run("init")
            self.test.assertEqual(initialised.code, 0, initialised)
        process = lifeboat.start("run")
        self.test.addCleanup(harness.end, process)
        self.archivers[number] = process
        self.lifeboat = lifeboat

    # --- what happens meanwhile ---

    def act(self):
        what = self.random.choice((self.kill_archiver, self.stop_archiver, self.kill_archiver,
                                   self.kill_broker, self.stop_broker, self.delete_records,
                                   self.delete_records, self.delete_while_nobody_archives))
        print(f"  seed {self.seed}: {what.__name__}", flush=True)
        what()

    def kill_archiver(self):
        number = self.random.choice(sorted(self.archivers))
        harness.kill(self.archivers[number])
        self.pause(0.5)
        self.start_archiver(number)

    def stop(self, pid, seconds):
        os.kill(pid, signal.SIGSTOP)
        self.stopped.append((time.monotonic() + seconds, pid))

    def stop_archiver(self):
        number = self.random.choice(sorted(self.archivers))
        self.stop(self.archivers[number].pid, self.random.choice((1, 3, 12)))

    def kill_broker(self):
        name = self.random.choice(self.test.brokers)
        self.trouble_a_broker(lambda: (self.stack.kill(name), self.stack.start(name)))

    def stop_broker(self):
        pid = self.stack.servers[self.random.choice(self.test.brokers)].pid
        seconds = self.random.choice((1, 2, 8))

        def stop_for_a_while():
            os.kill(pid, signal.SIGSTOP)
            try:
                time.sleep(seconds)
            finally:
                os.kill(pid, signal.SIGCONT)

        self.trouble_a_broker(stop_for_a_while)

    def trouble_a_broker(self, trouble):
        """One at a time, whichever run it is: of three copies two are enough."""
        if not self.test.one_broker.acquire(blocking=False):
            return

        def work():
            try:
                trouble()
            finally:
                self.test.one_broker.release()

        self.troubles.append(threading.Thread(target=work))
        self.troubles[-1].start()

    def delete_records(self):
        """As retention would: may overtake the archivers, or may not."""
        if self.test.one_broker.locked():
            return  # the call may have to wait for its leader
        with rdkafka.Admin(self.bootstrap) as admin:
            start, end = admin.watermarks(self.short)
            if end == start:
                return
            try:
                admin.delete_records(self.short, 0, self.random.randrange(start, end) + 1)
            except RuntimeError as error:  # another run's trouble with its leader
                print(f"  seed {self.seed}: nothing deleted: {error}", flush=True)

    def delete_while_nobody_archives(self):
        for process in self.archivers.values():
            harness.kill(process)
        self.pause(0.3)
        self.delete_records()
        for number in list(self.archivers):
            self.start_archiver(number)

    def go_on(self, all_of_them=False):
        for when, pid in list(self.stopped):
            if all_of_them or time.monotonic() >= when:
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass
                self.stopped.remove((when, pid))

    def pause(self, most):
        until_when = time.monotonic() + self.random.random() * most
        while time.monotonic() < until_when:
            self.go_on()
            time.sleep(0.02)

    # --- the whole story ---

    def play(self):
        self.create_topics()
        for number in range(self.random.choice((1, 2, 3))):
            self.start_archiver(number)
        writers = [Writer(self, self.plain, p) for p in range(PLAIN_PARTITIONS)]
        writers += [Writer(self, self.transactions, 0, transactional=True),
                    Writer(self, self.compacted, 0, keys=10), Writer(self, self.short, 0)]
        for writer in writers:
            writer.start()
        hanging = self.hang() if self.random.random() < 0.5 else None
        try:
            for _ in range(ACTIONS):
                self.pause(2.0)
                self.act()
            self.pause(1.0)
        finally:
            self.go_on(all_of_them=True)
            for trouble in self.troubles:
                trouble.join()
            for writer in writers:
                writer.enough.set()
        for writer in writers:
            writer.finish()
        self.wait_until_archived()
        written = {(w.topic, w.partition): w for w in writers}
        for topic, partition in self.partitions:
            self.compare(topic, partition, written[topic, partition])
        if hanging:
            hanging.__exit__()

    def hang(self):
        """A transaction that nobody ends, nor the broker: it holds the last stable offset back."""
        producer = rdkafka.transactional(self.bootstrap, f"hanging-{self.seed}",
                                         transaction_timeout_ms=800_000)
        producer.begin()
        for i in range(3):
            producer.send(self.transactions, 0, None, b"hanging %d -" % i)
        producer.flush()
        return producer

    def logs(self):
        listed = self.lifeboat.run("logbook", "ls", "--json").json()["logs"]
        found = {}
        for log in listed:
            words = log["log"].split("/")
            if words[0] == "kafka":
                found[words[3], int(words[4])] = log
        return found

    def wait_until_archived(self):
        with rdkafka.Admin(self.bootstrap) as admin:
            ends = {tp: admin.watermarks(*tp)[1] for tp in self.partitions}

        def missing():
            logs = self.logs()
            return [tp for tp in self.partitions
                    if tp not in logs or logs[tp]["next"] < ends[tp]]

        def archived():
            for number, process in self.archivers.items():
                if process.poll() is None:
                    continue
                said = process.log.read_text(errors="replace")[-2000:]
                self.test.fail(f"seed {self.seed}: archiver {number} ended: "
                               f"{process.returncode}: {said}")
            return not missing()

        try:
            until(archived, f"seed {self.seed}: all is archived up to {ends}")
        except AssertionError as error:
            raise AssertionError(f"{error}; missing: {missing()}\n{self.what_archivers_said()}") from error
        for process in self.archivers.values():
            process.terminate()
        for process in self.archivers.values():
            process.wait(harness.PATIENCE)

    def what_archivers_said(self):
        return "\n".join(f"--- archiver {number}\n{process.log.read_text(errors='replace')[-6000:]}"
                         for number, process in self.archivers.items())

    # --- afterwards ---

    def cat(self, topic, partition, isolation):
        ended = self.lifeboat.run("logbook", "cat", f"{topic}/{partition}", "--format", "json",
                                  "--isolation", isolation, "--skip-gaps")
        self.test.assertEqual(ended.code, 0, ended.err)
        return [rdkafka.Record(r["offset"], r["timestamp"], bytes_of(r["key"]), bytes_of(r["value"]),
                               tuple((h["key"], bytes_of(h["value"])) for h in r["headers"]))
                for r in (json.loads(line) for line in ended.out.split("\n") if line)]

    def compare(self, topic, partition, writer):
        test = self.test
        log = self.logs()[topic, partition]
        with rdkafka.Admin(self.bootstrap) as admin:
            start, _ = admin.watermarks(topic, partition)
        gaps = [(gap["from"], gap["to"]) for gap in log["gaps"]]
        for isolation in ("read_uncommitted", "read_committed"):
            said = f"seed {self.seed}, {topic}/{partition}, {isolation}"
            ours = self.cat(topic, partition, isolation)
            theirs = rdkafka.consume(self.bootstrap, topic, partition, isolation)
            offsets = [record.offset for record in ours]
            test.assertEqual(offsets, sorted(set(offsets)), f"{said}: each offset once, in order")
            if isolation == "read_committed":
                ours = self.below_last_stable(ours, topic, partition)
            by_offset = {record.offset: record for record in ours}
            for record in theirs:
                if any(a <= record.offset < b for a, b in gaps):
                    continue
                test.assertIn(record.offset, by_offset, f"{said}: lost")
                test.assertEqual(by_offset[record.offset], record, f"{said}: changed")
            there = {record.offset for record in theirs}
            more = [r for r in ours if r.offset >= start and r.offset not in there]
            if topic != self.compacted:
                test.assertEqual(more, [], f"{said}: the consumer does not have these")
            self.check_numbers(said, topic, ours, writer, gaps, log["first"], isolation)
        # Only where records were deleted before they were archived, and only up to there.
        if topic == self.short:
            test.assertTrue(all(b <= start for _, b in gaps), f"seed {self.seed}: {gaps}, {start}")
        else:
            test.assertEqual(gaps, [], f"seed {self.seed}, {topic}/{partition}")

    def below_last_stable(self, records, topic, partition):
        if topic != self.transactions:
            return records
        hanging = [r.offset for r in rdkafka.consume(self.bootstrap, topic, partition,
                                                     "read_uncommitted")
                   if number_of(r)[0] == "hanging"]
        self.test.assertEqual([r for r in records if number_of(r)[0] == "hanging"], [])
        return [r for r in records if not hanging or r.offset < min(hanging)]

    def check_numbers(self, said, topic, ours, writer, gaps, first, isolation):
        """Also what the consumer no longer sees: every number once, none missing but in gaps (and
        where compaction came before the archiver)."""
        numbered = [(r.offset, number_of(r)[1]) for r in ours if number_of(r)[0] == writer.name]
        numbers = [number for _, number in numbered]
        self.test.assertEqual(numbers, sorted(set(numbers)), f"{said}: a record twice")
        if writer.transactional and isolation == "read_committed":
            self.test.assertFalse(set(numbers) & writer.aborted, f"{said}: aborted records")
            return  # what is lost shows in read_uncommitted and in the consumer's copy
        if writer.keys:
            return
        # Before `first` nobody archived yet.
        lost = [(0, first), *gaps] if topic == self.short else []
        known = {number for start, end in lost for number in range(start, end)}
        missing = sorted(writer.acknowledged - set(numbers) - known)
        self.test.assertTrue(writer.acknowledged, f"{said}: nothing was written")
        self.test.assertEqual(missing[:10], [], f"{said}: lost {len(missing)} beside {lost}")


class ArchiveUnderFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = harness.temporary_folder(cls)
        cls.seeds = harness.seeded("test_real_archive")
        cls.stack = Stack(cls.folder / "stack", ["kafka"], kafka="3.9", brokers=3)
        cls.addClassCleanup(cls.stack.close)
        cls.stack.start_all()
        cls.one_broker = threading.Lock()  # held by who stops or kills one
        cls.brokers = sorted(name for name in cls.stack.servers if name.startswith("kafka"))

    def test_seeded_runs(self):
        seeds = [self.seeds.randrange(1 << 32) for _ in range(RUNS)]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for ended in [pool.submit(self.play, seed) for seed in seeds]:
                ended.result()

    def play(self, seed):
        begun = time.monotonic()
        Run(self, seed).play()
        print(f"seed {seed}: {time.monotonic() - begun:.1f} s", flush=True)


if __name__ == "__main__":
    unittest.main()

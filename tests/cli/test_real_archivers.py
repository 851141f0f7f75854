#!/usr/bin/env python3
"""Several `lifeboat run` that share one Kafka's partitions as members of a consumer group, by TLS and
SCRAM, on three real brokers: whatever happens to them, each record is in the vault, once to the
reader, as an independent consumer saw it. Needs what stack/setup installs, and the build.
"""

import json
import signal
import subprocess
import threading
import unittest

import harness
from harness import Lifeboat, Stack, until
from servers import KAFKA_JARS

PARTITIONS = 12
TOPIC = "events"
GROUP = "lifeboat-archivers"
YAML = """vault: {vault}
point_every: never
flush_interval: 500ms
kafka:
  bootstrap: [{bootstrap}]
  tls:
    ca: {certificates}/ca.pem
  sasl:
    mechanism: SCRAM-SHA-512
    username: {user}
    password_file: {password_file}
  include: [{topic}]
"""
SHARED = YAML + f"  archiver_group: {GROUP}\n"


def topic_command(bootstrap, *arguments):
    done = subprocess.run(
        ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{KAFKA_JARS}/*",
         "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", bootstrap, *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=harness.PATIENCE)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)


class Load:
    """Records written all the time by kcat, into all partitions, until stop()."""

    def __init__(self, bootstrap):
        self.written = 0
        self._stop = threading.Event()
        self._process = subprocess.Popen(
            ["kcat", "-P", "-b", bootstrap, "-t", TOPIC, "-p", "-1", "-K", "\t", "-X",
             "linger.ms=5", "-X", "enable.idempotence=true", "-X", "message.timeout.ms=120000"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self):
        while not self._stop.wait(0.05):
            lines = [f"k{n}\tvalue-{n}-{'x' * (n % 90)}\n"
                     for n in range(self.written, self.written + 50)]
            self._process.stdin.write("".join(lines).encode())
            self._process.stdin.flush()
            self.written += len(lines)

    def stop(self):
        """Ends when all that was written is acknowledged; how many records it was."""
        self._stop.set()
        self._thread.join(harness.PATIENCE)
        self._process.stdin.close()
        if self._process.wait(harness.PATIENCE) != 0:
            raise AssertionError("kcat could not write everything")
        return self.written

    def kill(self):
        self._stop.set()
        self._process.kill()
        self._process.wait()


class SharedWork(unittest.TestCase):
    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        cls.folder = harness.temporary_folder(cls)
        cls.stack = Stack(cls.folder / "stack", ["kafka"], kafka="3.9", brokers=3,
                          secure_kafka=True)
        cls.addClassCleanup(cls.stack.close)
        cls.stack.start_all()
        cls.info = cls.stack.info()
        cls.plain = cls.info["kafka"]["bootstrap"]
        # One broker coordinates all groups, so that it can be taken away alone.
        topic_command(cls.plain, "--create", "--topic", "__consumer_offsets",
                      "--replica-assignment", "2,2,2,2", "--config", "cleanup.policy=compact")
        topic_command(cls.plain, "--create", "--topic", TOPIC, "--partitions", str(PARTITIONS),
                      "--replication-factor", "3", "--config", "min.insync.replicas=1")

    def archiver(self, name, yaml=SHARED, vault="vault", topic=TOPIC):
        """An archiver with a lifeboat.yaml and a state folder of its own."""
        folder = self.folder / name
        folder.mkdir()
        kafka = self.info["kafka"]
        (folder / "password").write_text(kafka["password"] + "\n")
        lifeboat = Lifeboat(folder)
        lifeboat.config.write_text(yaml.format(
            vault=self.folder / vault, topic=topic, user=kafka["user"],
            bootstrap=f"127.0.0.1:{kafka['ports']['SASL_SSL']}",
            certificates=kafka["certificates"], password_file=folder / "password"))
        return lifeboat

    def start(self, lifeboat):
        process = lifeboat.start("run")
        self.addCleanup(self.end_at_once, process)
        return process

    @staticmethod
    def end_at_once(process):
        if process.poll() is None:
            process.kill()
            process.wait()

    def status(self):
        ended = self.lifeboat.run("status", "--json")
        self.assertEqual(ended.code, 0, ended)
        return ended.json()

    def shares(self):
        """Partitions of each member, sorted; None while the group does not stand."""
        archivers = self.status()["archivers"]
        if archivers.get("state") != "stable":
            return None
        return sorted(member["partitions"] for member in archivers["members"])

    def wait_for_shares(self, *expected):
        until(lambda: self.shares() == list(expected), f"shares {expected}, now {self.status()}")

    def ends(self):
        """How far the source goes and how much of it is durable, over all partitions."""
        logs = [log for log in self.status()["logs"] if log["log"].startswith("kafka/")]
        return (sum(log.get("source_end", 0) for log in logs), sum(log["next"] for log in logs),
                len(logs))

    def all_archived(self, written):
        def reached():
            source, archived, logs = self.ends()
            return source == archived >= written and logs == PARTITIONS

        until(reached, f"{written} archived")

    def copy_of_an_independent_consumer(self):
        done = subprocess.run(
            ["kcat", "-C", "-q", "-e", "-b", self.plain, "-t", TOPIC, "-o", "beginning",
             "-f", r"%p\t%o\t%T\t%k\t%s\n"], capture_output=True, text=True, check=True,
            timeout=harness.PATIENCE)
        copy = {partition: [] for partition in range(PARTITIONS)}
        for line in done.stdout.splitlines():
            partition, offset, timestamp, key, value = line.split("\t")
            copy[int(partition)].append((int(offset), int(timestamp), key, value))
        return {partition: sorted(records) for partition, records in copy.items()}

    def what_the_reader_gives(self, partition):
        ended = self.lifeboat.run("logbook", "cat", f"{TOPIC}/{partition}")
        self.assertEqual(ended.code, 0, str(ended)[-2000:])
        return [(one["offset"], one["timestamp"], one["key"], one["value"])
                for one in map(json.loads, ended.out.splitlines())]

    def test_killed_stopped_joined_and_cut_off_archivers_lose_nothing(self):
        self.lifeboat = self.archiver("one")
        self.assertEqual(self.lifeboat.run("init").code, 0)
        two, three, four = (self.archiver(name) for name in ("two", "three", "four"))
        first, second = self.start(self.lifeboat), self.start(two)
        load = Load(self.plain)
        self.addCleanup(load.kill)
        self.wait_for_shares(6, 6)
        third = self.start(three)
        self.wait_for_shares(4, 4, 4)

        first.kill()
        first.wait()
        self.wait_for_shares(6, 6)  # after its session, 10 s
        first = self.start(self.lifeboat)
        self.wait_for_shares(4, 4, 4)

        second.send_signal(signal.SIGSTOP)
        self.wait_for_shares(6, 6)
        second.send_signal(signal.SIGCONT)
        self.wait_for_shares(4, 4, 4)

        # Back within its session: it has its partitions again at once, nobody else sees anything.
        third.kill()
        third.wait()
        third = self.start(three)
        fourth = self.start(four)
        self.wait_for_shares(3, 3, 3, 3)

        # Without the coordinator each keeps what it has, and says so.
        self.stack.kill("kafka-2")
        until(lambda: all("archiving the same" in log.read_text() for log in
                          (first.log, second.log, fourth.log)), "membership lost, and told")
        self.assertIn("problem", self.status()["archivers"])
        before = self.ends()[1]
        until(lambda: self.ends()[1] > before + 500, "archived without the coordinator")
        self.stack.start("kafka-2")
        self.wait_for_shares(3, 3, 3, 3)

        written = load.stop()
        self.all_archived(written)
        for process in (first, second, third, fourth):
            self.assertIsNone(process.poll(), process.log.read_text()[-2000:])
            process.send_signal(signal.SIGTERM)
        for process in (first, second, third, fourth):
            self.assertEqual(process.wait(harness.PATIENCE), 0)
        self.assertEqual(self.status()["gaps"], [])
        self.assertEqual(self.status()["diverged"], [])
        copy = self.copy_of_an_independent_consumer()
        keys = {record[2] for records in copy.values() for record in records}
        self.assertEqual(len(keys), written)
        for partition, records in copy.items():
            self.assertTrue(records)
            self.assertEqual(self.what_the_reader_gives(partition), records, partition)
        secret = self.info["kafka"]["password"]
        for process in (first, second, third, fourth):
            self.assertNotIn(secret, process.log.read_text())

    def write(self, topic, text, records):
        brokers = ",".join(self.info[name]["bootstrap"] for name in ("kafka", "kafka-1", "kafka-2"))
        lines = "".join(f"{text}-{n}\n" for n in range(records))
        subprocess.run(["kcat", "-P", "-b", brokers, "-t", topic, "-p", "0", "-X", "acks=1"],
                       input=lines, text=True, check=True, capture_output=True,
                       timeout=harness.PATIENCE)

    def logs(self):
        """{end of a log's name: (first, next, how far behind the source)}"""
        return {log["log"].split("/", 3)[3]: (log["first"], log["next"], log.get("behind"))
                for log in self.status()["logs"] if log["log"].startswith("kafka/")}

    def wait_for_logs(self, expected):
        until(lambda: self.logs() == expected, f"{expected}, now {self.status()}")

    def test_what_an_unclean_election_wrote_anew_is_archived_beside_what_was_lost(self):
        topic_command(self.plain, "--create", "--topic", "cut", "--replica-assignment", "1:2",
                      "--config", "unclean.leader.election.enable=true")
        self.lifeboat = self.archiver("cut", YAML, "cut-vault", "cut")
        self.assertEqual(self.lifeboat.run("init").code, 0)
        run = self.start(self.lifeboat)
        self.write("cut", "both", 100)
        self.wait_for_logs({"cut/0": (0, 100, 0)})
        self.stack.kill("kafka-2")
        self.write("cut", "lost", 50)
        self.wait_for_logs({"cut/0": (0, 150, 0)})
        self.stack.kill("kafka-1")
        self.stack.start("kafka-2")  # knows nothing of the 50
        self.write("cut", "instead", 80)
        until(lambda: len(self.logs()) == 2, "a log of its own for what is new")
        (branch,) = set(self.logs()) - {"cut/0"}
        self.assertRegex(branch, r"^cut/0/epoch-\d+$")
        self.wait_for_logs({"cut/0": (0, 150, None), branch: (100, 180, 0)})
        (diverged,) = self.status()["diverged"]
        self.assertEqual((diverged["from"], diverged["archived_as"].endswith(branch)), (100, True))
        self.assertIn("was cut back and written anew", self.lifeboat.run("status").out)
        self.assertIn("was cut back and written anew", run.log.read_text())

        # A new run goes on with it, also after the old leader came back.
        run.kill()
        run.wait()
        self.stack.start("kafka-1")
        run = self.start(self.lifeboat)
        self.write("cut", "more", 20)
        self.wait_for_logs({"cut/0": (0, 150, None), branch: (100, 200, 0)})
        ended = self.lifeboat.run("logbook", "cat", "cut/0", "--format", "values")
        self.assertEqual(ended.out.splitlines(), [f"both-{n}" for n in range(100)] +
                         [f"instead-{n}" for n in range(80)] + [f"more-{n}" for n in range(20)])
        lost = self.lifeboat.run("logbook", "cat", "cut/0", "--lost", "--format", "values")
        self.assertEqual(lost.code, 0, lost)
        self.assertEqual(lost.out.splitlines(), [f"lost-{n}" for n in range(50)])
        self.assertIn("went on without [100, 150)", lost.err)
        some = self.lifeboat.run("logbook", "cat", "cut", "--lost", "--from", "120", "--to", "130")
        self.assertEqual([record["offset"] for record in map(json.loads, some.out.splitlines())],
                         list(range(120, 130)))
        raw = self.lifeboat.run("logbook", "cat", "cut/0", "--lost", "--format", "batches", "-o",
                                self.folder)
        self.assertEqual(raw.code, 0, raw)
        self.assertTrue((self.folder / f"{100:020}.log").exists())
        none = self.lifeboat.run("logbook", "cat", "cut/0", "--lost", "--from", "150")
        self.assertEqual((none.code, none.out), (0, ""), none)
        self.assertIn("lost nothing", none.err)


if __name__ == "__main__":
    unittest.main()

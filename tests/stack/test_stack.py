#!/usr/bin/env python3
"""The local stack does what the other tests lean on: start, kill, stop, wipe, and no leftovers.

Needs stack/setup. Run: python3 -m unittest discover -s tests/stack -v
"""

import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

STACK = pathlib.Path(__file__).resolve().parents[2] / "stack"
sys.path.insert(0, str(STACK))

import servers as stack_servers  # noqa: E402
from process import Port, StackError, answers, descendants, is_running  # noqa: E402
from stack import Stack  # noqa: E402

PATIENCE = 180  # seconds; only a limit, nothing waits for it


def until(condition, what, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return result


def clickhouse(url, query, body=None, **parameters):
    """The answer's text; raises HTTPError as urllib does."""
    address = url + "/?" + urllib.parse.urlencode({"query": query, **parameters})
    with urllib.request.urlopen(address, data=body or b"", timeout=PATIENCE) as answer:
        return answer.read().decode().rstrip("\n")


def psql(postgres, sql):
    done = subprocess.run(
        [f"{postgres['bin']}/psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", postgres["host"],
         "-p", str(postgres["port"]), "-U", postgres["user"], "-d", postgres["database"],
         "-c", sql], env={**os.environ, "PGPASSWORD": postgres["password"]},
        capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout.strip()


def kafka_tool(*arguments):
    return subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
         "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
         "-cp", f"{stack_servers.KAFKA_JARS}/*", *arguments],
        capture_output=True, text=True, check=True).stdout


def topics(bootstrap, *arguments):
    return kafka_tool("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", bootstrap,
                      *arguments)


def produce(bootstrap, topic, lines):
    subprocess.run(["kcat", "-P", "-b", bootstrap, "-t", topic, "-X", "acks=all"],
                   input="".join(f"{line}\n" for line in lines), text=True, check=True,
                   capture_output=True)


def consumed(bootstrap, topic):
    return subprocess.run(["kcat", "-C", "-e", "-q", "-b", bootstrap, "-t", topic],
                          text=True, check=True, capture_output=True).stdout.splitlines()


class Running:
    """`stack.py run …` as the C++ tests and `make` use it."""

    def __init__(self, folder, servers, wrap=()):
        self.process = subprocess.Popen(
            [*wrap, sys.executable, str(STACK / "stack.py"), "run", "--dir", folder,
             "--servers", servers],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def answer(self):
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        if not ready:
            raise AssertionError("no answer")
        return json.loads(self.process.stdout.readline())

    def command(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def family(self):
        return descendants(self.process.pid)

    def close(self):
        """Also what a failed test left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


class WithFolder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lifeboat-test-stack-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def run_stack(self, servers, wrap=()):
        running = Running(self.folder, servers, wrap)
        self.addCleanup(running.close)
        return running

    def assert_all_end(self, pids):
        self.assertTrue(pids)
        until(lambda: not any(is_running(pid) for pid in pids), f"{pids} end", 60)


class EachServer(WithFolder):
    """One server after the other: its data outlives SIGKILL and not a wipe; its port stays."""

    def stack(self, *servers):
        stack = Stack(self.folder, servers)
        self.addCleanup(stack.close)
        stack.start_all()
        return stack

    def check_kill_and_wipe(self, stack, name, has_data):
        before = stack.info()[name]
        with self.assertRaisesRegex(StackError, "already running"):
            stack.start(name)
        with self.assertRaisesRegex(StackError, "kill or stop it first"):
            stack.wipe(name)
        family = [before["pid"], *descendants(before["pid"])]
        stack.kill(name)
        self.assertFalse(any(is_running(pid) for pid in family))
        self.assertFalse(answers(before["port"]))
        self.assertEqual(stack.status()[name], {"running": False, "pid": None})
        stack.start(name)
        self.assertTrue(has_data(), "data after SIGKILL")
        stack.stop(name)
        stack.start(name)
        self.assertTrue(has_data(), "data after an orderly stop")
        stack.kill(name)
        stack.wipe(name)
        self.assertFalse(os.path.exists(before["data"]))
        stack.start(name)
        self.assertFalse(has_data(), "data after a wipe")
        after = stack.info()[name]
        self.assertNotEqual(before.pop("pid"), after.pop("pid"))
        self.assertEqual(before, after)
        with open(stack.json_path, encoding="utf-8") as file:
            self.assertEqual(json.load(file), stack.info())

    def test_postgres(self):
        stack = self.stack("postgres")
        postgres = stack.info()["postgres"]
        self.assertEqual(psql(postgres, "SHOW wal_level"), "replica")
        self.assertEqual(psql(postgres, "SHOW data_checksums"), "on")
        psql(postgres, "CREATE TABLE kept AS SELECT 7 AS n")
        self.check_kill_and_wipe(
            stack, "postgres",
            lambda: psql(postgres, "SELECT to_regclass('kept') IS NOT NULL") == "t")
        with self.assertRaisesRegex(AssertionError, "password authentication failed"):
            psql({**postgres, "password": "wrong"}, "SELECT 1")
        data = stack.info()["postgres"]["data"]
        if os.geteuid() == 0:  # as a restore by root leaves it
            stack.kill("postgres")
            subprocess.run(["chown", "-R", "root:root", data], check=True)
            stack.start("postgres")
            self.assertEqual(psql(postgres, "SELECT 1"), "1")

    def test_kafka_and_zookeeper(self):
        stack = self.stack("kafka")  # brings zookeeper
        bootstrap = stack.info()["kafka"]["bootstrap"]
        topics(bootstrap, "--create", "--topic", "kept", "--partitions", "2")
        produce(bootstrap, "kept", ["a", "b", "c"])
        self.assertEqual(sorted(consumed(bootstrap, "kept")), ["a", "b", "c"])
        self.check_kill_and_wipe(
            stack, "kafka", lambda: sorted(consumed(bootstrap, "kept")) == ["a", "b", "c"])
        stack.kill("kafka")
        self.check_kill_and_wipe(stack, "zookeeper", self.zookeeper_has_topics(stack))

    def zookeeper_has_topics(self, stack):
        connect = stack.info()["zookeeper"]["connect"]
        return lambda: "kept" in kafka_tool("org.apache.zookeeper.ZooKeeperMain", "-server",
                                            connect, "ls", "-R", "/")

    def test_clickhouse(self):
        stack = self.stack("clickhouse")
        url = stack.info()["clickhouse"]["url"]
        clickhouse(url, "CREATE TABLE kept (n UInt64) ENGINE = MergeTree ORDER BY n")
        clickhouse(url, "INSERT INTO kept FORMAT JSONEachRow", b'{"n":7}\n{"n":8}\n')
        self.check_kill_and_wipe(
            stack, "clickhouse", lambda: clickhouse(url, "EXISTS TABLE kept") == "1"
            and clickhouse(url, "SELECT sum(n) FROM kept") == "15")

    def test_a_later_stack_on_the_same_folder_goes_on(self):
        with Stack(self.folder, ["postgres", "kafka"]) as stack:
            stack.start_all()
            before = stack.info()
            topics(before["kafka"]["bootstrap"], "--create", "--topic", "kept")
        with Stack(self.folder, ["postgres", "kafka"]) as stack:
            stack.start_all()
            after = stack.info()
            self.assertEqual(psql(after["postgres"], "SELECT 1"), "1")
            self.assertEqual(consumed(after["kafka"]["bootstrap"], "kept"), [])
        for name in ("postgres", "kafka", "zookeeper"):
            self.assertNotEqual(before[name].pop("pid"), after[name].pop("pid"))
        self.assertEqual(before, after)

    def test_no_port_is_given_twice(self):
        taken = Port()
        self.addCleanup(taken.close)
        other = Port(taken.number)
        self.addCleanup(other.close)
        self.assertNotEqual(taken.number, other.number)


class ClickHouseFront(WithFolder):
    """The HTTP interface, and what chdb must do behind it."""

    def start(self, *servers):
        self.stack = Stack(self.folder, servers)
        self.addCleanup(self.stack.close)
        self.stack.start_all()
        self.url = self.stack.info()["clickhouse"]["url"]

    def fails(self, query, **parameters):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            clickhouse(self.url, query, **parameters)
        with caught.exception as answer:
            return (answer.code, answer.headers["X-ClickHouse-Exception-Code"],
                    answer.read().decode())

    def test_interface(self):
        self.start("clickhouse")
        with urllib.request.urlopen(self.url + "/ping") as answer:
            self.assertEqual(answer.read(), b"Ok.\n")
        status, code, text = self.fails("SELECT * FROM absent")
        self.assertEqual((status, code), (404, "60"))
        self.assertTrue(text.startswith("Code: 60. DB::Exception: "), text)
        self.assertEqual(self.fails("SELECT FROM WHERE")[:2], (400, "62"))
        self.assertEqual(self.fails("SELECT throwIf(1)")[:2], (500, "395"))
        self.assertEqual(self.fails("SELECT 1", database="absent")[:2], (404, "81"))
        self.assertEqual(self.fails("SELECT 1", user="default", password="x")[:2], (403, "516"))
        self.assertEqual(clickhouse(self.url, "SELECT 1 AS a", default_format="JSONEachRow"),
                         '{"a":1}')
        self.assertEqual(clickhouse(self.url, "SELECT 1 AS a FORMAT CSVWithNames"), '"a"\n1')
        clickhouse(self.url, "CREATE DATABASE other")
        self.assertEqual(clickhouse(self.url, "SELECT currentDatabase()", database="other"),
                         "other")
        self.assertEqual(clickhouse(self.url, "SELECT currentDatabase()"), "default")
        self.assertEqual(clickhouse(self.url, "SELECT {n:UInt8} + 1", param_n="4"), "5")
        self.assertEqual(clickhouse(self.url, "SELECT getSetting('max_threads')", max_threads=3),
                         "3")

    def test_a_slow_query_blocks_no_other(self):
        self.start("clickhouse")
        slow = subprocess.Popen(
            [sys.executable, "-c", "import sys, urllib.request\n"
             "urllib.request.urlopen(sys.argv[1], data=b'SELECT sleepEachRow(1) FROM numbers(30) "
             "SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0')",
             self.url])
        self.addCleanup(lambda: (slow.kill(), slow.wait()))
        until(lambda: "sleepEachRow" in clickhouse(
            self.url, "SELECT query FROM system.processes WHERE query NOT LIKE '%processes%'"),
            "the slow query runs")
        for n in range(20):
            self.assertEqual(clickhouse(self.url, f"SELECT {n}"), str(n))
        self.assertIsNone(slow.poll(), "the slow query should still run")

    def test_backup_and_restore_by_disk(self):
        self.start("clickhouse")
        clickhouse(self.url, "CREATE TABLE t ENGINE = MergeTree ORDER BY n AS "
                             "SELECT number AS n FROM numbers(1000)")
        clickhouse(self.url, "BACKUP TABLE t TO Disk('backups', 'one') SETTINGS id = 'one' ASYNC")
        until(lambda: clickhouse(self.url, "SELECT status FROM system.backups WHERE id = 'one'")
              == "BACKUP_CREATED", "the backup is made")
        path = self.stack.info()["clickhouse"]["backup_path"]
        self.assertTrue(os.path.exists(os.path.join(path, "one", ".backup")))
        self.stack.kill("clickhouse")
        self.stack.wipe("clickhouse")
        self.stack.start("clickhouse")
        clickhouse(self.url, "RESTORE TABLE t FROM Disk('backups', 'one')")
        self.assertEqual(clickhouse(self.url, "SELECT count(), sum(n) FROM t"), "1000\t499500")

    def test_kafka_engine(self):
        self.start("kafka", "clickhouse")
        bootstrap = self.stack.info()["kafka"]["bootstrap"]
        topics(bootstrap, "--create", "--topic", "numbers", "--partitions", "2")
        clickhouse(self.url, "CREATE DATABASE d")  # chdb's `default` has no DETACH … PERMANENTLY
        clickhouse(self.url, "CREATE TABLE d.t (n UInt64) ENGINE = MergeTree ORDER BY n")
        clickhouse(self.url,
                   "CREATE TABLE d.k (n UInt64) ENGINE = Kafka SETTINGS kafka_broker_list = "
                   f"'{bootstrap}', kafka_topic_list = 'numbers', kafka_group_name = 'group1', "
                   "kafka_format = 'JSONEachRow', kafka_flush_interval_ms = 200")
        clickhouse(self.url, "CREATE MATERIALIZED VIEW d.v TO d.t AS SELECT n FROM d.k")

        def add(first, end):
            produce(bootstrap, "numbers", [f'{{"n":{n}}}' for n in range(first, end)])

        def rows():
            return int(clickhouse(self.url, "SELECT count() FROM d.t"))

        add(0, 100)
        until(lambda: rows() == 100, "100 rows")
        clickhouse(self.url, "SYSTEM PAUSE d.k")
        until(lambda: clickhouse(self.url, "SELECT max(is_currently_used) FROM "
                                           "system.kafka_consumers") == "0", "it stands still")
        add(100, 200)
        time.sleep(2)  # time to do the wrong thing
        self.assertEqual(rows(), 100)
        clickhouse(self.url, "SYSTEM START d.k")
        until(lambda: rows() == 200, "200 rows")
        self.stack.kill("clickhouse")
        add(200, 300)
        self.stack.start("clickhouse")
        until(lambda: rows() >= 300, "it consumes again after SIGKILL")
        self.assertEqual(clickhouse(self.url, "SELECT uniqExact(n) FROM d.t"), "300")
        clickhouse(self.url, "DETACH TABLE d.k PERMANENTLY")
        self.stack.stop("clickhouse")
        self.stack.start("clickhouse")
        self.assertEqual(clickhouse(self.url, "EXISTS TABLE d.k"), "0", "the user detached it")


class NothingIsLeft(WithFolder):
    def test_protocol_and_end_of_input(self):
        running = self.run_stack("postgres")
        path = os.path.join(self.folder, "stack.json")
        self.assertEqual(running.answer(), {"ready": path})
        self.assertTrue(running.command("status")["servers"]["postgres"]["running"])
        self.assertEqual(running.command("kill postgres"),
                         {"ok": True, "name": "postgres", "running": False, "pid": None})
        self.assertTrue(running.command("start postgres")["ok"])
        for wrong in ("start", "start absent", "wipe postgres", "eat postgres"):
            answer = running.command(wrong)
            self.assertFalse(answer["ok"])
            self.assertTrue(answer["error"])
        family = running.family()
        running.process.stdin.close()
        self.assertEqual(running.process.wait(PATIENCE), 0)
        self.assert_all_end(family)

    def test_all_four_after_interrupt(self):
        began = time.monotonic()
        running = self.run_stack("zookeeper,kafka,postgres,clickhouse")
        self.assertIn("ready", running.answer())
        print(f"all four ready in {time.monotonic() - began:.1f} s", file=sys.stderr)
        family = running.family()
        self.assertGreaterEqual(len(family), 4)
        running.process.send_signal(signal.SIGINT)
        self.assertEqual(running.process.wait(PATIENCE), 130)
        self.assert_all_end(family)

    def test_sigkill_of_the_stack_itself(self):
        running = self.run_stack("zookeeper,kafka,postgres,clickhouse")
        self.assertIn("ready", running.answer())
        family = running.family()
        running.process.kill()
        running.process.wait(PATIENCE)
        self.assert_all_end(family)

    def test_sigkill_of_the_stacks_parent(self):
        # The parent holds the other end of standard input and does nothing else.
        parent = ("import subprocess, sys, time\n"
                  "subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)\n"
                  "time.sleep(3600)\n")
        running = self.run_stack("zookeeper,kafka,postgres,clickhouse",
                                 (sys.executable, "-c", parent))
        self.assertIn("ready", running.answer())
        family = running.family()
        self.assertGreaterEqual(len(family), 5)
        running.process.kill()
        running.process.wait(PATIENCE)
        self.assert_all_end(family)

    def test_interrupt_and_end_of_input_while_starting(self):
        for end in (lambda process: process.send_signal(signal.SIGTERM),
                    lambda process: process.stdin.close()):
            running = self.run_stack("zookeeper,kafka,postgres,clickhouse")
            family = until(lambda: len(running.family()) >= 3 and running.family(), "children")
            end(running.process)
            self.assertNotEqual(running.process.wait(PATIENCE), 0)
            self.assert_all_end(family)

    def test_failed_start(self):
        # A broker whose disk belongs to another cluster refuses to start.
        os.makedirs(os.path.join(self.folder, "kafka", "data"))
        with open(os.path.join(self.folder, "kafka", "data", "meta.properties"), "w",
                  encoding="ascii") as file:
            file.write("version=0\nbroker.id=0\ncluster.id=another\n")
        running = self.run_stack("zookeeper,kafka,postgres,clickhouse")
        family = until(lambda: len(running.family()) >= 3 and running.family(), "children")
        self.assertEqual(running.process.wait(PATIENCE), 1)
        self.assertIn("Invalid cluster.id", running.process.stderr.read())
        self.assert_all_end(family)


if __name__ == "__main__":
    unittest.main()

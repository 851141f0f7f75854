"""The load, the ledger and the witness on the real stack, without any disaster: what is whole must
hold, and what is then spoilt by hand must fail. Needs the built lifeboat-load (see
drills/stores.py) and what stack/setup installs."""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path[:0] = [os.path.join(ROOT, "drills"), os.path.join(ROOT, "stack")]

import compare  # noqa: E402
import load  # noqa: E402
import stores  # noqa: E402
from stack import Stack  # noqa: E402

SCHEMA = os.path.join(ROOT, "stack", "schema", "schema.py")


class RealStackTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        # PostgreSQL runs as a user of its own.
        os.chmod(cls.folder.name, 0o755)
        cls.stack = Stack(os.path.join(cls.folder.name, "stack"))
        cls.addClassCleanup(cls.stack.close)
        cls.stack.start_all()
        subprocess.run(
            [sys.executable, SCHEMA, "apply", "--stack", cls.stack.json_path, "--slow-view", "0.2"],
            check=True,
        )
        cls.ledger = os.path.join(cls.folder.name, "ledger")
        with load.Load(cls.stack.json_path, cls.ledger, events_rate=2000) as running:
            running.wait_until_running("kafka")
            running.wait_until_running("postgres")
            cls.write_through_pauses_and_kills(running)
        stores.drain(cls.stack.json_path, timeout=180)
        with open(cls.stack.json_path, encoding="utf-8") as file:
            cls.info = json.load(file)
        cls.clickhouse = stores.ClickHouse(cls.info)

    @classmethod
    def write_through_pauses_and_kills(cls, running):
        for store in ("kafka", "postgres"):
            running.pause(store)
            running.resume(store)
            running.wait_until_running(store)
        cls.stack.kill("postgres")
        cls.stack.start("postgres")
        running.wait_until_running("postgres")
        cls.stack.kill("kafka")
        cls.stack.start("kafka")
        running.wait_until_running("kafka")
        time.sleep(2)  # not a condition: some more load

    def verdict(self, **losses):
        return compare.compare(self.info, self.ledger, **losses)

    def offences(self, store):
        report = self.verdict()["stores"][store]
        return {kind for kind in compare.OFFENCES if report[kind]}

    def sql(self, *statements):
        for statement in statements:
            self.clickhouse.ask(statement)

    def psql(self, statement):
        postgres = stores.Postgres(self.info)
        done = subprocess.run(
            postgres.command + ["-At", "-c", statement],
            env=postgres.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    # In this order, for each test spoils what the next ones see; each puts back what it can.

    def test_1_what_is_whole_holds(self):
        report = self.verdict()
        self.assertEqual(report["verdict"], compare.HOLDS, json.dumps(report, indent=1))
        for store in report["stores"].values():
            self.assertGreater(store["checked"], 50)
            self.assertGreater(store["sums_checked"], 50)

    def test_2_a_spoilt_row_of_clickhouse_fails(self):
        self.sql(
            "DROP VIEW posthog.events_by_day_mv",  # inserts by hand are not to be summed
            "CREATE TABLE posthog.saved ENGINE = MergeTree ORDER BY uuid AS "
            "SELECT * FROM posthog.events LIMIT 1",
        )
        saved = "uuid IN (SELECT uuid FROM posthog.saved)"
        back = "INSERT INTO posthog.events SELECT * FROM posthog.saved"
        self.sql(f"ALTER TABLE posthog.events DELETE WHERE {saved} SETTINGS mutations_sync = 2")
        self.assertEqual(self.offences("clickhouse"), {"lost", "half", "sums_wrong"})
        self.sql("SYSTEM STOP MERGES posthog.events", back, back)
        self.assertEqual(self.offences("clickhouse"), {"duplicated"})
        self.sql("SYSTEM START MERGES posthog.events", "OPTIMIZE TABLE posthog.events FINAL")
        self.assertEqual(self.offences("clickhouse"), set())
        self.sql(
            "ALTER TABLE posthog.events UPDATE properties = concat(properties, ' ') "
            f"WHERE {saved} SETTINGS mutations_sync = 2"
        )
        self.assertEqual(self.offences("clickhouse"), {"changed"})
        self.sql(
            f"ALTER TABLE posthog.events DELETE WHERE {saved} SETTINGS mutations_sync = 2", back
        )
        self.assertEqual(self.offences("clickhouse"), set())

    def test_3_a_spoilt_sum_of_clickhouse_fails(self):
        for table, plus, minus in (
            ("events_by_day", "1, today(), 1, 5, 7", "1, today(), 0 - 1, -5, 0 - 7"),
            ("events_slow", "1, today(), 1", "1, today(), 0 - 1"),
            ("session_replay_by_team", "1, today(), 1, 1, 1", "1, today(), -1, -1, -1"),
        ):
            with self.subTest(table=table):
                self.sql(f"INSERT INTO posthog.{table} SELECT {plus}")
                self.assertEqual(self.offences("clickhouse"), {"sums_wrong"})
                self.sql(f"INSERT INTO posthog.{table} SELECT {minus}")
                self.assertEqual(self.offences("clickhouse"), set())

    def test_4_half_and_changed_transactions_fail(self):
        tx = self.psql("SELECT min(tx_id) FROM load_tx")
        self.psql(f"UPDATE users SET name = name || 'x' WHERE tx_id = {tx}")
        self.assertEqual(self.offences("postgres"), {"changed"})
        self.psql(f"DELETE FROM api_keys WHERE tx_id = {tx}")
        self.assertEqual(self.offences("postgres"), {"half"})

    def test_5_a_store_that_is_down_is_not_verified(self):
        self.stack.kill("clickhouse")
        self.assertEqual(
            self.verdict()["stores"]["clickhouse"]["verdict"], compare.COULD_NOT_VERIFY
        )


if __name__ == "__main__":
    unittest.main()

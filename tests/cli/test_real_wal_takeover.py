#!/usr/bin/env python3
"""Two `lifeboat run` on one replication slot: one is SIGKILLed, one SIGSTOPped for longer than the
server waits for it and let go on much later. The other takes over each time; the logbook's WAL has
no hole, is that which pg_receivewal got, and PostgreSQL comes back from it. $LIFEBOAT_SEED repeats
a run.
"""

import os
import pathlib
import signal
import subprocess
import unittest

import harness
from harness import Lifeboat, Stack, until

WITNESS = "witness"  # pg_receivewal's slot
IN_USE = "is active for PID"


class Takeover(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = harness.temporary_folder(cls)
        cls.random = harness.seeded("test_real_wal_takeover")
        cls.stack = Stack(cls.folder / "stack", servers=("postgres",))
        cls.addClassCleanup(cls.stack.close)
        cls.stack.start_all()
        cls.postgres = harness.stores.Postgres(cls.stack.info())
        cls.sql("ALTER SYSTEM SET wal_sender_timeout = '3s'")
        cls.sql("ALTER SYSTEM SET max_wal_size = '64MB'")
        cls.sql("ALTER SYSTEM SET min_wal_size = '32MB'")
        cls.sql("SELECT pg_reload_conf()")
        cls.sql("CREATE TABLE rows (id bigserial PRIMARY KEY, text text)")

    @classmethod
    def sql(cls, statement):
        words = [*cls.postgres.command, "-c", statement]
        done = subprocess.run(
            words, env=cls.postgres.environment, capture_output=True, text=True, timeout=120
        )
        if done.returncode != 0:
            raise AssertionError(f"{statement}: {done.stderr}")

    def value(self, expression):
        return self.postgres.rows(f"SELECT {expression}")[0][0]

    def archiver(self, name, vault="vault", **changes):
        folder = self.folder / name
        folder.mkdir()
        lifeboat = Lifeboat(folder)
        lifeboat.config.write_text(
            harness.config_text(
                self.stack.info(), folder, ("postgres",),
                vault=self.folder / vault, point_every="never", **changes,
            )
        )  # fmt: skip
        return lifeboat

    def run_archiver(self, lifeboat):
        process = lifeboat.start("run")
        self.addCleanup(harness.end, process)
        return process

    def write(self):
        self.sql(
            "INSERT INTO rows (text) SELECT repeat(md5(i::text), 8) FROM generate_series(1, "
            f"{self.random.randrange(500, 20000)}) i"
        )

    def archived(self):
        """Up to what the server has written by now."""
        end = self.value("pg_current_wal_flush_lsn() - '0/0'::pg_lsn")

        def reached():
            logs = self.one.run("status", "--json").json()["logs"]
            return any(log["log"].startswith("postgres/") and log["next"] >= int(end) for log in logs)

        until(reached, f"WAL up to {end} in the logbook")

    def waits_for_the_slot(self, process, times=1):
        until(
            lambda: process.log.read_text().count(IN_USE) >= times,
            "the second one sees that the slot is in use",
        )

    def drop_old_wal(self):
        """Until the server has none any more of the segments that it has now."""
        names = {row[0] for row in self.postgres.rows("SELECT name FROM pg_ls_waldir()")}

        def gone():
            self.write()
            self.sql("SELECT pg_switch_wal()")
            self.sql("CHECKPOINT")
            now = {row[0] for row in self.postgres.rows("SELECT name FROM pg_ls_waldir()")}
            current = self.value("pg_walfile_name(pg_current_wal_lsn())")
            return not {name for name in names & now if name < current}

        until(gone, "older WAL is removed")

    def start_witness(self):
        """What an archiver that shares no code with Lifeboat gets of the same server."""
        self.witness = self.folder / "witness"
        self.witness.mkdir()
        options = self.postgres.command[4:]
        options = options[options.index("-h") : options.index("-d")]
        program = os.path.join(self.stack.info()["postgres"]["bin"], "pg_receivewal")
        words = [program, *options, "-D", str(self.witness), "--slot", WITNESS]
        environment = self.postgres.environment
        subprocess.run([*words, "--create-slot"], env=environment, check=True, timeout=60)
        process = subprocess.Popen([*words, "--status-interval=1"], env=environment)
        self.addCleanup(harness.end, process)

    def compare_with_witness(self):
        last = self.value("pg_walfile_name(pg_current_wal_lsn())")
        self.sql("SELECT pg_switch_wal()")
        self.write()
        self.archived()
        until((self.witness / last).exists, "the witness has that segment whole")
        names = sorted(path.name for path in self.witness.iterdir() if len(path.name) == 24)
        fetched = self.folder / "fetched"
        for name in names:
            ended = self.one.run("wal-fetch", name, fetched)
            self.assertEqual(ended.code, 0, ended)
            same = fetched.read_bytes() == (self.witness / name).read_bytes()
            self.assertTrue(same, f"{name} differs")
        print(f"{len(names)} segments compared", flush=True)
        self.assertGreater(len(names), 2)

    def rows(self):
        return self.postgres.rows("SELECT count(*), sum(id), sum(hashtext(text)) FROM rows")

    def test_1_killed_and_stopped(self):
        self.one, two = self.archiver("one"), self.archiver("two")
        self.assertEqual(self.one.run("init").code, 0)
        first = self.run_archiver(self.one)
        self.archived()
        self.start_witness()
        second = self.run_archiver(two)
        self.waits_for_the_slot(second)
        backup = self.one.run("backup", "--json")
        self.assertEqual(backup.code, 0, backup)

        self.write()
        harness.kill(first)
        self.write()
        self.archived()  # by the second one

        first = self.run_archiver(self.one)
        self.waits_for_the_slot(first)
        self.write()
        second.send_signal(signal.SIGSTOP)
        self.write()
        self.archived()  # by the first one, when the server has given the other one up
        self.drop_old_wal()
        self.archived()
        refused = second.log.read_text().count(IN_USE)
        second.send_signal(signal.SIGCONT)
        self.waits_for_the_slot(second, refused + 1)

        # It goes on after what the other one archived, not where it was itself: that WAL is gone.
        harness.kill(first)
        self.write()
        self.archived()
        self.compare_with_witness()
        self.write()
        self.archived()
        rows = self.rows()
        second.send_signal(signal.SIGTERM)
        self.assertEqual(second.wait(timeout=60), 0, second.log.read_text()[-2000:])
        self.assertNotIn("LOST", second.log.read_text())
        self.assertEqual(self.one.run("status", "--json").json()["gaps"], [])
        for log in self.one.run("logbook", "ls", "--json").json()["logs"]:
            self.assertEqual(log["gaps"], [], log)
        verified = self.one.run("verify", "--json")
        self.assertEqual(verified.json()["verdict"], "VERIFIED", verified)
        self.restore()
        self.assertEqual(self.rows(), rows)

    def test_2_a_reconnect_does_not_call_durable_what_is_not(self):
        one = self.archiver("slow", "slow-vault", slot="slow")
        self.assertEqual(one.run("init").code, 0)
        self.one = one
        first = self.run_archiver(one)
        self.archived()
        first.terminate()
        self.assertEqual(first.wait(timeout=60), 0)
        text = one.config.read_text()
        one.config.write_text(text.replace("flush_interval: 1s", "flush_interval: 1h"))
        self.run_archiver(one)
        where = "FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid"
        where += " WHERE slot_name = 'slow'"

        def received(written):
            rows = self.postgres.rows(f"SELECT write_lsn >= '{written}'::pg_lsn, pid {where}")
            return rows[0][1] if rows and rows[0][0] == "t" else None

        self.write()
        written = self.value("pg_current_wal_flush_lsn()")
        pid = until(lambda: received(written), "all WAL is sent")
        begin = self.postgres.rows(f"SELECT restart_lsn {where}")
        self.sql(f"SELECT pg_terminate_backend({pid})")
        self.write()
        written = self.value("pg_current_wal_flush_lsn()")
        until(lambda: received(written), "the rest is sent, too")
        self.assertEqual(self.postgres.rows(f"SELECT restart_lsn {where}"), begin)

    def restore(self):
        self.stack.kill("postgres")
        self.stack.wipe("postgres")
        actions = {"postgres-wait": lambda: self.stack.start("postgres")}
        ended = harness.operate(self.one, ("restore", "postgres"), actions)
        self.assertEqual(ended.returncode, 0, ended.log.read_text()[-4000:])


if __name__ == "__main__":
    unittest.main()

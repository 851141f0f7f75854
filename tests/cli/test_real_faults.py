#!/usr/bin/env python3
"""The program on the real stack when something is wrong: servers that are down, refuse the password
or go away in the middle, stores that are not empty, groups that are consumed, a full disk. Needs
what stack/setup installs, and the build.
"""

import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

import harness
from harness import Lifeboat, Stack, clickhouse, until

HERE = pathlib.Path(__file__).resolve().parent


class World:
    """One stack with the schema and some rows, for all tests of this file."""

    def __init__(self, folder):
        self.folder = folder
        self.stack = Stack(folder / "stack")

    def start(self):
        self.stack.start_all()
        harness.apply_schema(self.stack)
        with harness.load.Load(
            self.stack.json_path, self.folder / "ledger", events_rate=500, program=harness.LOAD
        ) as running:
            running.wait_until_running("kafka")
            running.wait_until_running("postgres")
            until(lambda: harness.consumed(self.stack.info()) > 1000, "events in ClickHouse")
        harness.stores.drain(self.stack.json_path, program=harness.LOAD)

    @property
    def info(self):
        return self.stack.info()


def setUpModule():
    global WORLD
    folder = harness.temporary_folder(WithVault)
    WORLD = World(folder)
    unittest.addModuleCleanup(WORLD.stack.close)
    WORLD.start()


class WithVault(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)

    def lifeboat(self, name="site", **changes):
        """A vault of its own for each name; a slot of its own too, dropped at the end."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        made = Lifeboat(folder)
        changes.setdefault("slot", f"lifeboat_{os.getpid()}_{abs(hash(str(folder))) % 10**9}")
        made.config.write_text(harness.config_text(WORLD.info, folder, **changes))
        made.slot = changes["slot"]
        self.addCleanup(self.drop_slot, made.slot)
        if not made.vault_path().exists():
            made.run("init")
        return made

    def drop_slot(self, slot):
        subprocess.run(
            harness.stores.Postgres(WORLD.info).command
            + [
                "-c",
                f"SELECT pg_drop_replication_slot('{slot}') FROM pg_replication_slots "
                f"WHERE slot_name = '{slot}'",
            ],
            env=harness.stores.Postgres(WORLD.info).environment,
            capture_output=True,
        )

    def points(self, lifeboat):
        return lifeboat.run("points", "--json").json()["points"]

    def backup(self, lifeboat):
        ended = lifeboat.run("backup", "--json")
        self.assertEqual(ended.code, 0, ended)
        return ended.events()[-1]

    def assert_refused(self, ended, code, *words):
        self.assertEqual(ended.code, code, ended)
        for word in words:
            self.assertIn(word, ended.err, ended)
        self.assertIn("  next: ", ended.err, ended)


class WholeServers(WithVault):
    def test_check_backup_points_status_verify(self):
        site = self.lifeboat()
        checked = site.run("check", "--json")
        self.assertEqual((checked.code, checked.json()["ok"]), (0, True), checked)
        done = self.backup(site)
        self.assertEqual((done["event"], done["exact"]), ("done", True))
        self.assertEqual(sorted(done["stores"]), ["clickhouse", "kafka", "postgres", "zookeeper"])
        self.assertLessEqual(done["peak_rss_mib"], 256)
        self.assertLess(done["held_seconds"], 10)  # a busy machine; the bar is the drills'
        self.assertEqual([p["id"] for p in self.points(site)], [done["point"]])
        status = site.run("status", "--json").json()
        self.assertEqual(status["points"]["newest"], done["point"])
        self.assertTrue(all(store["reachable"] for store in status["stores"].values()), status)
        self.assertIn(done["point"], site.run("status").out)
        self.assertIn("exact", site.run("points").out)
        logs = site.run("logbook", "ls", "--json").json()["logs"]
        self.assertTrue(any(log["log"].startswith("kafka/") for log in logs))
        self.assertTrue(any(log["log"].startswith("postgres/") for log in logs))
        self.assertIn("kafka/", site.run("logbook", "ls").out)
        self.assertEqual(self.points(site)[0]["proof"]["state"], "never")
        for words, depth in (([], "existence"), (["--sample", "5%"], "sample"), (["--data"], "data")):
            verified = site.run("verify", "--json", *words)
            self.assertEqual((verified.json()["verdict"], verified.code), ("VERIFIED", 0), verified)
            proof = self.points(site)[0]["proof"]
            self.assertEqual(proof["state"], "VERIFIED")
            self.assertTrue(proof[depth], proof)
        self.assertIn("data", site.run("status").out)
        self.break_and_verify(site, done["point"])

    def break_and_verify(self, site, point):
        """One flipped bit of a pack: FAILED, and the point that it costs is named."""
        packs = harness.vault_objects(site.vault_path() / "packs")
        pack = max(packs, key=lambda path: path.stat().st_size)
        whole = pack.read_bytes()
        pack.write_bytes(
            whole[: len(whole) // 2]
            + bytes([whole[len(whole) // 2] ^ 1])
            + whole[len(whole) // 2 + 1 :]
        )
        verified = site.run("verify", "--json", "--data", "--point", point)
        self.assertEqual(
            (verified.json()["verdict"], verified.code), ("FAILED", harness.CORRUPT), verified
        )
        self.assertEqual(verified.json()["damages"][0]["points"], [point])
        self.assertEqual(self.points(site)[0]["proof"]["state"], "FAILED")
        # A new point does not rely on what is known to be damaged, nor miss it when it is gone.
        newest = self.backup(site)["point"]
        for _ in range(2):
            verified = site.run("verify", "--json", "--data")
            verdicts = {one["id"]: one["verdict"] for one in verified.json()["results"]}
            self.assertEqual(verdicts[newest], "VERIFIED", verified)
            pack.unlink(missing_ok=True)

    def test_backup_dry_run_changes_nothing(self):
        site = self.lifeboat()
        before = harness.fingerprint(site.vault_path())
        ended = site.run("backup", "--dry-run", "--json")
        self.assertEqual((ended.code, ended.events()[-1]["dry_run"]), (0, True), ended)
        self.assertEqual(harness.fingerprint(site.vault_path()), before)

    def test_one_run_at_a_time_and_its_end(self):
        site = self.lifeboat()
        daemon = site.start("run")
        self.addCleanup(harness.end, daemon)
        until(lambda: self.points(site), "the first point of `run`")
        self.assert_refused(site.run("run"), harness.REFUSED, str(site.config))
        # By hand beside the daemon: no second archiver, a second point.
        self.backup(site)
        self.assertEqual(len(self.points(site)), 2)
        begun = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(timeout=60), 0, daemon.log.read_text())
        print(f"run ended {time.monotonic() - begun:.1f} s after SIGTERM")
        verified = site.run("verify", "--data")
        self.assertEqual(verified.code, 0, verified)


class Stopping(WithVault):
    def test_stopped_in_the_middle(self):
        """SIGINT while ClickHouse is being cut: status 130, no point, nothing held."""
        site = self.lifeboat()
        process = start_until(self, site, "clickhouse")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=harness.PATIENCE)
        self.assertEqual(process.returncode, harness.STOPPED, out + err)
        last = json.loads(out.splitlines()[-1])
        self.assertEqual((last["event"], last["code"]), ("error", "cancelled"))
        self.assertEqual(self.points(site), [])
        assert_consumes(self)
        self.backup(site)

    def test_run_is_stopped_while_it_takes_a_point(self):
        site = self.lifeboat()
        daemon = site.start("run", "--json")
        self.addCleanup(harness.end, daemon)
        until(lambda: '"name":"postgres"' in daemon.log.read_text(), "the point is being taken")
        daemon.terminate()
        self.assertEqual(daemon.wait(timeout=60), 0, daemon.log.read_text())
        assert_consumes(self)
        self.assertIn(site.run("verify").code, (0, harness.COULD_NOT_VERIFY))  # without a point


class OnATerminal(WithVault):
    def test_progress_is_for_terminals_only(self):
        site = self.lifeboat()
        seen = site.on_terminal("backup")
        self.assertEqual(seen.code, 0, seen)
        self.assertRegex(seen.err, r"\r\x1b\[K  base backup: .* of .*\(\d+ %\)")
        self.assertEqual([point["id"] for point in self.points(site)], [seen.out.strip()])
        plain = site.run("backup")
        self.assertEqual(plain.code, 0, plain)
        self.assertNotIn("\r", plain.err)
        self.assertIn("the cut is exact", plain.err)
        quiet = site.run("backup", "--quiet")
        self.assertNotIn("postgres:", quiet.err)

    def test_restore_asks(self):
        data = self.folder / "data"
        data.mkdir()
        (data / "precious").write_text("mine")
        site = self.lifeboat(data_directory=data)
        self.backup(site)
        asked = site.on_terminal("restore", "postgres", "--overwrite", data, answer="no")
        self.assertEqual(asked.code, harness.STOPPED, asked)
        self.assertIn("OVERWRITING", asked.err)
        self.assertEqual((data / "precious").read_text(), "mine")


def start_until(test, site, store):
    """`backup` that has just begun with this store."""
    process = subprocess.Popen(
        site.words(["backup", "--json"]),
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.PIPE,
        cwd=site.folder,
    )
    test.addCleanup(harness.end, process)
    for line in process.stdout:
        event = json.loads(line)
        if (event["event"], event.get("name"), event.get("state")) == ("step", store, "begin"):
            return process
    raise AssertionError(process.communicate()[1])


def assert_consumes(test):
    """ClickHouse takes new events: no table is held."""
    before = harness.consumed(WORLD.info)
    ledger = harness.temporary_folder(test) / "ledger"
    with harness.load.Load(
        WORLD.stack.json_path, ledger, events_rate=200, program=harness.LOAD, more=["--no-postgres"]
    ) as running:
        running.wait_until_running("kafka")
        until(lambda: harness.consumed(WORLD.info) > before + 100, "ClickHouse consumes")


class ServersThatDoNotServe(WithVault):
    def assert_no_point(self, site, store, *words):
        """`backup` says which one and makes no point; `check` finds it; neither is an exception."""
        ended = site.run("backup", "--json")
        self.assertEqual(ended.code, harness.UNAVAILABLE, ended)
        self.assertEqual(ended.events()[-1]["event"], "error")
        for word in words:
            self.assertIn(word, ended.err)
        self.assertEqual(self.points(site), [])
        checked = site.run("check", "--json")
        problems = [f for f in checked.json()["findings"] if f["level"] == "problem"]
        self.assertEqual(checked.code, harness.FAILED, checked)
        self.assertEqual({f["store"] for f in problems}, {store}, checked)
        status = site.run("status", "--json")
        self.assertEqual(status.code, 0, status)
        reachable = status.json()["stores"][store]["reachable"]
        return ended, reachable

    def test_wrong_password_of_postgres(self):
        site = self.lifeboat(postgres_password="wr0ngw0rd")
        ended, reachable = self.assert_no_point(site, "postgres", "password")
        self.assertFalse(reachable)
        self.assertEqual(ended.events()[-1]["code"], "denied")
        self.assertNotIn("wr0ngw0rd", ended.out + ended.err)

    def test_wrong_password_of_clickhouse(self):
        site = self.lifeboat(clickhouse_password="wr0ngw0rd")
        ended, _ = self.assert_no_point(site, "clickhouse", "Authentication failed")
        self.assertEqual(ended.events()[-1]["code"], "denied")
        self.assertNotIn("wr0ngw0rd", ended.out + ended.err)

    def test_each_server_down(self):
        """Side by side: it is waiting, and none of them comes to a BACKUP."""
        nowhere = f"127.0.0.1:{harness.unused_port()}"
        changes = {
            "postgres": {"postgres_port": nowhere.split(":")[1]},
            "kafka": {"bootstrap": nowhere},
            "clickhouse": {"clickhouse_url": "http://" + nowhere},
            "zookeeper": {"zookeeper_connect": nowhere},
        }

        def look(store):
            site = self.lifeboat(store, **changes[store])
            return self.assert_no_point(site, store, "127.0.0.1:")[1]

        with concurrent.futures.ThreadPoolExecutor(len(changes)) as pool:
            looks = {store: pool.submit(look, store) for store in changes}
        for store, looked in looks.items():
            with self.subTest(store=store):
                self.assertFalse(looked.result())

    def test_a_server_that_goes_away_in_the_middle(self):
        """Killed when `backup` begins with it: an error or (when it was faster) a point, never a
        hang; the second call makes a point, and ClickHouse consumes."""
        for store in ("postgres", "clickhouse", "kafka"):
            with self.subTest(store=store):
                site = self.lifeboat(store)
                before = len(self.points(site))
                process = start_until(self, site, store)
                WORLD.stack.kill(store)
                try:
                    out, err = process.communicate(timeout=harness.PATIENCE)
                finally:
                    WORLD.stack.start(store)
                self.assertIn(
                    process.returncode, (0, harness.UNAVAILABLE, harness.FAILED), out + err
                )
                print(f"{store} killed in the middle of backup: exit {process.returncode}")
                self.assertEqual(len(self.points(site)), before + (process.returncode == 0), err)
                self.backup(site)
                assert_consumes(self)


class RestoreOntoSomething(WithVault):
    def state(self):
        """What a restore would change first."""
        info = WORLD.info
        postgres = harness.stores.Postgres(info)
        return (
            clickhouse(
                info,
                "SELECT database, name, uuid, total_rows FROM system.tables "
                "WHERE database = 'posthog' "
                "ORDER BY name",
            ),
            postgres.rows("SELECT count(*), max(tx_id) FROM load_tx"),
            harness.stores.group_lag(WORLD.stack.json_path, harness.LOAD)["partitions"],
        )

    def test_refused_and_nothing_touched(self):
        data = self.folder / "data"
        data.mkdir()
        (data / "precious").write_text("mine")
        data.chmod(0o700)
        site = self.lifeboat(data_directory=data)
        self.backup(site)
        before, files = self.state(), harness.fingerprint(data)
        for words, named in (
            (["postgres"], str(data)),
            (["clickhouse"], WORLD.info["clickhouse"]["url"]),
            (["kafka"], "kafka"),
            (["zookeeper"], WORLD.info["zookeeper"]["connect"]),
            (["all"], "--overwrite"),
            (["postgres", "--overwrite", "another name"], str(data)),
        ):
            for verb in ("plan", "restore"):
                with self.subTest(verb=verb, words=words):
                    ended = site.run(verb, *words, *(["--yes"] if verb == "restore" else []))
                    self.assert_refused(
                        ended, harness.REFUSED, "is not empty", "--overwrite", named
                    )
        self.assertEqual((self.state(), harness.fingerprint(data)), (before, files))

    def test_the_name_of_the_target_lets_it(self):
        data = self.folder / "data"
        data.mkdir()
        (data / "precious").write_text("mine")
        site = self.lifeboat(data_directory=data)
        self.backup(site)
        planned = site.run("plan", "postgres", "--overwrite", data, "--json", "--out", "plan.json")
        self.assertEqual(planned.code, 0, planned)
        self.assertEqual(planned.json()["overwrite"], [str(data)])
        self.assertEqual(json.loads((site.folder / "plan.json").read_text()), planned.json())
        self.assertIn("OVERWRITING", site.run("plan", "postgres", "--overwrite", data).out)
        looked = site.run("apply", "plan.json", "--dry-run", "--json")
        self.assertEqual((looked.code, looked.events()[-1]["dry_run"]), (0, True), looked)
        self.assertEqual((data / "precious").read_text(), "mine")
        # Without a terminal nobody can be asked.
        self.assert_refused(
            site.run("restore", "postgres", "--overwrite", data), harness.REFUSED, "--yes"
        )
        self.assertEqual((data / "precious").read_text(), "mine")


class Cursors(WithVault):
    def test_reset_is_refused_while_somebody_consumes(self):
        site = self.lifeboat()
        point = self.backup(site)["point"]
        shown = site.run("cursors", "show", "--group", "group1", "--point", point, "--json")
        self.assertEqual(shown.code, 0, shown)
        group = shown.json()["groups"][0]
        self.assertTrue(group["members"], group)
        self.assertTrue(all("cut" in row and "committed" in row for row in group["cursors"]), group)
        self.assertIn("group1", site.run("cursors", "show").out)
        ended = site.run("cursors", "reset", "--group", "group1", "--point", point, "--yes")
        self.assertEqual(ended.code, harness.REFUSED, ended)
        self.assertTrue(
            any(member in ended.err for member in group["members"]), (ended.err, group["members"])
        )
        after = site.run("cursors", "show", "--group", "group1", "--json").json()["groups"][0]
        self.assertEqual(
            [row["committed"] for row in after["cursors"]],
            [row["committed"] for row in group["cursors"]],
        )

    def test_reset_of_a_group_that_nobody_uses(self):
        site = self.lifeboat()
        self.assertEqual(site.run("cursors", "show", "--group", "nobody").code, harness.FAILED)
        point = self.backup(site)["point"]
        ended = site.run("cursors", "reset", "--group", "nobody", "--point", point, "--yes")
        self.assert_refused(ended, harness.FAILED, "nobody")

    def test_reset_when_all_have_left(self):
        site = self.lifeboat()
        done = self.backup(site)
        self.detach_kafka_tables()
        dry = site.run(
            "cursors", "reset", "--group", "group1", "--point", done["point"], "--dry-run", "--json"
        )
        self.assertEqual((dry.code, dry.json()["dry_run"]), (0, True), dry)
        self.assert_refused(
            site.run("cursors", "reset", "--group", "group1", "--point", done["point"]),
            harness.REFUSED,
            "--yes",
        )
        ended = site.run(
            "cursors", "reset", "--group", "group1", "--point", done["point"], "--yes", "--json"
        )
        self.assertEqual(ended.code, 0, ended)
        shown = site.run(
            "cursors", "show", "--group", "group1", "--point", done["point"], "--json"
        ).json()
        self.assertTrue(
            all(row["cut"] == row["committed"] for row in shown["groups"][0]["cursors"]), shown
        )

    def detach_kafka_tables(self):
        tables = clickhouse(
            WORLD.info,
            "SELECT name FROM system.tables WHERE database = 'posthog' " "AND engine = 'Kafka'",
        ).split()
        self.assertTrue(tables)
        for table in tables:
            self.addCleanup(self.attach, table)
            clickhouse(WORLD.info, f"DETACH TABLE posthog.{table} SYNC")
        site = Lifeboat(self.folder / "site")
        until(
            lambda: not site.run("cursors", "show", "--group", "group1", "--json").json()["groups"][
                0
            ]["members"],
            "the group is empty",
        )

    def attach(self, table):
        try:
            clickhouse(WORLD.info, f"ATTACH TABLE posthog.{table}")
        except AssertionError:
            if clickhouse(WORLD.info, f"EXISTS TABLE posthog.{table}") != "1":
                raise


class FullDisk(WithVault):
    def test_full_disk(self):
        """In a mount namespace of its own, where the vault is a small tmpfs: see full_disk.py."""
        site = self.lifeboat()
        shutil.rmtree(site.vault_path())
        site.vault_path().mkdir()
        unshare = (
            ["unshare", "--mount"]
            if os.geteuid() == 0
            else ["unshare", "--user", "--map-root-user", "--mount"]
        )
        done = subprocess.run(
            unshare + [sys.executable, "-B", str(HERE / "full_disk.py"), str(site.folder)],
            capture_output=True,
            text=True,
            timeout=2 * harness.PATIENCE,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        print(done.stdout)


if __name__ == "__main__":
    unittest.main()

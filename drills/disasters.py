"""The five disasters: what is destroyed, in which order it comes back, what must hold."""

import os
import signal
import subprocess
import sys
import time

import compare
import stores
from scene import BUILD, DrillError, Scene

HOLDS, FAILED, COULD_NOT_VERIFY = "HOLDS", "FAILED", "COULD NOT VERIFY"
CUTS = 20  # points in a row of clickhouse-lost
BOUND = 2.0  # seconds before a loss of which something may be missing


class Drill:
    """One disaster. `options`: seed, events_rate, transactions_rate, seconds (of load after the
    point), keep. `random` is seeded."""

    name = ""
    slow_view = None

    def __init__(self, options, random, say):
        self.options = options
        self.random = random
        self.say = say
        self.lost_at = {}
        self.problems = []  # what was found beside the comparison
        self.rto = 0.0
        self.steps = []
        self.bytes_moved = 0

    def run(self):
        with Scene(self.options.keep, self.slow_view) as scene:
            try:
                return self._play(scene)
            except Exception:
                self._tell_logs(scene)
                raise

    def _play(self, scene):
        scene.start_load(self.options.seed, self.options.events_rate,
                         self.options.transactions_rate)
        scene.start_daemon()
        self.before_point(scene)
        time.sleep(self.random.uniform(1, 6))
        self.say("takes the point")
        scene.backup()
        self.say(f"load goes on for {self.options.seconds} s")
        time.sleep(self.options.seconds)
        self.say("disaster")
        self.destroy(scene)
        self.restore(scene)
        self.say(f"restored in {self.rto:.1f} s; drains and compares")
        self.after_restore(scene)
        time.sleep(3)  # the world goes on for a while on what was restored
        scene.load.stop()
        stores.drain(scene.stack_json, 180, str(BUILD / "bin" / "lifeboat-load"))
        code = scene.daemon.end() if scene.daemon else 0
        if code != 0:
            self.problems.append(f"lifeboat run ended with code {code}")
        report = compare.compare(scene.stack.info(), str(scene.ledger),
                                 self.lost_at.get("kafka"), self.lost_at.get("postgres"), BOUND)
        self.check_more(scene)
        return self.result(scene, report)

    # What each disaster says for itself.
    def before_point(self, scene):
        pass

    def destroy(self, scene):
        raise NotImplementedError

    def restore(self, scene):
        raise NotImplementedError

    def after_restore(self, scene):
        pass

    def check_more(self, scene):
        pass

    # Shared by several.
    def restore_stores(self, scene, names, begins):
        run, done = scene.restore(names, begins)
        self.rto = run.seconds
        self.bytes_moved = run.bytes_moved
        self.steps = [{"name": event["name"], "seconds": round(event.get("seconds", 0), 3)}
                      for event in run.events
                      if event.get("event") == "step" and event.get("state") == "end"]
        return done

    def result(self, scene, report):
        found = list(report.get("stores", {}).values())
        verdict = report["verdict"]
        if verdict == HOLDS and self.problems:
            verdict = FAILED
        held = max([point.get("held_seconds", 0) for point in scene.points()] +
                   getattr(self, "held", []))
        return {
            "drill": self.name,
            "verdict": verdict,
            "lost": sum(each.get("lost", 0) for each in found),
            "duplicated": sum(each.get("duplicated", 0) for each in found),
            "rpo_events": sum(each.get("rpo_events", 0) for each in found),
            "rpo_seconds": max([each.get("rpo_seconds", 0) for each in found], default=0),
            "rto_seconds": round(self.rto, 2),
            "steps": self.steps,
            "held_seconds": round(held, 3),
            "peak_rss_mib": scene.peak_rss_mib(),
            "bytes_moved": self.bytes_moved,
            "seed": self.options.seed,
            "problems": self.problems,
            "reason": report.get("reason"),
            "stores": report.get("stores", {}),
        }

    @staticmethod
    def _tell_logs(scene):
        try:
            lines = (scene.folder / "lifeboat.log").read_text("utf-8", "replace").splitlines()
        except OSError:
            return
        print("\n".join("    " + line[:300] for line in lines[-25:]), file=sys.stderr)


class ClickHouseLost(Drill):
    name = "clickhouse-lost"
    slow_view = 0.3

    def before_point(self, scene):
        """Twenty points in a row under load, of Kafka and ClickHouse alone, in a vault of their
        own; check_more() looks whether each one's cut is exact."""
        folder = scene.folder / "cuts"
        folder.mkdir()
        self.cuts_config = folder / "lifeboat.yaml"
        scene.write_config(self.cuts_config, folder / "vault", ("kafka", "clickhouse"))
        scene.run("init", config=self.cuts_config)
        self.held = []
        for number in range(CUTS):
            time.sleep(self.random.uniform(0, 0.4))
            done = scene.backup(self.cuts_config)
            if not done.get("exact"):
                self.problems.append(f"point {done.get('point')} is not exact")
            self.held.append(done.get("held_seconds", 0))
        self.say(f"{CUTS} points in a row, held {min(self.held):.3f} to {max(self.held):.3f} s")

    def destroy(self, scene):
        scene.lose("clickhouse")

    def restore(self, scene):
        self.restore_stores(scene, ["clickhouse"],
                            {"clickhouse-wait": lambda: scene.stack.start("clickhouse")})

    def check_more(self, scene):
        clickhouse = stores.ClickHouse(scene.stack.info())
        points = scene.points(self.cuts_config)
        if len(points) < CUTS:
            self.problems.append(f"{len(points)} of {CUTS} points are listed")
        for point in points:
            self.check_cut(scene, clickhouse, point["id"])

    def check_cut(self, scene, clickhouse, point):
        """All events below the cut are in the backup, none at or above it."""
        cursors = scene.run("cursors", "show", "--point", point, config=self.cuts_config)
        cut = {(row["topic"], row["partition"]): row["cut"]
               for group in cursors["groups"] for row in group["cursors"]
               if row.get("cut") is not None}
        if len(cut) != sum(stores.TOPICS.values()):
            raise DrillError(f"the cut of point {point} names {len(cut)} partitions")
        clickhouse.ask("DROP DATABASE IF EXISTS cut SYNC")
        clickhouse.ask("CREATE DATABASE cut")
        names = ", ".join(f"TABLE posthog.{table} AS cut.{table}" for table in stores.TABLES)
        clickhouse.ask(f"RESTORE {names} FROM Disk('backups', 'lifeboat-{point}')")
        for what, found, expected in self.compare_cut(clickhouse, cut):
            if found != expected:
                self.problems.append(f"the cut of point {point} is not exact: {what} is {found}, "
                                     f"the cursors say {expected}")

    @staticmethod
    def compare_cut(clickhouse, cut):
        """(what, found, expected). Logs begin at 0 and have no holes, so that the cut says how many
        messages there are and what the sum of their offsets is."""
        def ends(topic):
            return [offset for (name, _), offset in sorted(cut.items()) if name == topic]

        events, replay = ends("events_json"), sum(ends("session_replay_json"))
        count, offsets = sum(events), sum(end * (end - 1) // 2 for end in events)
        for table in ("events", "events_recent"):
            yield (f"rows and offsets of {table}",
                   clickhouse.rows(f"SELECT count(), sum(_offset) FROM cut.{table}"),
                   [(count, offsets)])
        for table, column, expected in (("events_by_day", "event_count", count),
                                        ("session_replay", "message_count", replay),
                                        ("session_replay_by_team", "message_count", replay)):
            yield (f"the sum of {table}",
                   clickhouse.rows(f"SELECT sum({column}) FROM cut.{table}"), [(expected,)])
        yield ("the ends of persons",
               clickhouse.rows("SELECT _partition, max(_offset) + 1 FROM cut.persons "
                               "GROUP BY 1 ORDER BY 1"),
               [(at, end) for at, end in enumerate(ends("persons_json")) if end])


class PostgresLost(Drill):
    name = "postgres-lost"

    def destroy(self, scene):
        self.lost_at["postgres"] = time.time()
        scene.stack.kill("postgres")
        scene.load.pause("postgres")
        scene.stack.wipe("postgres")

    def restore(self, scene):
        self.restore_stores(scene, ["postgres"],
                            {"postgres-wait": lambda: scene.stack.start("postgres")})

    def after_restore(self, scene):
        scene.load.resume("postgres")
        scene.load.wait_until_running("postgres")

    def check_more(self, scene):
        check_postgres(self, scene)


class KafkaLost(Drill):
    name = "kafka-lost"

    def destroy(self, scene):
        self.lost_at["kafka"] = time.time()
        scene.stack.kill("kafka")
        scene.load.pause("kafka")
        scene.stack.wipe("kafka")

    def restore(self, scene):
        self.restore_stores(scene, ["kafka"],
                            {"kafka-wait": lambda: scene.stack.start("kafka")})

    def after_restore(self, scene):
        scene.load.resume("kafka")
        scene.load.wait_until_running("kafka")


class ZooKeeperLost(Drill):
    name = "zookeeper-lost"

    def destroy(self, scene):
        scene.lose("zookeeper")

    def restore(self, scene):
        self.restore_stores(scene, ["zookeeper"], {
            "zookeeper-brokers-stopped": lambda: scene.stack.kill("kafka"),
            "zookeeper-wait": lambda: scene.stack.start("zookeeper"),
            "zookeeper-kafka": lambda: scene.stack.start("kafka"),
        })

    def after_restore(self, scene):
        scene.load.wait_until_running("kafka")


class SiteLost(Drill):
    name = "site-lost"

    def destroy(self, scene):
        self.lost_at["kafka"] = self.lost_at["postgres"] = time.time()
        for name in ("kafka", "postgres", "clickhouse", "zookeeper"):
            scene.stack.kill(name)
        scene.daemon.end(signal.SIGKILL)
        scene.load.pause("kafka")
        scene.load.pause("postgres")
        for name in ("kafka", "postgres", "clickhouse", "zookeeper"):
            scene.stack.wipe(name)
        scene.lose_state()

    def restore(self, scene):
        start = scene.stack.start
        self.restore_stores(scene, ["all"], {
            "zookeeper-wait": lambda: start("zookeeper"),
            "kafka-wait": lambda: start("kafka"),
            "clickhouse-wait": lambda: start("clickhouse"),
            "postgres-wait": lambda: start("postgres"),
        })

    def after_restore(self, scene):
        scene.start_daemon()
        for name in ("kafka", "postgres"):
            scene.load.resume(name)
        for name in ("kafka", "postgres"):
            scene.load.wait_until_running(name)

    def check_more(self, scene):
        check_postgres(self, scene)


def check_postgres(drill, scene):
    """pg_amcheck finds no damage."""
    info = scene.stack.info()["postgres"]
    done = subprocess.run(
        [os.path.join(info["bin"], "pg_amcheck"), "-h", info["host"], "-p", str(info["port"]),
         "-U", info["user"], "--all", "--install-missing", "--heapallindexed"],
        env=dict(os.environ, PGPASSWORD=info["password"]), capture_output=True, text=True,
        timeout=300)
    if done.returncode != 0:
        drill.problems.append(f"pg_amcheck: {(done.stdout + done.stderr).strip()[:800]}")


ALL = (ClickHouseLost, PostgresLost, KafkaLost, ZooKeeperLost, SiteLost)

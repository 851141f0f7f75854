#!/usr/bin/env python3
"""A vault that locks what it holds: a writer that may not delete, a pruner that heeds locks, and an attacker
with all the rights of the bucket's owner, after whom everything comes back as it was."""

import datetime
import time
import unittest
import xml.etree.ElementTree

import harness
from harness import until
from test_real_s3 import S3Case, keys_below, sql

from object_stores import s3_request  # stack/, by harness

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def versions_below(server, bucket, prefix):
    """All versions and delete markers: (key, version id, is marker, is the latest)."""
    out, query = [], {"versions": "", "prefix": prefix}
    while True:
        status, body = s3_request(server, "GET", f"/{bucket}", query=query)
        assert status == 200, body
        root = xml.etree.ElementTree.fromstring(body)
        for kind in ("Version", "DeleteMarker"):
            for one in root.iter(NAMESPACE + kind):
                out.append((one.findtext(NAMESPACE + "Key"), one.findtext(NAMESPACE + "VersionId"),
                            kind == "DeleteMarker", one.findtext(NAMESPACE + "IsLatest") == "true"))
        if root.findtext(NAMESPACE + "IsTruncated") != "true":
            return out
        query["key-marker"] = root.findtext(NAMESPACE + "NextKeyMarker")
        query["version-id-marker"] = root.findtext(NAMESPACE + "NextVersionIdMarker")


class LockedVault(S3Case):
    """The same in the bucket that locks objects; environment and lifeboat.yaml as the test says."""

    def setUp(self):
        super().setUp()
        self.bucket = self.server["locked_bucket"]

    def write_locking_config(self, s3="", more="", bucket=None, **changes):
        text = harness.config_text(self.info(), self.folder, ["postgres"],
                                   vault=f"s3://{bucket or self.bucket}/backups/one", **changes)
        text += (f's3: {{endpoint: "{self.server["endpoint"]}", region: {self.server["region"]}, '
                 f"retry_for: 1s{s3}}}\n{more}")
        self.lifeboat.config.write_text(text)

    def findings(self, code=0):
        ended = self.lifeboat.run("check", "--json")
        self.assertEqual(ended.code, code, ended)
        return {f["name"]: f for f in ended.json()["findings"] if f["store"] == "vault"}

    def lock_of(self, key):
        status, body = s3_request(self.server, "GET", f"/{self.bucket}/{key}", query={"retention": ""})
        if status != 200:
            return None
        root = xml.etree.ElementTree.fromstring(body)
        return datetime.datetime.fromisoformat(root.findtext(NAMESPACE + "RetainUntilDate").replace("Z", "+00:00"))

    def keys(self, prefix):
        return keys_below({**self.server, "bucket": self.bucket}, "backups/one/" + prefix)

    def points(self):
        return [point["id"] for point in self.run_well("points", "--json").json()["points"]]

    def packs_and_roots(self):
        return sorted(self.keys("packs/") + self.keys("snapshots/"))


class Ransom(LockedVault):
    def test_all_comes_back_as_it_was(self):
        self.become("writer")
        self.write_locking_config(", object_lock: {mode: compliance, retain: 2h}")
        self.run_well("init")
        found = self.findings()
        self.assertIn("may not delete", found["deletion"]["what"])
        self.assertIn("may not delete versions", found["object_lock"]["what"])
        sql(self.info(), "CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 50000) n")
        self.run_well("backup")
        self.archive_more()  # and PostgreSQL is lost
        before, points = set(self.keys("")), self.points()
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        for kind in ("vault", "packs/", "snapshots/", "logbook/", "points/"):
            keys = self.keys(kind)
            self.assertTrue(keys)
            for key in keys:
                self.assertGreater(self.lock_of(key), soon, key)
        then = self.moment()

        refused = self.destroy()
        self.assertGreaterEqual(refused, {key for key in before
                                          if not key.startswith(
                                              ("backups/one/index/", "backups/one/cap", "backups/one/probe/"))})
        self.assertNotEqual(self.lifeboat.run("points").code, 0)

        self.become("reader")
        self.write_locking_config(f', as_of: "{then}"')
        self.assertEqual(self.points(), points)
        self.assertIn("VERIFIED", self.run_well("verify").out)
        self.lose_and_restore()
        self.assertEqual(sql(self.info(), "SELECT count(*), max(n) FROM t"), "60000|60000")
        refused = self.lifeboat.run("backup")
        self.assertEqual(refused.code, harness.REFUSED, refused)
        self.assertIn("read as it was", refused.err)

    def moment(self):
        """Now; whatever is written later has a later second at the server."""
        now = datetime.datetime.now(datetime.timezone.utc)
        until(lambda: self.second_of_server() > now, "the server's next second")
        return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def second_of_server(self):
        s3_request(self.server, "PUT", f"/{self.bucket}/tick", b"x")
        _, body = s3_request(self.server, "GET", f"/{self.bucket}", query={"list-type": "2", "prefix": "tick"})
        text = xml.etree.ElementTree.fromstring(body).find(f".//{NAMESPACE}LastModified").text
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))

    def destroy(self):
        """As somebody with the owner's keys would; returns the keys of which a version could not be deleted."""
        refused = set()
        for key, version, _, _ in versions_below(self.server, self.bucket, "backups/"):
            status, _ = s3_request(self.server, "DELETE", f"/{self.bucket}/{key}", query={"versionId": version},
                                   extra={"x-amz-bypass-governance-retention": "true"})
            if status == 403:
                refused.add(key)
        for key in self.keys(""):
            if "/packs/" in key or key.endswith("/vault"):
                s3_request(self.server, "PUT", f"/{self.bucket}/{key}", b"pay us")
            else:
                s3_request(self.server, "DELETE", f"/{self.bucket}/{key}")
        return refused


class Prune(LockedVault):
    def test_the_writer_may_not_delete_and_the_pruner_heeds_locks(self):
        lock = ", object_lock: {mode: governance, retain: 20s}"
        self.become("writer")
        self.write_locking_config(lock)
        self.run_well("init")
        first = self.backup_of(1)
        of_first = set(self.packs_and_roots())
        second = self.backup_of(2)
        self.become("pruner")
        self.write_locking_config("", "retention: {keep_last: 1, grace: 1s}\n")
        report = self.run_well("prune", "--json").json()
        ended = lambda one: one["id"] == first and not one["keep"]  # noqa: E731
        if not any(ended(one) for one in report["points"]):  # a slow machine may come after its lock
            self.assertIn("locked until", str(report["points"]))
            self.assertEqual(report["dropped"], [])
        self.assertLessEqual(of_first, set(self.packs_and_roots()))
        until(lambda: self.prune_and_look(of_first), "the first point's content is deleted")
        self.assertEqual(self.points(), [second])
        self.assertIn("VERIFIED", self.run_well("verify").out)

    def backup_of(self, seed):
        sql(self.info(), f"DROP TABLE IF EXISTS t; CREATE TABLE t AS SELECT md5((n + {seed})::text || '{seed}') "
                         "FROM generate_series(1, 30000) n; CHECKPOINT")
        before = set(self.keys("points/"))
        self.run_well("backup")
        new = set(self.keys("points/")) - before
        self.assertEqual(len(new), 1)
        return new.pop().rsplit("/", 1)[1]

    def prune_and_look(self, of_first):
        """What is locked is there, whatever prune did."""
        locked = {key for key in of_first if (lock := self.lock_of(key)) is not None and
                  lock > datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)}
        begun = time.monotonic()
        report = self.run_well("prune", "--json").json()
        if time.monotonic() - begun < 5:
            self.assertLessEqual(locked, set(self.packs_and_roots()), report)
        return not of_first <= set(self.packs_and_roots())

    def test_archiver_without_deletion(self):
        """What it merges stays until prune comes; it archives on, and says so once."""
        self.become("writer")
        self.write_locking_config("", "logbook: {merge_after: 1s, remove_after: 1s}\n", flush_interval="100ms")
        self.run_well("init")
        self.run_well("backup")
        daemon = self.lifeboat.start("run")
        self.addCleanup(harness.end, daemon)
        until(lambda: self.insert_and_find(daemon, "may not delete what was merged"), "the archiver says it")
        daemon.terminate()
        self.assertEqual(daemon.wait(timeout=harness.PATIENCE), 0, daemon.log.read_text())
        before = len(self.keys("logbook/"))
        self.become("pruner")
        self.write_locking_config("", "logbook: {remove_after: 1s}\nretention: {keep_last: 9}\n")
        self.run_well("prune")
        self.assertLess(len(self.keys("logbook/")), before)
        self.assertIn("VERIFIED", self.run_well("verify").out)
        self.become("writer")
        refused = self.lifeboat.run("prune", "--drop", self.points()[0], "--dry-run")
        self.assertNotEqual(refused.code, 0)  # the only point
        self.run_well("backup")
        refused = self.lifeboat.run("prune", "--drop", self.points()[0])
        self.assertEqual(refused.code, harness.UNAVAILABLE, refused)
        self.assertIn("credentials that may delete", refused.err)

    def insert_and_find(self, daemon, words):
        sql(self.info(), "CREATE TABLE IF NOT EXISTS u(n int); INSERT INTO u VALUES (1)")
        self.assertIsNone(daemon.poll(), daemon.log.read_text())
        return words in daemon.log.read_text()


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def taken_at(point):
    return datetime.datetime.strptime(point.split("-")[0] + "+0000", "%Y%m%dT%H%M%S%fZ%z")


class Window(LockedVault):
    """The logbook's window and the results of verify, in a bucket that locks."""

    def test_the_logbook_before_the_window_goes_when_its_locks_end(self):
        self.become("writer")
        self.write_locking_config(", object_lock: {mode: governance, retain: 15s}",
                                  "logbook: {merge_after: 1s, remove_after: 1s}\n", flush_interval="100ms")
        self.run_well("init")
        sql(self.info(), "CREATE TABLE t(n int, text text)")
        daemon = self.lifeboat.start("run")
        self.addCleanup(harness.end, daemon)
        points = []
        for round_ in range(3):
            sql(self.info(), f"INSERT INTO t SELECT n, md5((n + {round_})::text) FROM generate_series(1, 30000) n; "
                             "SELECT pg_switch_wal(); CHECKPOINT")
            self.run_well("backup")
            points.append(self.points()[-1])
            # The window of a second is to begin with the second one.
            until(lambda: now() > taken_at(points[-1]) + datetime.timedelta(seconds=1.1), "a second has passed")
        sql(self.info(), "INSERT INTO t VALUES (-1, 'last')")
        end = int(sql(self.info(), "SELECT pg_current_wal_flush_lsn() - '0/0'"))
        until(lambda: self.wal()["next"] >= end, "the last row is archived")
        daemon.terminate()
        self.assertEqual(daemon.wait(timeout=harness.PATIENCE), 0, daemon.log.read_text())
        first = self.wal()["first"]

        self.become("pruner")
        self.write_locking_config("", "logbook: {merge_after: 1s, remove_after: 1s}\n"
                                      "retention: {keep_last: 1, keep_logbook: 1s, grace: 1s}\n")
        for _ in range(3):  # what they keep is replaced, and never locked
            self.run_well("verify", "--data")
        proofs = self.keys("proofs/")
        self.assertEqual(len(proofs), 1)
        self.assertIsNone(self.lock_of(proofs[0]))
        until(self.prune_well, "what lay before the window is gone")
        self.assertEqual(self.points(), points[1:])
        self.assertGreater(self.wal()["first"], first)
        self.assertIn("VERIFIED", self.run_well("verify", "--data").out)
        self.stack.kill("postgres")
        self.stack.wipe("postgres")
        self.lose_and_restore()
        self.assertEqual(sql(self.info(), "SELECT count(*), count(*) FILTER (WHERE text = 'last') FROM t"), "90001|1")

    def wal(self):
        logs = self.run_well("logbook", "ls", "--json").json()["logs"]
        return next(log for log in logs if log["log"].startswith("postgres/"))

    def prune_well(self):
        """Whatever is still locked, prune ends well, and what is left is whole."""
        self.run_well("prune")
        self.assertIn("VERIFIED", self.run_well("verify").out)
        return len(self.points()) == 2 and not self.keys("prune/")


class NoLocks(LockedVault):
    def test_a_bucket_that_locks_nothing_is_said_loudly(self):
        self.write_locking_config(", object_lock: {mode: compliance, retain: 30d}", bucket=self.server["bucket"])
        ended = self.lifeboat.run("init")
        self.assertNotEqual(ended.code, 0)
        self.assertIn("Object Lock", ended.err)
        self.write_locking_config(bucket=self.server["bucket"])
        self.run_well("init")
        self.write_locking_config(", object_lock: {mode: compliance, retain: 30d}", bucket=self.server["bucket"])
        found = self.findings(code=harness.FAILED)["object_lock"]
        self.assertEqual(found["level"], "problem")
        self.assertIn("Object Lock", found["hint"])
        ended = self.lifeboat.run("backup")
        self.assertNotEqual(ended.code, 0)
        self.assertIn("Object Lock", ended.err)


if __name__ == "__main__":
    unittest.main()

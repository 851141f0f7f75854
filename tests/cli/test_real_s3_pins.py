#!/usr/bin/env python3
"""Who restores from S3, with as few rights as can be: one that may read everything, and write and delete
below pins/ only, keeps its point from another identity's prune; one that may only read is warned."""

import json
import unittest

import harness
from harness import until
from test_real_s3 import S3Case, keys_below

from object_stores import s3_request  # stack/, by harness

PREFIX = "backups/one"
# A day: nothing that is dropped goes within the test.
RETENTION = "retention: {keep_last: 1, grace: 1s, keep_for_resume: 1d}\n"
ROWS = 20000


class RestorersRights(S3Case):
    def setUp(self):
        super().setUp()
        with open(self.lifeboat.config, "a", encoding="utf-8") as config:
            config.write(RETENTION)
        self.run_well("init")
        self.sql(f"CREATE TABLE rows AS SELECT md5(n::text) FROM generate_series(1, {ROWS}) n")
        self.point = self.backup()
        self.newest = self.backup()
        self.stack.kill("postgres")
        self.stack.wipe("postgres")

    def sql(self, statement):
        return harness.sql(self.info(), statement)

    def backup(self):
        return self.run_well("backup", "--json").events()[-1]["point"]

    def policy(self, *statements):
        """The bucket's, for the identity `reader`; README has the same for AWS."""
        body = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": effect, "Principal": {"AWS": ["arn:aws:iam::000000000000:user/reader"]}, "Action": actions,
             "Resource": [f"arn:aws:s3:::{self.server['bucket']}/{PREFIX}/pins/*"]}
            for effect, actions in statements]}).encode()
        status, said = s3_request(self.server, "PUT", f"/{self.server['bucket']}", body, {"policy": ""})
        self.assertEqual(status, 204, said)

    def keys(self, below=""):
        return keys_below(self.server, f"{PREFIX}/{below}")

    def tries(self, method, key):
        """What the server says to `reader`."""
        who = {**self.server, **self.server["identities"]["reader"]}
        return s3_request(who, method, f"/{self.server['bucket']}/{PREFIX}/{key}", b"x" if method == "PUT" else b"")[0]

    def start_restore(self):
        """As `reader`, until it waits for PostgreSQL."""
        self.become("reader")
        process = self.lifeboat.start("restore", "postgres", "--point", self.point, "--yes")
        self.addCleanup(harness.end, process)
        self.until_said(process, "Wait until PostgreSQL has recovered")
        return process

    def until_said(self, process, words):
        def said():
            self.assertIsNone(process.poll(), process.log.read_text())
            return words in process.log.read_text()

        until(said, f"the restore says: {words}")

    def finish(self, process):
        self.stack.start("postgres")  # it fetches its WAL as `reader`
        self.assertEqual(process.wait(timeout=harness.PATIENCE), 0, process.log.read_text())
        self.assertEqual(int(self.sql("SELECT count(*) FROM rows")), ROWS)

    def prune(self, *more):
        self.become("pruner")
        dropped = self.run_well("prune", "--wait", "--json", *more).json()["dropped"]
        self.become("reader")
        return dropped

    def test_one_that_may_write_below_pins(self):
        rights = ("Allow", ["s3:PutObject", "s3:DeleteObject"])
        self.policy(rights)
        self.assertEqual(self.tries("PUT", "points/mine"), 403)
        self.assertEqual(self.tries("PUT", "pinsandmore"), 403)
        self.assertEqual(self.tries("DELETE", f"points/{self.newest}"), 403)
        process = self.start_restore()
        self.assertNotIn("WARNING", process.log.read_text())
        (pin,) = self.keys("pins/")
        for more in ((), ("--drop", self.point)):
            self.assertEqual(self.prune(*more), [])
        self.assertIn(f"{PREFIX}/points/{self.point}", self.keys("points/"))

        self.policy(rights, ("Deny", ["s3:PutObject"]))
        self.until_said(process, "WARNING: this restore cannot tell the vault that it goes on")
        self.policy(rights)
        self.until_said(process, "prune knows again")
        self.assertEqual(process.log.read_text().count("WARNING"), 1)
        self.assertEqual(self.keys("pins/"), [pin])
        self.finish(process)
        self.assertEqual(self.keys("pins/"), [])
        self.assertEqual(self.prune(), [self.point])

    def test_one_that_may_write_and_not_delete_leaves_a_pin_that_does_not_count(self):
        self.policy(("Allow", ["s3:PutObject"]))
        process = self.start_restore()
        self.finish(process)
        self.assertNotIn("WARNING", process.log.read_text())
        self.assertEqual(len(self.keys("pins/")), 1)
        self.assertEqual(self.prune(), [self.point])
        until(lambda: self.prune() == [] and self.keys("pins/") == [], "prune removes what is left of the pin")

    def test_one_that_may_only_read(self):
        self.policy(("Deny", ["s3:PutObject", "s3:DeleteObject"]))
        before = self.keys()
        process = self.start_restore()
        said = process.log.read_text()
        self.assertIn(f"WARNING: point {self.point} could not be pinned", said)
        self.assertIn("who restores needs to write below pins/", said)
        self.finish(process)
        self.assertEqual(process.log.read_text().count("WARNING"), 1)
        self.assertEqual(self.keys(), before)


if __name__ == "__main__":
    unittest.main()

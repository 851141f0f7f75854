#!/usr/bin/env python3
"""The program with its vault in S3: PostgreSQL is backed up, its WAL is archived, all is lost, and comes
back out of the bucket; PostgreSQL fetches its WAL from there by itself."""

import os
import subprocess
import unittest
import xml.etree.ElementTree

import harness
from harness import Lifeboat, Stack, until

from object_stores import s3_request  # stack/, by harness

POSTGRES_BIN = "/usr/lib/postgresql/15/bin"


def sql(info, statement):
    postgres = info["postgres"]
    done = subprocess.run(
        [f"{POSTGRES_BIN}/psql", "-XqAt", "-h", postgres["host"], "-p", str(postgres["port"]),
         "-U", postgres["user"], "-d", postgres["database"], "-c", statement],
        env=dict(os.environ, PGPASSWORD=postgres["password"]), capture_output=True, text=True,
        timeout=harness.PATIENCE, check=True)
    return done.stdout.strip()


def keys_below(server, prefix):
    status, body = s3_request(server, "GET", f"/{server['bucket']}",
                              query={"list-type": "2", "prefix": prefix})
    assert status == 200, body
    namespace = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    return [key.text for key in xml.etree.ElementTree.fromstring(body).iter(f"{namespace}Key")]


class S3Case(unittest.TestCase):
    """PostgreSQL and a vault in S3."""

    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.stack = Stack(self.folder / "stack", ["postgres", "seaweedfs"])
        self.addCleanup(self.stack.close)
        self.stack.start_all()
        self.server = self.info()["seaweedfs"]
        self.lifeboat = Lifeboat(self.folder)
        self.write_config()
        # For this program's children: Lifeboat, and the PostgreSQL that fetches WAL.
        for name, value in (("AWS_ACCESS_KEY_ID", self.server["access_key"]),
                            ("AWS_SECRET_ACCESS_KEY", self.server["secret_key"])):
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name, None)

    def info(self):
        return self.stack.info()

    def become(self, name):
        """One of the stack's identities; else the bucket's owner."""
        key = self.server["identities"].get(name, self.server)
        os.environ["AWS_ACCESS_KEY_ID"] = key["access_key"]
        os.environ["AWS_SECRET_ACCESS_KEY"] = key["secret_key"]

    def write_config(self, bucket=None, endpoint=None):
        text = harness.config_text(self.info(), self.folder, ["postgres"],
                                   vault=f"s3://{bucket or self.server['bucket']}/backups/one")
        endpoint = endpoint or self.server["endpoint"]
        text += f's3: {{endpoint: "{endpoint}", region: {self.server["region"]}, retry_for: 1s}}\n'
        self.lifeboat.config.write_text(text)

    def run_well(self, *words):
        ended = self.lifeboat.run(*words)
        self.assertEqual(ended.code, 0, ended)
        return ended

    def archive_more(self):
        daemon = self.lifeboat.start("run")
        self.addCleanup(harness.end, daemon)
        sql(self.info(),
            "INSERT INTO t SELECT n, md5(n::text) FROM generate_series(50001, 60000) n")
        end = int(sql(self.info(), "SELECT pg_current_wal_flush_lsn() - '0/0'"))

        def archived():
            logs = self.run_well("status", "--json").json()["logs"]
            return any(log["log"].startswith("postgres/") and log["next"] >= end for log in logs)

        until(archived, f"the logbook holds the WAL up to {end}")
        self.stack.kill("postgres")
        self.stack.wipe("postgres")
        daemon.terminate()
        self.assertEqual(daemon.wait(timeout=harness.PATIENCE), 0, daemon.log.read_text())

    def lose_and_restore(self):
        process = self.lifeboat.start("restore", "postgres", "--yes", "--json")
        self.addCleanup(harness.end, process)

        def waits():
            self.assertIsNone(process.poll(), process.log.read_text())
            return '"postgres-wait"' in process.log.read_text()

        until(waits, "the restore waits for PostgreSQL")
        self.stack.start("postgres")
        self.assertEqual(process.wait(timeout=harness.PATIENCE), 0, process.log.read_text())


class S3Vault(S3Case):
    def test_backup_and_restore(self):
        first = self.run_well("init")
        self.assertIn("made a plain vault", first.err)
        self.assertIn("is there already", self.run_well("init").err)
        sql(self.info(), "CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 50000) n")
        self.run_well("backup")
        points = self.run_well("points", "--json").json()["points"]
        self.assertEqual(len(points), 1)
        self.verify_in_the_bucket()
        self.assertIn("backups/one/vault", keys_below(self.server, ""))
        self.assertIn("backups/one/capabilities", keys_below(self.server, ""))
        self.assertEqual(keys_below(self.server, "backups/one/probe/"), [])
        self.archive_more()
        self.lose_and_restore()
        self.assertEqual(sql(self.info(), "SELECT count(*), max(n) FROM t"), "60000|60000")
        self.assertFalse((self.folder / "vault").exists())

    def proof(self):
        return self.run_well("points", "--json").json()["points"][0]["proof"]

    def verify_in_the_bucket(self):
        """Each depth; a pack that was changed there; what is kept is one object."""
        self.assertEqual(self.proof()["state"], "never")
        for words, depth in (([], "existence"), (["--sample", "5%"], "sample"), (["--data"], "data")):
            self.assertIn("VERIFIED", self.run_well("verify", *words).out)
            self.assertTrue(self.proof()[depth])
        pack = keys_below(self.server, "backups/one/packs/")[0]
        _, whole = s3_request(self.server, "GET", f"/{self.server['bucket']}/{pack}")
        self.put(pack, whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        failed = self.lifeboat.run("verify", "--data", "--json")
        self.assertEqual(failed.code, harness.CORRUPT, failed)
        self.assertEqual([d["object"] for d in failed.json()["damages"]], [pack.removeprefix("backups/one/")])
        self.assertEqual(self.proof()["state"], "FAILED")
        self.put(pack, whole)
        self.run_well("verify", "--data")
        self.assertEqual(self.proof()["state"], "VERIFIED")
        self.assertEqual(len(keys_below(self.server, "backups/one/proofs/")), 1)

    def put(self, key, content):
        status, body = s3_request(self.server, "PUT", f"/{self.server['bucket']}/{key}", content)
        self.assertEqual(status, 200, body)

    def test_a_store_that_does_not_keep_writers_apart(self):
        """As `check` would have recorded it: `run` and `backup` say it, archivers that share are refused."""
        self.run_well("init")
        found = self.run_well("check", "--json").json()["findings"]
        self.assertEqual([f["level"] for f in found if f["name"] == "writers"], ["ok"])
        status, _ = s3_request(self.server, "PUT", f"/{self.server['bucket']}/backups/one/capabilities",
                               b'{"put_if_absent":true,"put_if_unchanged":false,"what":"two won"}')
        self.assertEqual(status, 200)
        self.assertIn("SINGLE WRITER", self.run_well("backup").err)
        with open(self.lifeboat.config, "a", encoding="utf-8") as config:
            config.write("kafka: {bootstrap: [127.0.0.1:1], archiver_group: archivers}\n")
        refused = self.lifeboat.run("run")
        self.assertEqual(refused.code, harness.REFUSED, refused)
        self.assertIn("archiver_group", refused.err)

    def test_what_is_wrong_is_said(self):
        self.write_config(bucket="not-there")
        ended = self.lifeboat.run("init")
        self.assertEqual(ended.code, harness.FAILED, ended)
        self.assertIn("bucket does not exist", ended.err)
        self.assertIn("make the bucket", ended.err)

        self.write_config(endpoint=f"http://127.0.0.1:{harness.unused_port()}")
        ended = self.lifeboat.run("points")
        self.assertEqual(ended.code, harness.UNAVAILABLE, ended)

        self.write_config()
        for name, value, words in (("AWS_ACCESS_KEY_ID", "nobody", "access key"),
                                   ("AWS_SECRET_ACCESS_KEY", "wrong", "secret key")):
            ended = self.lifeboat.run("points", environment={name: value})
            self.assertEqual(ended.code, harness.UNAVAILABLE, ended)
            self.assertIn(words, ended.err)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""What the vault's store was seen to do when writers race: asked, recorded, told. Needs no server."""

import json
import signal
import socket
import unittest

import harness
from harness import Lifeboat, until

CONFIG = """vault: {folder}/vault
postgres:
  url: postgresql://lifeboat@127.0.0.1:{port}/postgres
"""
NO = json.dumps({"put_if_absent": True, "put_if_unchanged": False, "what": "two of them won"})


class Writers(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.lifeboat = Lifeboat(self.folder)
        self.record = self.lifeboat.vault_path() / "capabilities"
        self.configure(1)

    def configure(self, port):
        self.lifeboat.config.write_text(CONFIG.format(folder=self.folder, port=port))

    def init(self):
        self.assertEqual(self.lifeboat.run("init").code, harness.FAILED)  # no PostgreSQL there
        self.assert_recorded(True)

    def assert_recorded(self, several):
        found = json.loads(self.record.read_text())
        self.assertEqual(found["put_if_absent"] and found["put_if_unchanged"], several, found)

    def finding(self, *words):
        found = self.lifeboat.run(*words, "--json").json()["findings"]
        return next(one for one in found if one["name"] == "writers")

    def test_init_asks_before_it_looks_at_servers(self):
        """One that takes a connection and never answers: whoever loses patience has it recorded."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self.configure(silent.getsockname()[1])
            init = self.lifeboat.start("init")
            self.addCleanup(harness.end, init)
            silent.settimeout(harness.PATIENCE)
            connection, _ = silent.accept()
            with connection:
                self.assert_recorded(True)
                init.send_signal(signal.SIGINT)
                init.wait(timeout=harness.PATIENCE)

    def test_init_again_asks_what_is_not_recorded(self):
        self.init()
        for damage in (self.record.unlink, lambda: self.record.write_bytes(b'{"put_if_abs')):
            damage()
            self.lifeboat.run("init", "--dry-run")
            self.assertFalse(self.record.exists() and self.record.read_bytes().endswith(b"}"))
            self.assertEqual(self.finding("init")["level"], "ok")
            self.assert_recorded(True)

    def test_backup_and_run_ask_what_is_not_recorded(self):
        self.init()
        self.record.unlink()
        self.lifeboat.run("backup")
        self.assert_recorded(True)
        self.record.write_bytes(b"")
        run = self.lifeboat.start("run")
        self.addCleanup(harness.end, run)
        until(lambda: self.record.read_bytes().endswith(b"}"), "run has it recorded")
        self.assert_recorded(True)

    def test_a_no_is_lifted_by_reprobe_only(self):
        self.init()
        self.record.write_text(NO)
        for words in (["init"], ["check"]):
            found = self.finding(*words)
            self.assertEqual(found["level"], "warning")
            for word in ("SINGLE WRITER", "two of them won"):
                self.assertIn(word, found["what"])
            self.assertIn("lifeboat check --reprobe", found["hint"])
            self.assertEqual(self.record.read_text(), NO)
        self.assertIn("SINGLE WRITER", self.lifeboat.run("backup").err)
        self.assertEqual(self.record.read_text(), NO)
        self.assertEqual(self.finding("check", "--reprobe")["level"], "ok")
        self.assert_recorded(True)
        self.assertNotIn("SINGLE WRITER", self.lifeboat.run("backup").err)

    def test_who_looks_is_told(self):
        self.init()
        for record, word in ((NO, "two of them won"), ("", "lifeboat check")):
            self.record.write_text(record)
            points, status = self.lifeboat.run("points"), self.lifeboat.run("status")
            for said in (points.err, status.out):
                self.assertIn("SINGLE WRITER", said)
                self.assertIn(word, said)
            self.assertIn(word, self.lifeboat.run("points", "--json").json()["single_writer"])
            status = self.lifeboat.run("status", "--json").json()
            self.assertIn(word, status["vault"]["single_writer"])
            self.assertEqual(self.record.read_text(), record)
        self.lifeboat.run("check")
        self.assertIsNone(self.lifeboat.run("points", "--json").json()["single_writer"])
        self.assertNotIn("SINGLE WRITER", self.lifeboat.run("status").out)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""`prune` on small vaults: what goes, why, when. Needs no server."""

import json
import unittest

import harness
import sealed_vault
from harness import Lifeboat

CONFIG = """vault: {folder}/vault
postgres:
  url: postgresql://lifeboat@127.0.0.1:1/postgres
"""
RETENTION = "retention: {keep_last: 1, keep_labels: [pinned], grace: 1s}\n"
IDS = ["20260101T000000000Z-0001", "20260102T000000000Z-0002", "20260103T000000000Z-0003"]


class Prune(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.lifeboat = Lifeboat(self.folder)
        self.configure(RETENTION)
        self.lifeboat.run("init")
        for id in IDS:
            self.write_point(id)

    def configure(self, more):
        self.lifeboat.config.write_text(CONFIG.replace("{folder}", str(self.folder)) + more)

    def write_point(self, id, **more):
        time = f"{id[:4]}-{id[4:6]}-{id[6:8]}T00:00:00.000Z"
        point = {"id": id, "created": time, "label": "", **more}
        if "state" not in more:
            point |= {"finished": time, "stores": {}}
        name = f"points/{id}"
        path = self.lifeboat.vault_path() / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(sealed_vault.frame(sealed_vault.POINT, name, json.dumps(point).encode()))

    def points(self):
        return self.lifeboat.run("points", "--json").json()

    def ids(self):
        return [point["id"] for point in self.points()["points"]]

    def test_without_retention_nothing_is_dropped(self):
        self.configure("")
        ended = self.lifeboat.run("prune")
        self.assertEqual(ended.code, harness.USAGE, ended)
        for word in ("retention", "keep_last", "lifeboat init --print"):
            self.assertIn(word, ended.err)
        self.assertEqual(self.ids(), IDS)

    def test_what_is_named_goes_without_retention(self):
        """All other points stay; what it frees is deleted by a plain prune, as there is no other."""
        self.configure("")
        told = self.lifeboat.run("prune", "--dry-run", "--drop", IDS[1])
        self.assertEqual(told.code, 0, told)
        self.assertRegex(told.out, rf"{IDS[1]} +dropped")
        self.assertEqual(self.ids(), IDS)
        stray = self.lifeboat.vault_path() / "snapshots" / ("0" * 64)
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"whatever: no point names it")
        ended = self.lifeboat.run("prune", "--drop", IDS[1], "--json")
        self.assertEqual(ended.code, 0, ended)
        self.assertEqual(ended.json()["dropped"], [IDS[1]])
        self.assertEqual(self.ids(), [IDS[0], IDS[2]])
        waits = self.lifeboat.run("prune", "--json")
        self.assertEqual([step["state"] for step in waits.json()["steps"]], ["waits"], waits)
        self.assertTrue(stray.exists())
        self.assertEqual(self.lifeboat.run("prune", "--unpin", "nowhere").code, harness.FAILED)

    def test_a_dry_run_says_what_and_why(self):
        self.write_point(IDS[0], label="pinned")
        before = harness.fingerprint(self.lifeboat.vault_path())
        told = self.lifeboat.run("prune", "--dry-run", "--json").json()
        self.assertEqual([point["keep"] for point in told["points"]], [True, False, True])
        self.assertEqual(told["points"][0]["why"], ["its label 'pinned'"])
        self.assertEqual(told["points"][2]["why"], ["the newest", "last 1 of 1"])
        self.assertTrue(told["dry_run"])
        text = self.lifeboat.run("prune", "--dry-run")
        self.assertEqual(text.code, 0, text)
        self.assertRegex(text.out, rf"{IDS[1]} +dropped +no rule")
        self.assertIn("nothing was changed", text.err)
        self.assertEqual(harness.fingerprint(self.lifeboat.vault_path()), before)

    def test_drops_and_waits(self):
        stray = self.lifeboat.vault_path() / "snapshots" / ("0" * 64)
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"whatever: no point names it")
        told = self.lifeboat.run("prune", "--json").json()
        self.assertEqual(told["dropped"], IDS[:2])
        self.assertEqual([step["state"] for step in told["steps"]], ["waits"])
        self.assertEqual(self.ids(), IDS[2:])
        self.assertTrue(stray.exists())
        ended = self.lifeboat.run("prune", "--wait")
        self.assertEqual(ended.code, 0, ended)
        self.assertIn("deleted: 0 packs", ended.out)
        self.assertFalse(stray.exists())
        self.assertEqual(self.lifeboat.run("prune", "--json").json()["steps"], [])

    def test_a_broken_point_blocks_until_it_is_given_up(self):
        broken = self.lifeboat.vault_path() / "points" / IDS[0]
        broken.write_bytes(b"not a point")
        ended = self.lifeboat.run("prune")
        self.assertEqual(ended.code, harness.CORRUPT, ended)
        self.assertIn(f"lifeboat prune --drop {IDS[0]}", ended.err)
        self.assertEqual(self.ids(), IDS)
        ended = self.lifeboat.run("prune", "--drop", IDS[0])
        self.assertEqual(ended.code, 0, ended)
        self.assertEqual(self.ids(), IDS[2:])
        self.assertEqual(self.lifeboat.run("prune", "--drop", "nowhere").code, harness.FAILED)

    def test_the_last_point_is_refused(self):
        self.lifeboat.run("prune")
        ended = self.lifeboat.run("prune", "--drop", IDS[2])
        self.assertEqual(ended.code, harness.REFUSED, ended)
        self.assertEqual(self.ids(), IDS[2:])

    def test_points_that_are_being_taken_are_told_apart(self):
        dead = {"state": "open", "host": "db1", "folder": "/var/lib/lifeboat", "process": 4711}
        self.write_point("20260104T000000000Z-0004", **dead)
        self.assertEqual(self.ids(), IDS)
        self.assertEqual([one["state"] for one in self.points()["unfinished"]], ["open"])
        self.assertIn("is being taken since 2026-01-04", self.lifeboat.run("points").err)
        told = self.lifeboat.run("prune", "--json").json()
        self.assertEqual(told["revoked"], ["20260104T000000000Z-0004"])
        self.assertIn("revoked", [one["state"] for one in self.points()["unfinished"]])
        self.assertIn("was revoked at", self.lifeboat.run("points").err)

    def test_a_store_of_one_writer_is_refused(self):
        record = {"put_if_absent": True, "put_if_unchanged": False, "what": "it was written over"}
        (self.lifeboat.vault_path() / "capabilities").write_text(json.dumps(record))
        ended = self.lifeboat.run("prune")
        self.assertEqual(ended.code, harness.REFUSED, ended)
        self.assertIn("--nobody-else-writes", ended.err)
        self.assertEqual(self.lifeboat.run("prune", "--nobody-else-writes").code, 0)
        self.assertEqual(self.ids(), IDS[2:])


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""A pack of a real ZooKeeper's backup is cut off: `verify` names it and what it costs, the next `backup`
stores anew what it held, `prune` deletes nothing while it is not known what the older point needs, and all of
it when that point is given up. Needs what stack/setup installs, and the build."""

import unittest

import harness
from harness import Lifeboat, Stack


class DamagedPack(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.stack = Stack(self.folder / "stack", ["zookeeper"])
        self.addCleanup(self.stack.close)
        self.stack.start_all()
        self.lifeboat = Lifeboat(self.folder)
        self.lifeboat.config.write_text(
            harness.config_text(self.stack.info(), self.folder, ["zookeeper"])
            + "retention: {keep_last: 9, grace: 1s}\n")
        self.run_verb("init")

    def run_verb(self, *words, code=0):
        ended = self.lifeboat.run(*words)
        self.assertEqual(ended.code, code, ended)
        return ended

    def verdicts(self, told):
        return {result["id"]: result["verdict"] for result in told["results"]}

    def test_the_next_backup_goes_on(self):
        first = self.run_verb("backup", "--json").events()[-1]["point"]
        self.run_verb("verify", "--data")
        packs = harness.vault_objects(self.lifeboat.vault_path() / "packs")
        bad = max(packs, key=lambda path: path.stat().st_size)
        bad.write_bytes(bad.read_bytes()[: bad.stat().st_size // 2])
        told = self.run_verb("verify", "--json", code=harness.CORRUPT).json()
        (damage,) = told["damages"]
        self.assertEqual(damage["object"], str(bad.relative_to(self.lifeboat.vault_path())))
        self.assertEqual((damage["points"], self.verdicts(told)), ([first], {first: "FAILED"}))
        self.assertTrue(damage["hits"])
        self.assertIn("lifeboat backup", damage["next"])
        # The list of the point's files lay in it: what the point needs is not known.
        refused = self.run_verb("prune", "--wait", code=harness.CORRUPT)
        self.assertIn(f"prune --drop {first}", refused.err)

        second = self.run_verb("backup", "--json").events()[-1]["point"]
        told = self.run_verb("verify", "--data", "--json", code=harness.CORRUPT).json()
        self.assertEqual(self.verdicts(told), {first: "FAILED", second: "VERIFIED"})
        # The list has times, and is another one each time.
        self.assertTrue(all(hit.endswith("list of entries") for hit in told["damages"][0]["hits"]), told)
        self.run_verb("prune", "--wait", "--drop", first)

        def gone():  # it must be older than the grace period
            self.run_verb("prune", "--wait")
            return not bad.exists()

        harness.until(gone, "prune removes what nobody can use")
        self.run_verb("verify", "--data")


if __name__ == "__main__":
    unittest.main()

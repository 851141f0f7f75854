#!/usr/bin/env python3
"""The models hold, and each of them fails without any one of the measures that it names."""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

MODELS = pathlib.Path(__file__).resolve().parents[2] / "models"
PATIENCE = 1200


def check(model, without=0, *defines):
    """(errors, states) of all orders of the model's steps."""
    with tempfile.TemporaryDirectory(prefix="lifeboat-model-") as folder:
        def run(*command):
            return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True,
                                  timeout=PATIENCE).stdout

        run("spin", *defines, f"-DWITHOUT={without}", "-a", str(model))
        run("gcc", "-O2", "-DSAFETY", "-o", "pan", "pan.c")
        said = run("./pan", "-m1000000")
    errors = int(re.search(r"errors: (\d+)", said)[1])
    whole = "search not completed" not in said.lower() and "search depth too small" not in said
    if errors == 0 and not whole:
        raise AssertionError(f"{model.name}: not all was tried:\n{said}")
    return errors, int(re.search(r"(\d+) states, stored", said)[1])


class Models(unittest.TestCase):
    def check_all(self, name):
        model = MODELS / name
        measures = sorted({int(n) for n in re.findall(r"WITHOUT [!=]= (\d+)", model.read_text())})
        self.assertEqual(measures, list(range(1, len(measures) + 1)))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            found = dict(zip([0, *measures],
                             pool.map(lambda n: check(model, n), [0, *measures])))
        errors, states = found.pop(0)
        self.assertEqual(errors, 0, name)
        self.assertGreater(states, 1000, name)
        for measure, (errors, _) in found.items():
            self.assertGreater(errors, 0, f"{name} holds without measure {measure}")

    def test_prune_deletes_nothing_that_a_published_point_uses(self):
        self.check_all("prune.pml")

    def test_prune_deletes_nothing_that_a_restore_has_pinned(self):
        errors, states = check(MODELS / "prune.pml", 0, "-DREADER")
        self.assertEqual(errors, 0)
        self.assertGreater(states, 1000)

    def test_several_pruners_keep_the_window(self):
        self.check_all("window.pml")
        errors, states = check(MODELS / "window.pml", 0, "-DTHREE")
        self.assertEqual(errors, 0)
        self.assertGreater(states, 1000)

    def test_a_lease_has_one_winner_and_refuses_old_holders(self):
        self.check_all("lease.pml")


if __name__ == "__main__":
    unittest.main()

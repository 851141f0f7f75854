"""Rows `vault-*`: a folder of files into a vault and back, beside restic."""

import filecmp
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from measure import row, timed


def same_tree(left, right):
    """Names the first difference; None when there is none."""
    for path in sorted(left.rglob("*")):
        if path.is_file():
            other = right / path.relative_to(left)
            if not other.is_file() or not filecmp.cmp(path, other, shallow=False):
                return path
    return None


class Lifeboat:
    name = "lifeboat"

    def __init__(self, program):
        self.program = program

    def put(self, source, place):
        run = timed([self.program, "put", source, place / "vault"])
        self.snapshot = json.loads(run.out)["snapshot"]
        return run

    def get(self, source, place, out):
        return timed([self.program, "get", place / "vault", self.snapshot, out]), out


class Restic:
    """Its repository is encrypted; that cannot be switched off."""

    def __init__(self):
        self.name = "restic " + subprocess.run(["restic", "version"], capture_output=True, text=True,
                                               check=True).stdout.split()[1]

    def command(self, place, *words):
        return ["restic", "--repo", place / "restic", "--no-cache", "--quiet", *words]

    def environment(self):
        return {**os.environ, "RESTIC_PASSWORD": "bench"}

    def put(self, source, place):
        subprocess.run(map(str, self.command(place, "init", "--repository-version", "2")), check=True,
                       env=self.environment(), stdout=subprocess.DEVNULL)
        return timed(self.command(place, "backup", "."), cwd=source, env=self.environment())

    def get(self, source, place, out):
        run = timed(self.command(place, "restore", "latest", "--target", out), env=self.environment())
        return run, out


def measure(contender, source, runs, keep):
    """One round: put into an empty place, get into an empty folder, compare."""
    place = pathlib.Path(tempfile.mkdtemp(dir=keep))
    os.sync()  # one contender does not pay for the other's pages
    runs[contender.name, "put"].append(contender.put(source, place))
    os.sync()
    run, out = contender.get(source, place, place / "out")
    runs[contender.name, "get"].append(run)
    difference = same_tree(source, out)
    if difference:
        sys.exit(f"bench: {contender.name} did not bring back {difference}")
    shutil.rmtree(place)
    os.sync()  # nor for its deletions


def rows(build, work, mebibytes, rounds):
    program = build / "bin" / "lifeboat_bench_vault"
    source = work / "source"
    subprocess.run([program, "generate", source, str(mebibytes), "1"], check=True)
    size = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
    contenders = [Lifeboat(program)]
    if shutil.which("restic"):
        contenders.append(Restic())
    runs = {(c.name, verb): [] for c in contenders for verb in ("put", "get")}
    for number in range(rounds):
        print(f"bench: vault, round {number + 1} of {rounds}", file=sys.stderr)
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            measure(contender, source, runs, work)

    def median(contender, verb, value):
        return statistics.median(value(run) for run in runs[contender.name, verb])

    found = []
    for verb in ("put", "get"):
        for name, unit, value, faster in (
                (f"vault-{verb}", "MB/s", lambda run: size / 1e6 / run.seconds, True),
                (f"vault-{verb}-cpu", "CPU s/GB", lambda run: run.cpu / (size / 1e9), False)):
            ours = median(contenders[0], verb, value)
            peer = median(contenders[1], verb, value) if len(contenders) > 1 else None
            bars = {"at_least": 1} if faster else {"at_most": 1}
            found.append(row(name, unit, ours, peer, contenders[1].name if peer else "restic", **bars))
    return found

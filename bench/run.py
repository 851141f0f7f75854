#!/usr/bin/env python3
"""Measures Lifeboat beside its peers on this machine, and writes bench-report.json.

    bench/run.py [--build DIR] [--report FILE] [--mebibytes N] [--rounds N]

Each row has `name`, `unit`, `ours`, `peer`, `peer_name` (with its version), `ratio` (ours / peer),
`bar` (what the ratio must be) and `holds`; without the peer `peer`, `ratio` and `holds` are null.
The numbers are medians over the rounds; ours and the peer's take turns in being first. What comes back is compared
with the source, byte for byte. Exit: 0 when all rows hold or have no peer, 1 otherwise.
"""

import argparse
import filecmp
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Run(NamedTuple):
    seconds: float
    cpu: float
    out: str


def timed(command, **more):
    """Runs the command to its end; its wall and CPU time (with its children's), and its stdout."""
    with tempfile.TemporaryFile("w+") as out:
        begun = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], stdout=out, **more)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - begun
        if process.returncode != 0:
            sys.exit(f"bench: {' '.join(map(str, command))} failed: {process.returncode}")
        out.seek(0)
        return Run(seconds, usage.ru_utime + usage.ru_stime, out.read())


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


def vault_rows(program, work, mebibytes, rounds):
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

    rows = []
    for verb in ("put", "get"):
        for name, unit, value, faster in (
                (f"vault-{verb}", "MB/s", lambda run: size / 1e6 / run.seconds, True),
                (f"vault-{verb}-cpu", "CPU s/GB", lambda run: run.cpu / (size / 1e9), False)):
            ours = median(contenders[0], verb, value)
            peer = median(contenders[1], verb, value) if len(contenders) > 1 else None
            rows.append(row(name, unit, ours, peer, contenders[-1].name if peer else None, faster))
    return rows


def row(name, unit, ours, peer, peer_name, more_is_better):
    ratio = ours / peer if peer else None
    holds = None if ratio is None else (ratio >= 1 if more_is_better else ratio <= 1)
    return {"name": name, "unit": unit, "ours": round(ours, 2),
            "peer": round(peer, 2) if peer else None, "peer_name": peer_name,
            "ratio": round(ratio, 2) if ratio else None,
            "bar": ">= 1" if more_is_better else "<= 1", "holds": holds}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--report", type=pathlib.Path, default=ROOT / "bench-report.json")
    parser.add_argument("--mebibytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    program = options.build.resolve() / "bin" / "lifeboat_bench_vault"
    if not program.exists():
        sys.exit(f"bench: {program} is not built; run make bench")
    with tempfile.TemporaryDirectory(prefix="lifeboat-bench-") as work:
        rows = vault_rows(program, pathlib.Path(work), options.mebibytes, options.rounds)
    options.report.write_text(json.dumps({"rows": rows}, indent=2) + "\n")
    for r in rows:
        peer = f"{r['peer']} by {r['peer_name']}, ratio {r['ratio']}" if r["peer"] else "no peer here"
        verdict = {True: "holds", False: "DOES NOT HOLD", None: "COULD NOT COMPARE"}[r["holds"]]
        print(f"{r['name']:16} {r['ours']:10} {r['unit']:9} {peer}, bar {r['bar']}: {verdict}")
    return 1 if any(r["holds"] is False for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

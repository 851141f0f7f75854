"""Rows `vault-*`: the files of a PostgreSQL and noise into a vault and back, beside restic.

So that it fits into memory: nobody's copy lies beside the source. The source's hashes are kept, what
was restored is compared with them, and is the source from then on.
"""

import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import database_files
from measure import row, timed

PASSPHRASE = "bench"
VERBS = ("put", "again", "get")
MEMORY = 192  # MiB


def hashes(folder):
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with open(path, "rb") as file:
                found[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").digest()
    return found


def wait_until_settled(folder):
    """Until no file was changed in the last ten seconds: then Lifeboat takes note of their times. Nobody's time counts."""
    newest = max(path.stat().st_ctime for path in folder.rglob("*"))
    while time.time() < newest + 10.5:
        time.sleep(0.1)


class Lifeboat:
    def __init__(self, program, name, *key_file):
        self.program, self.name, self.key_file = program, name, key_file

    def put(self, source, place):
        run = timed([self.program, "put", source, place / "vault", *self.key_file])
        self.snapshot = json.loads(run.out)["snapshot"]
        return run

    def again(self, source, place):
        run = self.put(source, place)
        if json.loads(run.out)["new_chunks"] != 0:
            sys.exit(f"bench: {self.name} took an unchanged folder for a changed one")
        return run

    def get(self, place, out):
        return timed([self.program, "get", place / "vault", self.snapshot, out, *self.key_file])


class Restic:
    """Its repository is encrypted; that cannot be switched off."""

    def __init__(self):
        said = subprocess.run(["restic", "version"], capture_output=True, text=True, check=True).stdout
        self.name = "restic " + said.split()[1]

    def command(self, place, *words):
        return ["restic", "--repo", place / "restic", "--no-cache", "--quiet", *words]

    def environment(self):
        return {**os.environ, "RESTIC_PASSWORD": PASSPHRASE}

    def put(self, source, place):
        subprocess.run(map(str, self.command(place, "init", "--repository-version", "2")), check=True,
                       env=self.environment(), stdout=subprocess.DEVNULL)
        return self.again(source, place)

    def again(self, source, place):
        return timed(self.command(place, "backup", "."), cwd=source, env=self.environment())

    def get(self, place, out):
        """Made durable, as ours is."""
        return timed(["sh", "-c", '"$@" && sync -f "$0"', out,
                      *self.command(place, "restore", "latest", "--target", out)],
                     env=self.environment())


class Bench:
    def __init__(self, work, mebibytes):
        self.work = work
        self.source = database_files.make(work, mebibytes)
        self.hashes = hashes(self.source)
        self.bytes = sum(path.stat().st_size for path in self.source.rglob("*") if path.is_file())
        self.runs = {}
        self.sizes = {}

    def round(self, contender):
        """Put into an empty place, put again, get into an empty folder, compare."""
        place = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        wait_until_settled(self.source)
        os.sync()  # one contender does not pay for the other's pages
        self.note(contender, "put", contender.put(self.source, place))
        self.note(contender, "again", contender.again(self.source, place))
        self.sizes[contender] = sum(p.stat().st_size for p in place.rglob("*") if p.is_file())
        shutil.rmtree(self.source)
        os.sync()  # nor for its deletions
        self.note(contender, "get", contender.get(place, self.source))
        if hashes(self.source) != self.hashes:
            sys.exit(f"bench: {contender.name} did not bring back what was there")
        shutil.rmtree(place)

    def note(self, contender, verb, run):
        print(f"bench: {contender.name} {verb}: {run.seconds:.2f} s, {run.mebibytes:.0f} MiB", file=sys.stderr)
        self.runs.setdefault((contender, verb), []).append(run)

    def median(self, contender, verb, value):
        return statistics.median(value(run) for run in self.runs[contender, verb])

    def peak(self, contender):
        return max(run.mebibytes for verb in VERBS for run in self.runs[contender, verb])

    def compare(self, ours, peer):
        """Rows of one of ours; the peer may be missing, not its name."""
        name = peer.name if peer else "restic"
        megabytes = self.bytes / 1e6

        def both(verb, value):
            return self.median(ours, verb, value), self.median(peer, verb, value) if peer else None

        for verb, bar in (("put", 2), ("again", 3), ("get", 2)):
            yield row(f"{ours.name}-{verb}", "MB/s", *both(verb, lambda run: megabytes / run.seconds),
                      name, at_least=bar)
            yield row(f"{ours.name}-{verb}-cpu", "CPU s/GB",
                      *both(verb, lambda run: run.cpu * 1000 / megabytes), name)
        yield row(f"{ours.name}-size", "MB", self.sizes[ours] / 1e6,
                  self.sizes[peer] / 1e6 if peer else None, name, at_most=1.1)
        yield row(f"{ours.name}-memory", "MiB", self.peak(ours), None, None, at_most=MEMORY)


def rows(build, work, mebibytes, rounds):
    """`mebibytes` of pgbench, and a quarter of it of noise."""
    program = build / "bin" / "lifeboat_bench_vault"
    bench = Bench(work, mebibytes)
    print(f"bench: vault, {bench.bytes / 1e6:.0f} MB, PostgreSQL {database_files.version()}",
          file=sys.stderr)
    ours = [Lifeboat(program, "vault"), Lifeboat(program, "vault-encrypted", work / "key")]
    peer = Restic() if shutil.which("restic") else None
    contenders = [*ours, *([peer] if peer else [])]
    for number in range(rounds):
        print(f"bench: vault, round {number + 1} of {rounds}", file=sys.stderr)
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            bench.round(contender)
    # What a passphrase costs besides, once a run: it is meant to take long. restic's numbers hold its own.
    said = [json.loads(timed([program, "unlock", work / f"unlock-{number}", PASSPHRASE]).out)["seconds"]
            for number in range(3)]
    return [line for one in ours for line in bench.compare(one, peer)] + [
        row("vault-encrypted-passphrase", "s", statistics.median(said), None, None)]

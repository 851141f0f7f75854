"""Rows `vault-s3-*`: the files of vault_rows.py to a real S3 server on this machine and back, beside restic on
the same server. Each contender begins with an empty server."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "stack"))

import vault_rows  # noqa: E402
from measure import row, timed  # noqa: E402
from stack import Stack  # noqa: E402

BAR = 1.5


def environment(place):
    return {**os.environ, "RESTIC_PASSWORD": vault_rows.PASSPHRASE, "AWS_ACCESS_KEY_ID": place["access_key"],
            "AWS_SECRET_ACCESS_KEY": place["secret_key"], "AWS_DEFAULT_REGION": place["region"]}


class Lifeboat(vault_rows.Lifeboat):
    """`place` is what the stack says of the server."""

    def vault(self, place):
        return f"s3://{place['bucket']}/vault?endpoint={place['endpoint']}&region={place['region']}"

    def put(self, source, place):
        run = timed([self.program, "put", source, self.vault(place)], env=environment(place))
        self.snapshot = vault_rows.json.loads(run.out)["snapshot"]
        return run

    def get(self, place, out):
        return timed([self.program, "get", self.vault(place), self.snapshot, out], env=environment(place))


class Restic(vault_rows.Restic):
    def command(self, place, *words):
        return ["restic", "--repo", f"s3:{place['endpoint']}/{place['bucket']}/restic", "--no-cache", "--quiet",
                *words]

    def put(self, source, place):
        subprocess.run(list(map(str, self.command(place, "init", "--repository-version", "2"))), check=True,
                       env=environment(place), stdout=subprocess.DEVNULL)
        return self.again(source, place)

    def again(self, source, place):
        return timed(self.command(place, "backup", "."), cwd=source, env=environment(place))

    def get(self, place, out):
        return timed(["sh", "-c", '"$@" && sync -f "$0"', out,
                      *self.command(place, "restore", "latest", "--target", out)], env=environment(place))


class Bench(vault_rows.Bench):
    def round(self, contender):
        """As vault_rows.Bench's, on a server of its own."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        with Stack(folder, ["seaweedfs"]) as stack:
            stack.start_all()
            place = stack.info()["seaweedfs"]
            vault_rows.wait_until_settled(self.source)
            os.sync()  # one contender does not pay for the other's pages
            self.note(contender, "put", contender.put(self.source, place))
            self.note(contender, "again", contender.again(self.source, place))
            shutil.rmtree(self.source)
            os.sync()  # nor for its deletions
            self.note(contender, "get", contender.get(place, self.source))
            if vault_rows.hashes(self.source) != self.hashes:
                sys.exit(f"bench: {contender.name} did not bring back what was there")
        shutil.rmtree(folder)


def rows(build, work, mebibytes, rounds):
    """`mebibytes` of pgbench, and a quarter of it of noise."""
    bench = Bench(work, mebibytes)
    ours = Lifeboat(build / "bin" / "lifeboat_bench_vault", "vault-s3")
    peer = Restic() if shutil.which("restic") else None
    for number in range(rounds):
        print(f"bench: vault-s3, round {number + 1} of {rounds}", file=sys.stderr)
        contenders = [ours, *([peer] if peer else [])]
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            bench.round(contender)
    found = []
    for verb in vault_rows.VERBS:
        for name, unit, value, bars in (
                ("", "MB/s", lambda run: bench.bytes / 1e6 / run.seconds, {"at_least": BAR}),
                ("-cpu", "CPU s/GB", lambda run: run.cpu * 1e9 / bench.bytes, {})):
            found.append(row(f"vault-s3-{verb}{name}", unit, bench.median(ours, verb, value),
                             bench.median(peer, verb, value) if peer else None,
                             peer.name if peer else "restic", **bars))
    return [*found, row("vault-s3-memory", "MiB", bench.peak(ours), None, None, at_most=vault_rows.MEMORY)]

"""Rows `vault-verify-*`: `lifeboat verify --data` beside sha256sum over the same files on all cores."""

import json
import os
import pathlib
import statistics
import subprocess
import sys

import database_files
from measure import row, timed


def make_vault(program, work, mebibytes):
    """A vault with one point, and what its content has; gives the vault's folder."""
    source, vault = database_files.make(work, mebibytes), work / "vault"
    subprocess.run([program, "put", source, vault], check=True, stdout=subprocess.DEVNULL)
    return vault


def rows(build, work, mebibytes, rounds):
    vault = make_vault(build / "bin" / "lifeboat_bench_vault", work, mebibytes)
    config = work / "lifeboat.yaml"
    config.write_text(f"vault: {vault}\nstate: {work}/state\nkafka: {{bootstrap: [127.0.0.1:1]}}\n")
    packs = sorted(path for path in (vault / "packs").rglob("*") if path.is_file())
    stored = sum(path.stat().st_size for path in packs)
    (work / "list").write_bytes(b"".join(bytes(path) + b"\0" for path in packs))
    verify = [build / "bin" / "lifeboat", "--config", config, "verify", "--data", "--json"]
    peer = ["xargs", "-0", "-n1", f"-P{os.cpu_count()}", "-a", work / "list", "sha256sum"]
    for command in (verify, peer):  # the files are in memory for both
        timed(command)
    ours, theirs = [], []
    for number in range(rounds):
        print(f"bench: verify, round {number + 1} of {rounds}", file=sys.stderr)
        for command, runs in ((verify, ours), (peer, theirs))[:: 1 if number % 2 else -1]:
            runs.append(timed(command))
    told = json.loads(ours[-1].out)
    if told["verdict"] != "VERIFIED" or told["bytes"] < stored:
        sys.exit(f"bench: verify did not read all: {told}")

    def speed(size, runs):
        return statistics.median(size / 1e6 / run.seconds for run in runs)

    # The bytes that lie in the vault, which both read. What is proven is more: ours decompresses them
    # and compares the SHA-256 of the content; sha256sum does not know what is right.
    return [
        row("vault-verify-data", "MB/s", speed(stored, ours), speed(stored, theirs),
            "sha256sum on all cores", at_least=0.8),
        row("vault-verify-data-content", "MB/s", speed(told["content_bytes"], ours), None, None),
        row("vault-verify-data-cpu", "CPU s/GB", statistics.median(run.cpu for run in ours) / (stored / 1e9),
            statistics.median(run.cpu for run in theirs) / (stored / 1e9), "sha256sum on all cores"),
        row("vault-verify-data-memory", "MiB", max(run.mebibytes for run in ours), None, None,
            at_most=192),
    ]

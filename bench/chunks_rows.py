"""Rows `vault-10m-*`: what a vault of 10 million chunks costs each verb."""

import json
import statistics
import sys

from measure import row, timed

CHUNKS = 10_000_000
MEMORY = 512  # MiB


def rows(build, work, _size, rounds):
    program = build / "bin" / "lifeboat_bench_chunks"
    vault = work / "many"
    filled = timed([program, "fill", vault, CHUNKS])
    print(f"bench: {CHUNKS} chunks in {filled.seconds:.1f} s", file=sys.stderr)
    starts = [timed([program, "start", vault]) for _ in range(rounds)]
    peaks = {"fill": filled.mebibytes, "again": timed([program, "again", vault, CHUNKS]).mebibytes,
             "start": max(run.mebibytes for run in starts)}
    for verb in ("restore", "prune", "verify"):
        peaks[verb] = timed([program, verb, vault]).mebibytes
    seconds = statistics.median(json.loads(run.out)["seconds"] for run in starts)
    return [row("vault-10m-start", "s", seconds, None, None)] + [
        row(f"vault-10m-{verb}-memory", "MiB", peak, None, None, at_most=MEMORY)
        for verb, peak in peaks.items()]

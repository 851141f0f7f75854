"""Rows `logbook-resume-100k*`: what a logbook of 100,000 objects costs whoever starts with it."""

import json
import statistics
import sys

from measure import row, timed

OBJECTS = 100_000


def rows(build, work, _size, rounds):
    program = build / "bin" / "lifeboat_bench_scale"
    vault = work / "many"
    made = timed([program, "generate", vault, OBJECTS])
    print(f"bench: {OBJECTS} objects in {made.seconds:.1f} s, "
          f"{json.loads(made.out)['summaries']} summaries", file=sys.stderr)
    runs = [timed([program, "resume", vault]) for _ in range(rounds)]
    reads = [timed([program, "read", vault]) for _ in range(rounds)]
    found = [json.loads(run.out) for run in runs]
    return [
        row("logbook-resume-100k", "s", statistics.median(r["seconds"] for r in found),
            None, None, at_most=5),
        row("logbook-resume-100k-memory", "MiB", max(run.mebibytes for run in runs),
            None, None, at_most=192),
        row("logbook-status-100k", "s", statistics.median(r["status_seconds"] for r in found),
            None, None, at_most=5),
        row("logbook-read-100k-memory", "MiB", max(run.mebibytes for run in reads),
            None, None, at_most=192),
    ]

#!/usr/bin/env python3
"""Measures Lifeboat beside its peers on this machine, and writes bench-report.json.

    bench/run.py [--build DIR] [--report FILE] [--only SECTION]
                 [--mebibytes N] [--rounds N]

Each row has `name`, `unit`, `ours`, `peer`, `peer_name` (with its version), `ratio` (ours / peer),
`bar` (what the ratio must be; without a peer: what ours must be) and `holds`; null where nothing can
be said. The numbers are medians over the rounds; ours and the peers' take turns in being first.
Exit: 0 when no row misses its bar, 1 otherwise.
"""

import argparse
import json
import os
import pathlib
import platform
import sys
import tempfile

import chunks_rows
import logbook_rows
import restore_rows
import s3_rows
import scale_rows
import vault_rows
import verify_rows

ROOT = pathlib.Path(__file__).resolve().parent.parent
SECTIONS = {"vault": (vault_rows.rows, 8192), "s3": (s3_rows.rows, 8192),
            "verify": (verify_rows.rows, 1024), "chunks": (chunks_rows.rows, None),
            "logbook": (logbook_rows.rows, 2048), "scale": (scale_rows.rows, None),
            "restore": (restore_rows.rows, 2048)}


def machine():
    """Who measured: numbers of different machines are not comparable."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                  if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": memory,
            "kernel": platform.release(), "load_before": os.getloadavg()[0]}


def show(r):
    peer = f"{r['peer']} by {r['peer_name']}, ratio {r['ratio']}" if r["peer"] else "no peer"
    verdict = {True: "holds", False: "DOES NOT HOLD", None: "no verdict"}[r["holds"]]
    print(f"{r['name']:34} {r['ours']:10} {r['unit']:12} {peer}, bar {r['bar']}: {verdict}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--report", type=pathlib.Path, default=ROOT / "bench-report.json")
    parser.add_argument("--only", choices=SECTIONS)
    parser.add_argument("--mebibytes", type=int, help="instead of each section's own size")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    build = options.build.resolve()
    if not (build / "bin" / "lifeboat_bench_logbook").exists():
        sys.exit(f"bench: {build} has no bin/lifeboat_bench_*; run make bench")
    report = {"machine": machine(), "rows": []}
    print(f"on {report['machine']}")
    for name, (rows, size) in SECTIONS.items():
        if options.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory(prefix="lifeboat-bench-") as work:
            os.chmod(work, 0o711)
            found = rows(build, pathlib.Path(work), options.mebibytes or size, options.rounds)
        for r in found:
            show(r)
        report["rows"] += found
    options.report.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if any(r["holds"] is False for r in report["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())

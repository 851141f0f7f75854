#!/usr/bin/env python3
"""Rehearses the five disasters on real servers of this machine and says what held.

drills/run.py [--only NAME]... [--report FILE] [--seed N] [--seconds 30] [--events-rate 5000]
              [--transactions-rate 50] [--keep]

Exit code 0 when every drill HOLDS, 1 otherwise. A drill that could not check something says COULD
NOT VERIFY, and fails.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
import traceback

import compare
import disasters
import load
import scene
import stores

CANNOT = (scene.DrillError, load.LoadError, stores.DrainTimeout, stores.StoreUnreachable,
          compare.CouldNotVerify)
COLUMNS = (("drill", 16), ("verdict", 17), ("lost", 6), ("duplicated", 11), ("rpo_events", 11),
           ("rpo_seconds", 12), ("rto_seconds", 12), ("held_seconds", 13), ("peak_rss_mib", 13),
           ("bytes_moved", 12))


def could_not_verify(name, seed, error):
    nothing = {key: None for key, _ in COLUMNS[2:]}
    return {"drill": name, "verdict": disasters.COULD_NOT_VERIFY, **nothing, "steps": [],
            "seed": seed, "problems": [], "reason": f"{type(error).__name__}: {error}",
            "stores": {}}


def play(kind, options):
    begun = time.monotonic()

    def say(text):
        print(f"{kind.name} [{time.monotonic() - begun:6.1f} s] {text}", file=sys.stderr, flush=True)

    say(f"seed {options.seed}")
    try:
        result = kind(options, random.Random(f"{options.seed} {kind.name}"), say).run()
    except Exception as error:
        if not isinstance(error, CANNOT):
            traceback.print_exc()
        result = could_not_verify(kind.name, options.seed, error)
    say(f"{result['verdict']} {result['reason'] or ''}")
    for problem in result["problems"]:
        say(f"problem: {problem}")
    if result["verdict"] != disasters.HOLDS:
        for name, found in result["stores"].items():
            say(f"{name}: {json.dumps(found)[:2000]}")
    return result


def table(results):
    def cell(value):
        return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)

    lines = ["".join(name.ljust(width) for name, width in COLUMNS)]
    for result in results:
        lines.append("".join(cell(result[name]).ljust(width) for name, width in COLUMNS))
        steps = [f"{step['name']} {step['seconds']:.2f}" for step in result["steps"]]
        if steps:
            lines.append("    " + ", ".join(steps))
    return "\n".join(lines)


def main():
    names = [kind.name for kind in disasters.ALL]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=names)
    parser.add_argument("--report", default="drill-report.json")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=30, help="of load after the point")
    parser.add_argument("--events-rate", type=int, default=5000)
    parser.add_argument("--transactions-rate", type=int, default=50)
    parser.add_argument("--keep", action="store_true", help="keep each drill's folder")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4), "big")
    # The end of the program must end every server: a signal unwinds like an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = []
    for kind in disasters.ALL:
        if not options.only or kind.name in options.only:
            results.append(play(kind, options))
    with open(options.report, "w", encoding="utf-8") as file:
        json.dump({"drills": results}, file, indent=1)
        file.write("\n")
    print(table(results))
    return 0 if all(result["verdict"] == disasters.HOLDS for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Waits until ClickHouse has consumed all that lies in Kafka. Exit code 1 when it has not in time.

drain.py --stack stack.json [--timeout SECONDS] [--load PROGRAM]
"""

import argparse
import sys

import stores

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", required=True)
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--load", help="path of lifeboat-load")
    arguments = parser.parse_args()
    try:
        print(
            f"drained in {stores.drain(arguments.stack, arguments.timeout, arguments.load):.1f} s"
        )
    except stores.DrainTimeout as error:
        sys.exit(f"drain.py: {error}")

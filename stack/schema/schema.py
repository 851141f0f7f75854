#!/usr/bin/env python3
"""Lays the drills' schema on a running local stack: Kafka's topics, PostgreSQL's and ClickHouse's
tables.

    schema.py apply             --stack stack.json [--load PROGRAM] [--slow-view SECONDS]
    schema.py create-topics     --stack stack.json [--load PROGRAM]
    schema.py create-postgres   --stack stack.json
    schema.py create-clickhouse --stack stack.json [--slow-view SECONDS]
    schema.py wait              --stack stack.json

`apply` does all and returns when ClickHouse's consumers have their partitions: a rebalance under
load can duplicate rows also in a healthy stack, so no load should start before. PROGRAM is
lifeboat-load, which creates the topics (default: $LIFEBOAT_LOAD, else bin/lifeboat-load
in $LIFEBOAT_BUILD or in the repository's build/).
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PARTITIONS = {"events_json": 4, "persons_json": 2, "session_replay_json": 2}


class SchemaError(Exception):
    pass


class ClickHouseError(SchemaError):
    pass


def clickhouse(stack, statement, timeout=180):
    """The answer's text; raises ClickHouseError with the server's words."""
    request = urllib.request.Request(stack["clickhouse"]["url"] + "/", data=statement.encode())
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        raise ClickHouseError(error.read().decode(errors="replace").strip()) from error
    except (OSError, urllib.error.URLError) as error:
        raise SchemaError(
            f"ClickHouse at {stack['clickhouse']['url']} does not answer: {error}"
        ) from error


def statements(text):
    without_comments = re.sub(r"^\s*--.*$", "", text, flags=re.MULTILINE)
    return [s.strip() for s in without_comments.split(";\n") if s.strip().rstrip(";")]


def created_name(statement):
    found = re.match(r"CREATE (?:TABLE|MATERIALIZED VIEW) (\S+)", statement)
    return found.group(1) if found else None


def create(stack, statement):
    """A Kafka table's CREATE answers with an error on some builds and creates it all the same: the
    result decides."""
    try:
        clickhouse(stack, statement)
    except ClickHouseError as error:
        name = created_name(statement)
        if "LOGICAL_ERROR" not in str(error) or name is None:
            raise
        if clickhouse(stack, f"EXISTS TABLE {name}").strip() != "1":
            raise


def create_clickhouse(stack, slow_view=None):
    text = (HERE / "clickhouse.sql").read_text().replace("{bootstrap}", stack["kafka"]["bootstrap"])
    if slow_view:
        # First, so that it stands before the first message comes.
        text += (HERE / "clickhouse_slow_view.sql").read_text().replace("{seconds}", str(slow_view))
    for statement in statements(text):
        create(stack, statement)


def create_postgres(stack):
    postgres = stack["postgres"]
    command = [
        os.path.join(postgres["bin"], "psql"),
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-1",
        "-h",
        postgres["host"],
        "-p",
        str(postgres["port"]),
        "-U",
        postgres["user"],
    ]
    environment = dict(os.environ, PGPASSWORD=postgres["password"])
    exists = subprocess.run(
        command
        + [
            "-d",
            "postgres",
            "-At",
            "-c",
            f"SELECT 1 FROM pg_database WHERE datname = '{postgres['database']}'",
        ],
        env=environment,
        capture_output=True,
        text=True,
    )
    if exists.returncode == 0 and exists.stdout.strip() != "1":
        subprocess.run(
            [c for c in command if c != "-1"]
            + ["-d", "postgres", "-c", f"CREATE DATABASE {postgres['database']}"],
            env=environment,
            check=True,
        )
    done = subprocess.run(
        command + ["-d", postgres["database"], "-f", str(HERE / "postgres.sql")],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SchemaError(f"PostgreSQL's schema was refused: {done.stderr.strip()}")


def load_program(given):
    build = os.environ.get("LIFEBOAT_BUILD") or str(HERE.parents[1] / "build")
    return given or os.environ.get("LIFEBOAT_LOAD") or os.path.join(build, "bin", "lifeboat-load")


def create_topics(stack_path, program):
    topics = [f"{name}:{count}" for name, count in PARTITIONS.items()]
    done = subprocess.run(
        [program, "create-topics", "--stack", str(stack_path), *topics],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise SchemaError(f"topics were not created: {done.stderr.strip()}")


def assigned_partitions(stack):
    rows = clickhouse(
        stack,
        "SELECT sum(length(assignments.partition_id)) FROM system.kafka_consumers "
        "WHERE database = 'posthog'",
    )
    return int(rows.strip() or 0)


def wait_for_consumers(stack, timeout=180):
    """Returns when all partitions are assigned and have stayed so for a second."""
    wanted = sum(PARTITIONS.values())
    deadline = time.monotonic() + timeout
    since = None
    while True:
        found = assigned_partitions(stack)
        now = time.monotonic()
        since = (since or now) if found == wanted else None
        if since is not None and now - since >= 1.0:
            return
        if now > deadline:
            raise SchemaError(
                f"after {timeout} s ClickHouse consumes {found} of {wanted} partitions"
            )
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what", choices=["apply", "create-topics", "create-postgres", "create-clickhouse", "wait"]
    )
    parser.add_argument("--stack", required=True, type=pathlib.Path)
    parser.add_argument("--load", help="path of lifeboat-load")
    parser.add_argument("--slow-view", type=float, metavar="SECONDS")
    arguments = parser.parse_args()
    stack = json.loads(arguments.stack.read_text())
    if arguments.what in ("apply", "create-topics"):
        create_topics(arguments.stack, load_program(arguments.load))
    if arguments.what in ("apply", "create-postgres"):
        create_postgres(stack)
    if arguments.what in ("apply", "create-clickhouse"):
        create_clickhouse(stack, arguments.slow_view)
    if arguments.what in ("apply", "wait"):
        wait_for_consumers(stack)


if __name__ == "__main__":
    try:
        main()
    except SchemaError as error:
        sys.exit(f"schema.py: {error}")

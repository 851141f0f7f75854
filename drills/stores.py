"""The little that the drills' witness asks of the stores: rows of ClickHouse and PostgreSQL, the
group's lag.

Nothing here knows Lifeboat. Whatever goes wrong is StoreUnreachable: then nothing has been
verified.
"""

import array
import csv
import io
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

TOPICS = {"events_json": 4, "persons_json": 2, "session_replay_json": 2}
TABLES = (
    "events",
    "events_recent",
    "events_by_day",
    "persons",
    "session_replay",
    "session_replay_by_team",
)


class StoreUnreachable(Exception):
    pass


class DrainTimeout(Exception):
    pass


class ClickHouse:
    def __init__(self, stack):
        self.url = stack["clickhouse"]["url"] + "/"

    def ask(self, statement, timeout=300):
        request = urllib.request.Request(self.url, data=statement.encode())
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace").strip()
            raise StoreUnreachable(f"ClickHouse: {text[:500]}") from error
        except OSError as error:
            raise StoreUnreachable(f"ClickHouse at {self.url}: {error}") from error

    def rows(self, statement):
        """Rows of whole numbers."""
        text = self.ask(statement + " FORMAT TabSeparated").decode()
        return [tuple(map(int, line.split("\t"))) for line in text.splitlines()]

    def columns(self, statement, typecodes):
        """Columns of a SELECT whose every value takes a multiple of 8 bytes in RowBinary."""
        data = self.ask(statement + " FORMAT RowBinary")
        if len(data) % (8 * len(typecodes)):
            raise StoreUnreachable(
                f"ClickHouse: an answer of {len(data)} bytes is no whole number of rows"
            )
        by_type = {}
        for typecode in set(typecodes):
            by_type[typecode] = array.array(typecode)
            by_type[typecode].frombytes(data)
            if sys.byteorder != "little":
                by_type[typecode].byteswap()
        return [by_type[typecode][at :: len(typecodes)] for at, typecode in enumerate(typecodes)]

    def has(self, table):
        return self.ask(f"EXISTS TABLE posthog.{table}").strip() == b"1"


class Postgres:
    def __init__(self, stack):
        postgres = stack["postgres"]
        self.command = [
            os.path.join(postgres["bin"], "psql"),
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            postgres["host"],
            "-p",
            str(postgres["port"]),
            "-U",
            postgres["user"],
            "-d",
            postgres["database"],
        ]
        self.environment = dict(os.environ, PGPASSWORD=postgres["password"], PGCONNECT_TIMEOUT="10")

    def rows(self, statement):
        """Rows of texts."""
        try:
            done = subprocess.run(
                self.command + ["-c", f"COPY ({statement}) TO STDOUT (FORMAT csv)"],
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=300,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StoreUnreachable(f"PostgreSQL: {error}") from error
        if done.returncode != 0:
            raise StoreUnreachable(f"PostgreSQL: {done.stderr.strip()[:500]}")
        return list(csv.reader(io.StringIO(done.stdout)))


def load_program(given=None):
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    build = os.environ.get("LIFEBOAT_BUILD") or os.path.join(root, "build")
    return given or os.environ.get("LIFEBOAT_LOAD") or os.path.join(build, "bin", "lifeboat-load")


def group_lag(stack_path, program=None, group="group1"):
    """{"partitions": [{topic, partition, committed, begin, end}], "lag": messages}; does not join
    the group."""
    command = [load_program(program), "group-lag", "--stack", str(stack_path), "--group", group]
    command += [f"{topic}:{count}" for topic, count in TOPICS.items()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreUnreachable(f"Kafka: {error}") from error
    if done.returncode != 0:
        raise StoreUnreachable(f"Kafka: {done.stderr.strip()[:500]}")
    return json.loads(done.stdout)


def drain(stack_path, timeout=120, program=None):
    """Returns the seconds it took until the group has committed the end of every log and the rows
    stand still; raises DrainTimeout with the lag that is left. The load must have stopped."""
    with open(stack_path, encoding="utf-8") as file:
        clickhouse = ClickHouse(json.load(file))
    counts = "SELECT " + ", ".join(f"(SELECT count() FROM posthog.{table})" for table in TABLES[:2])
    begun = time.monotonic()
    before, problem = None, "nothing was asked"
    while True:
        try:
            lag = group_lag(stack_path, program)["lag"]
            now = clickhouse.rows(counts) if lag == 0 else None
            if now is not None and now == before:
                return time.monotonic() - begun
            before, problem = now, f"{lag} messages are not committed"
        except StoreUnreachable as error:
            before, problem = None, str(error)
        if time.monotonic() - begun > timeout:
            raise DrainTimeout(f"not drained after {timeout} s: {problem}")
        time.sleep(0.5)

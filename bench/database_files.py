"""The files that `vault-*` rows back up: a real PostgreSQL's data directory after pgbench, and noise."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "stack"))
from servers import POSTGRES_BIN  # noqa: E402
from stack import Stack  # noqa: E402

MEBIBYTES_A_SCALE = 14.9  # of pgbench: 100,000 accounts with their index
NOISE_FILE = 64 << 20
# Loading is not what is measured: no WAL for it, nothing made durable.
FAST_LOAD = """
wal_level = minimal
max_wal_senders = 0
fsync = off
full_page_writes = off
max_wal_size = 4GB
maintenance_work_mem = 256MB
"""


def make(work, mebibytes):
    """A folder `source` below `work`: `mebibytes` of pgbench and a quarter of it of random bytes.

    The data directory is that of a server that was stopped, without its WAL, which no base backup
    takes either.
    """
    print(f"bench: vault, pgbench fills {mebibytes} MiB", file=sys.stderr)
    source = work / "source"
    with Stack(work / "postgres", servers=["postgres"]) as stack:
        stack.start_all()
        stack.stop("postgres")
        facts = stack.info()["postgres"]
        data = pathlib.Path(facts["data"])
        with open(data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(FAST_LOAD)
        stack.start("postgres")
        subprocess.run(
            ["pgbench", "-i", "-q", "-s", str(max(1, round(mebibytes / MEBIBYTES_A_SCALE))), "-h",
             facts["host"], "-p", str(facts["port"]), "-U", facts["user"], facts["database"]],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "PGPASSWORD": facts["password"]})
        stack.stop("postgres")
        os.rename(data, source)
    shutil.rmtree(work / "postgres")
    for path in (source / "pg_wal").iterdir():
        if path.is_file():
            path.unlink()
    (source / "noise").mkdir()
    for number in range(max(1, (mebibytes << 20) // 4 // NOISE_FILE)):
        with open(source / "noise" / str(number), "wb") as file:
            for _ in range(NOISE_FILE >> 20):
                file.write(os.urandom(1 << 20))
    return source


def version():
    said = subprocess.run([os.path.join(POSTGRES_BIN, "postgres"), "--version"], capture_output=True,
                          text=True, check=True).stdout
    return said.split()[2]

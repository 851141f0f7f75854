"""What the benchmarks share: running a contender, and the shape of a row."""

import os
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple


class Run(NamedTuple):
    seconds: float
    user: float  # CPU seconds, with its children's
    system: float
    mebibytes: float  # the largest resident set
    out: str

    @property
    def cpu(self):
        return self.user + self.system


def timed(command, stdout=None, **more):
    """Runs the command to its end and returns what it took; its stdout unless it goes elsewhere."""
    with tempfile.TemporaryFile("w+") as out:
        begun = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], stdout=stdout or out, **more)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - begun
        if process.returncode != 0:
            sys.exit(f"bench: {' '.join(map(str, command))} failed: {process.returncode}")
        out.seek(0)
        return Run(seconds, usage.ru_utime, usage.ru_stime, usage.ru_maxrss / 1024, out.read())


def row(name, unit, ours, peer, peer_name, at_least=None, at_most=None):
    """One row of the report. The bar is on ours / peer; without a peer's number on ours itself when
    `peer_name` is None, and else nothing can be said."""
    value = ours if peer_name is None else ours / peer if peer else None
    holds = None
    if value is not None and (at_least is not None or at_most is not None):
        holds = value >= at_least if at_least is not None else value <= at_most
    bar = f">= {at_least:.3g}" if at_least is not None else f"<= {at_most:.3g}" if at_most else "none"
    return {"name": name, "unit": unit, "ours": round(ours, 3),
            "peer": round(peer, 3) if peer else None, "peer_name": peer_name,
            "ratio": round(ours / peer, 3) if peer else None, "bar": bar, "holds": holds}

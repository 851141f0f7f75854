"""A scenario of test_real_faults.py, run in a mount namespace of its own: FOLDER/vault is a tmpfs
that fills up.

`backup` ends with "no space" and leaves no point; `run` waits and drops nothing; when there is
space again, both work and the vault is whole.
"""

import errno
import signal
import subprocess
import sys

import harness
from harness import Lifeboat, until

SMALL, LARGE = "2m", "3g"


def resize(vault, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", str(vault)], check=True)


def expect(condition, what):
    if not condition:
        sys.exit(f"full_disk.py: {what}")


def backup_on_a_full_disk(site):
    ended = site.run("backup", "--json")
    expect(ended.code == harness.NO_SPACE, f"backup on a full disk: {ended}")
    expect(ended.events()[-1]["code"] == "no_space", f"the last event: {ended}")
    listed = site.run("points", "--json")
    expect(listed.json()["points"] == [], f"a point was left: {listed}")


def fill(path):
    try:
        with open(path, "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    except OSError as error:
        expect(error.errno == errno.ENOSPC, f"filling the disk: {error}")


def run_on_a_full_disk(site):
    """With a file that takes what is left: the archiver cannot write one object."""
    filler = site.vault_path() / ".filler"
    fill(filler)
    daemon = site.start("run")
    try:
        until(lambda: "space" in daemon.log.read_text(), "`run` says that there is no space")
        expect(daemon.poll() is None, f"run ended: {daemon.log.read_text()}")
        filler.unlink(missing_ok=True)
        resize(site.vault_path(), LARGE)
        until(lambda: caught_up(site), "the archiver catches up")
        daemon.send_signal(signal.SIGTERM)
        expect(daemon.wait(timeout=60) == 0, f"run did not end well: {daemon.log.read_text()}")
    finally:
        harness.end(daemon)


def caught_up(site):
    logs = [
        log
        for log in site.run("status", "--json").json()["logs"]
        if log["log"].startswith("kafka/")
    ]
    return logs and all(log.get("behind") == 0 for log in logs)


def main():
    site = Lifeboat(sys.argv[1])
    vault = site.vault_path()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(vault)], check=True)
    site.run("init")
    backup_on_a_full_disk(site)
    run_on_a_full_disk(site)
    ended = site.run("backup", "--json")
    expect(ended.code == 0, f"backup with space again: {ended}")
    verified = site.run("verify", "--data")
    expect(verified.code == 0, f"the vault after all that: {verified}")
    print(f"full disk: {verified.out.strip()}")


if __name__ == "__main__":
    main()

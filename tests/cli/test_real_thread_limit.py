#!/usr/bin/env python3
"""Under every limit on threads and processes, from the least on, a verb either does what it says or ends
with an error that names the work that could not begin: it never aborts, never hangs, and leaves nothing
behind that the next one could not put up with. A real PostgreSQL, a vault on disk and one in S3."""

import os
import resource
import shutil
import time
import unittest
import urllib.request

import harness
from harness import Lifeboat, Stack

# More than any verb needs here: a pool's threads begin when there is work for them.
LIMITS = (*range(1, 17), 24)
PATIENCE = 60


def user_of_its_own():
    """A user that runs nothing: root is not limited. Who is not root is limited with all that runs."""
    taken = {os.stat(f"/proc/{pid}").st_uid for pid in os.listdir("/proc") if pid.isdigit()}
    return next(uid for uid in range(61184 + os.getpid() % 1000, 65000) if uid not in taken)


def threads_of(user):
    count = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid == user:
                count += len(os.listdir(f"/proc/{pid}/task"))
        except OSError:  # it has ended
            continue
    return count


class Limited(unittest.TestCase):
    servers = ["postgres"]

    def setUp(self):
        self.folder = harness.temporary_folder(self)
        self.stack = Stack(self.folder / "stack", self.servers)
        self.addCleanup(self.stack.close)
        self.stack.start_all()
        self.user = user_of_its_own() if os.geteuid() == 0 else os.geteuid()
        own = self.folder / "own"
        own.mkdir()
        self.lifeboat = Lifeboat(own)
        self.metrics = f"127.0.0.1:{harness.unused_port()}"
        self.lifeboat.config.write_text(self.config(own))
        for path in (own, self.lifeboat.config):
            os.chown(path, self.user, -1)
        self.run_well("init")

    def vault(self, own):
        return f"{own}/vault"

    def config(self, own):
        text = harness.config_text(self.stack.info(), own, ["postgres"], vault=self.vault(own),
                                   data_directory=f"{own}/data", flush_interval="100ms")
        text = "".join(line + "\n" for line in text.splitlines() if "os_user" not in line)
        return text + ("retention: {keep_last: 2, grace: 1m}\n"
                       f"metrics: {{listen: {self.metrics}}}\n")  # fmt: skip

    def limited(self, limit):
        """For a child: no more than so many of its threads, when there is a limit."""
        runs = threads_of(self.user)

        def limit_it():
            if limit:
                resource.setrlimit(resource.RLIMIT_NPROC, (runs + limit, runs + limit))
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(self.user)
                os.setuid(self.user)

        return limit_it

    def run_under(self, limit, *words):
        return self.lifeboat.run(*words, preexec=self.limited(limit), timeout=PATIENCE)

    def run_well(self, *words):
        ended = self.run_under(None, *words)
        self.assertEqual(ended.code, 0, ended)
        return ended

    def done_or_said(self, limit, *words):
        """Whether it was done."""
        ended = self.run_under(limit, *words)
        if ended.code != 0:
            self.assert_said(limit, ended.code, ended.out + ended.err)
        return ended.code == 0

    def assert_said(self, limit, code, text):
        self.assertEqual(code, harness.FAILED, (limit, text))
        self.assertIn("cannot begin: this machine gives no more threads", text, limit)
        self.assertIn("ulimit -u", text)

    def under_every_limit(self, verb, done_in_a_row=len(LIMITS)):
        """`verb(limit)` says whether it was done: at first it can't be, at last it is. After so many in
        a row only the last limit is left to try."""
        begun = time.monotonic()
        done = []
        for limit in LIMITS:
            if limit == LIMITS[-1] or done[-done_in_a_row:] != [True] * done_in_a_row:
                done.append(verb(limit))
        self.assertFalse(done[0], "a limit of one thread was none: does RLIMIT_NPROC work here?")
        self.assertTrue(done[-1])
        least = LIMITS[done.index(True)]
        print(f"{self.id()}: done from {least} threads on; {time.monotonic() - begun:.1f} s", flush=True)

    def backed_up_and_restored(self):
        self.under_every_limit(lambda limit: self.done_or_said(limit, "backup"))
        self.under_every_limit(lambda limit: self.done_or_said(limit, "verify", "--data"))
        self.under_every_limit(self.restored, done_in_a_row=4)  # it takes a while

    def restored(self, limit):
        """PostgreSQL answers all the time, and has recovered as soon as recovery.signal is gone. (That it
        takes the file away itself is seen where it is started.)"""
        data = self.lifeboat.folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        log = self.lifeboat.folder / f"restore-{limit}.log"
        process = self.lifeboat.start("restore", "postgres", "--yes", log=log, preexec=self.limited(limit))
        self.addCleanup(harness.end, process)

        def ended_or_waits():
            return process.poll() is not None or "Wait until PostgreSQL has recovered" in log.read_text()

        harness.until(ended_or_waits, "the restore waits for PostgreSQL, or ends")
        if process.poll() is None:
            (data / "recovery.signal").unlink()
        code = process.wait(PATIENCE)
        if code != 0:
            self.assert_said(limit, code, log.read_text())
        return code == 0

    def served(self, limit):
        """Whether `run` came to serve its metrics and ended as it was asked to."""
        log = self.lifeboat.folder / f"run-{limit}.log"
        process = self.lifeboat.start("run", log=log, preexec=self.limited(limit))
        self.addCleanup(harness.end, process)

        def answers():
            try:
                with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=10) as page:
                    return b"lifeboat_" in page.read()
            except OSError:
                return False

        harness.until(lambda: process.poll() is not None or answers(), "it serves, or ends")
        if process.poll() is None:
            process.terminate()
        code = process.wait(PATIENCE)
        if code != 0:
            self.assert_said(limit, code, log.read_text())
        return code == 0

    def nothing_is_lost(self):
        self.run_well("backup")
        self.assertEqual(self.run_well("verify", "--data", "--json").json()["verdict"], "VERIFIED")
        self.assertTrue(self.restored(None))


class OnDisk(Limited):
    def test_each_verb(self):
        self.backed_up_and_restored()
        for verb in ("points", "prune", "check"):
            self.under_every_limit(lambda limit, verb=verb: self.done_or_said(limit, verb))
        self.nothing_is_lost()

    def test_run(self):
        self.under_every_limit(self.served)
        self.nothing_is_lost()


class InS3(Limited):
    """Where the S3 library starts threads of its own, and aborts when it gets too few."""

    servers = ["postgres", "seaweedfs"]

    def vault(self, own):
        server = self.stack.info()["seaweedfs"]
        return f"s3://{server['bucket']}/{time.time_ns()}"

    def config(self, own):
        server = self.stack.info()["seaweedfs"]
        for name in ("access_key", "secret_key"):
            variable = {"access_key": "AWS_ACCESS_KEY_ID", "secret_key": "AWS_SECRET_ACCESS_KEY"}[name]
            os.environ[variable] = server[name]
            self.addCleanup(os.environ.pop, variable, None)
        return super().config(own) + (
            f's3: {{endpoint: "{server["endpoint"]}", region: {server["region"]}, retry_for: 1s}}\n'
        )

    def test_each_verb(self):
        self.backed_up_and_restored()
        self.nothing_is_lost()


if __name__ == "__main__":
    unittest.main()

"""Runs and steers lifeboat-load (stack/load): one line in, one line of JSON back."""

import json
import select
import signal
import subprocess
import time

import stores


class LoadError(Exception):
    pass


class Load:
    """A running load. Use it as a context manager: leaving it stops the load, whatever happened."""

    def __init__(
        self,
        stack_path,
        ledger,
        events_rate=5000,
        transactions_rate=50,
        seed=None,
        program=None,
        more=(),
    ):
        command = [
            stores.load_program(program),
            "--stack",
            str(stack_path),
            "--ledger",
            str(ledger),
            "--events-rate",
            str(events_rate),
            "--transactions-rate",
            str(transactions_rate),
            *more,
        ]
        if seed is not None:
            command += ["--seed", str(seed)]
        self.ledger = str(ledger)
        self.summary = None
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._waiting = b""
        self._answer(60)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.summary is None:
            try:
                self.stop()
            except (LoadError, OSError):
                self._process.kill()
                self._process.wait()
                if kind is None:
                    raise

    def pause(self, store):
        """Kafka: flushes for at most a second; then the producer ends, the rest is in doubt."""
        return self._command(f"pause {store}")

    def resume(self, store):
        """Returns before the store answers: see wait_until_running."""
        return self._command(f"resume {store}")

    def status(self):
        return self._command("status")

    def wait_until_running(self, store, timeout=120):
        """Until the load writes to the store, and has had an answer since."""
        before = self.status()[store]["acknowledged"]
        deadline = time.monotonic() + timeout
        while True:
            status = self.status()[store]
            if status["state"] == "running" and status["acknowledged"] > before:
                return status
            if time.monotonic() > deadline:
                raise LoadError(f"the load does not reach {store} after {timeout} s: {status}")
            time.sleep(0.1)

    def stop(self):
        """Writes out what is under way, closes the ledger; the last status."""
        if self.summary is None:
            answer = self._command("stop")
            if self._process.wait(timeout=30) != 0:
                raise LoadError(f"the load ended with code {self._process.returncode}")
            self._process.stdin.close()
            self._process.stdout.close()
            self.summary = answer
        return self.summary

    def cpu_seconds(self):
        with open(f"/proc/{self._process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def _command(self, line, timeout=120):
        try:
            self._process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError as error:
            raise LoadError(f"the load has ended: {self._how_it_ended()}") from error
        answer = self._answer(timeout)
        if not answer.get("ok"):
            raise LoadError(answer.get("error", "refused"))
        return answer

    def _answer(self, timeout):
        deadline = time.monotonic() + timeout
        while b"\n" not in self._waiting:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise LoadError(f"the load did not answer within {timeout} s")
            more = self._process.stdout.read(65536)
            if not more:
                raise LoadError(f"the load has ended: {self._how_it_ended()}")
            self._waiting += more
        line, self._waiting = self._waiting.split(b"\n", 1)
        return json.loads(line)

    def _how_it_ended(self):
        code = self._process.wait(timeout=30)
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"code {code}"

"""The scene of a drill: a stack with schema and load, Lifeboat beside it, and what Lifeboat did."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "stack"))

from load import Load  # noqa: E402
from stack import Stack  # noqa: E402

BUILD = pathlib.Path(os.environ.get("LIFEBOAT_BUILD") or ROOT / "build")

CONFIG = """\
vault: {vault}
point_every: 1d
flush_interval: 1s
{sections}"""
SECTIONS = {
    "postgres": """\
postgres:
  url: postgresql://{pg[user]}@{pg[host]}:{pg[port]}/{pg[database]}
  password: "{pg[password]}"
  data_directory: {pg[data]}
{os_user}""",
    "kafka": "kafka:\n  bootstrap: [{kafka[bootstrap]}]\n",
    "clickhouse": """\
clickhouse:
  url: {ch[url]}
  databases: [posthog]
  backup_disk: {ch[backup_disk]}
  backup_path: {ch[backup_path]}
""",
    "zookeeper": "zookeeper:\n  connect: {zk[connect]}\n",
}


class DrillError(Exception):
    """The drill could not be carried through: its verdict is COULD NOT VERIFY."""


class Lifeboat:
    """One run of lifeboat. Its events are handed to `on_event` as they come, from a thread."""

    def __init__(self, scene, arguments, on_event=None, config=None):
        self.arguments = arguments
        self.events = []
        self.peak_rss_mib = 0.0
        self.bytes_moved = 0
        self._on_event = on_event
        self._log = open(scene.folder / "lifeboat.log", "ab")
        self._log.write(f"--- lifeboat {' '.join(arguments)}\n".encode())
        self._log.flush()
        self.begun = time.monotonic()
        self._process = subprocess.Popen(
            [str(scene.program), "--config", str(config or scene.config), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._error = None
        self._done = False
        self._reader.start()
        self._watcher.start()
        scene.runs.append(self)

    def wait(self, timeout):
        """The last event; raises DrillError unless it is `done`."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.end(signal.SIGKILL)
            raise DrillError(f"lifeboat {self.arguments[0]} did not end within {timeout} s") from None
        self._finish()
        if self._error:
            raise DrillError(f"in an event of lifeboat {self.arguments[0]}: {self._error}")
        last = self.events[-1] if self.events else {}
        if code != 0 or last.get("event") != "done":
            raise DrillError(f"lifeboat {self.arguments[0]} ended with code {code}: {last}")
        return last

    def end(self, with_signal=signal.SIGTERM, timeout=60):
        if self._process.poll() is None:
            self._process.send_signal(with_signal)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._finish()
        return self._process.returncode

    def alive(self):
        return self._process.poll() is None

    def _finish(self):
        self._done = True
        self._reader.join(30)
        self._watcher.join(5)
        self._log.close()

    def _read(self):
        for line in self._process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            self.events.append(event)
            try:
                if self._on_event:
                    self._on_event(event)
            except Exception as error:  # told by wait(): a thread's exception is nobody's
                self._error = error
                self._process.kill()

    def _watch(self):
        folder = f"/proc/{self._process.pid}"
        while not self._done and self._process.poll() is None:
            try:
                with open(f"{folder}/status", encoding="ascii") as file:
                    for line in file:
                        if line.startswith("VmHWM:"):
                            self.peak_rss_mib = max(self.peak_rss_mib, int(line.split()[1]) / 1024)
                with open(f"{folder}/io", encoding="ascii") as file:
                    counts = dict(line.split(": ") for line in file.read().splitlines())
                    self.bytes_moved = int(counts["rchar"]) + int(counts["wchar"])
            except (OSError, ValueError, KeyError):
                return
            time.sleep(0.05)


class Scene:
    """Stack, schema, load and vault of one drill. A context manager: its end ends everything."""

    def __init__(self, keep=False, slow_view=None, servers=None):
        self._keep = keep
        self._slow_view = slow_view
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-drill-"))
        os.chmod(self.folder, 0o755)  # PostgreSQL's user passes through
        self.vault = self.folder / "vault"
        self.config = self.folder / "lifeboat.yaml"
        self.ledger = self.folder / "ledger"
        self.program = self.folder / "lifeboat"
        self.runs = []
        self.load = None
        self.daemon = None
        self.stack = None
        shutil.copy2(BUILD / "bin" / "lifeboat", self.program)
        self.program.chmod(0o755)
        self.backups = self.vault / "clickhouse"

    def __enter__(self):
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _set_up(self):
        self.vault.mkdir()
        self.backups.mkdir()
        self.stack = Stack(self.folder / "stack", clickhouse_backups=str(self.backups))
        self.stack.start_all()
        self.info = self.stack.info()
        self.stack_json = self.folder / "stack" / "stack.json"
        schema = [sys.executable, str(ROOT / "stack" / "schema" / "schema.py"), "apply"]
        schema += ["--stack", str(self.stack_json), "--load", str(BUILD / "bin" / "lifeboat-load")]
        if self._slow_view:
            schema += ["--slow-view", str(self._slow_view)]
        subprocess.run(schema, check=True, stdout=subprocess.DEVNULL)
        self.write_config(self.config, self.vault)
        self.run("init")

    def write_config(self, path, vault, stores=tuple(SECTIONS)):
        info = self.info
        os_user = info["postgres"].get("os_user")
        sections = "".join(SECTIONS[name] for name in stores).format(
            pg=info["postgres"],
            kafka=info["kafka"],
            ch=info["clickhouse"],
            zk=info["zookeeper"],
            os_user=f"  os_user: {os_user}\n" if os_user and os.geteuid() == 0 else "",
        )
        path.write_text(CONFIG.format(vault=vault, sections=sections), encoding="utf-8")
        path.chmod(0o600)

    def start_load(self, seed, events_rate, transactions_rate):
        self.load = Load(
            self.stack_json, self.ledger, events_rate, transactions_rate, seed,
            program=str(BUILD / "bin" / "lifeboat-load"),
        )

    def run(self, *arguments, config=None, timeout=300):
        """Runs a verb to its end; its stdout as JSON when there is any."""
        done = subprocess.run(
            [str(self.program), "--config", str(config or self.config), "--json", *arguments],
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise DrillError(
                f"lifeboat {' '.join(arguments)} ended with code {done.returncode}: "
                f"{(done.stdout + done.stderr)[-1500:]}"
            )
        return json.loads(done.stdout) if done.stdout.strip() else None

    def start_daemon(self):
        """`lifeboat run`; returns when its first point is there."""
        self.daemon = Lifeboat(self, ["run"])
        deadline = time.monotonic() + 120
        while not self.points():
            if not self.daemon.alive() or time.monotonic() > deadline:
                raise DrillError("lifeboat run took no first point, see lifeboat.log")
            time.sleep(0.3)

    def points(self, config=None):
        return [point for point in self.run("points", config=config)["points"]
                if "problem" not in point]

    def backup(self, config=None, timeout=180):
        return Lifeboat(self, ["--json", "backup"], config=config).wait(timeout)

    def restore(self, stores, begins, timeout=400, more=()):
        """Runs a restore; `begins` maps a step's name to what is done when it begins."""
        waiting = []

        def on_event(event):
            if event.get("event") == "step" and event.get("state") == "begin":
                action = begins.get(event.get("name"))
                if action:
                    thread = threading.Thread(target=self._act, args=(action, waiting))
                    thread.start()
                    waiting.append(thread)

        run = Lifeboat(self, ["--json", "restore", *stores, "--yes", *more], on_event)
        done = run.wait(timeout)
        run.seconds = time.monotonic() - run.begun
        for thread in waiting:
            if isinstance(thread, threading.Thread):
                thread.join(120)
        failed = [each for each in waiting if isinstance(each, Exception)]
        if failed:
            raise DrillError(f"a server did not start: {failed[0]}")
        return run, done

    @staticmethod
    def _act(action, errors):
        try:
            action()
        except Exception as error:  # looked at when the restore has ended
            errors.append(error)

    def lose(self, *names):
        for name in names:
            self.stack.kill(name)
        for name in names:
            self.stack.wipe(name)

    def lose_state(self):
        """Everything of Lifeboat's on this machine but lifeboat.yaml and the vault."""
        shutil.rmtree(self.folder / "lifeboat-state", ignore_errors=True)

    def peak_rss_mib(self):
        return round(max(run.peak_rss_mib for run in self.runs), 1)

    def close(self):
        for what in (self._end_load, self._end_daemon, self._end_stack):
            try:
                what()
            except Exception as error:  # the others must end too
                print(f"drill: while ending: {error}", file=sys.stderr)
        if self._keep:
            print(f"drill: kept {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _end_load(self):
        if self.load:
            self.load.__exit__(Exception, None, None)

    def _end_daemon(self):
        for run in self.runs:
            if run.alive():
                run.end(signal.SIGTERM, 20)

    def _end_stack(self):
        if self.stack:
            self.stack.close()

"""What the tests of the program share: the real binary in folders of its own, and the real stack.

The binary is $LIFEBOAT_BINARY, else lifeboat in $LIFEBOAT_BUILD/bin, else in build/bin. Nothing
here waits for a fixed time, and PATIENCE is only a limit.
"""

import json
import os
import pathlib
import pty
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from stat import S_ISREG

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "stack"), str(ROOT / "drills")]

import load  # noqa: E402
import stores  # noqa: E402
from stack import Stack  # noqa: E402

BUILD = pathlib.Path(os.environ.get("LIFEBOAT_BUILD") or ROOT / "build")
BINARY = os.environ.get("LIFEBOAT_BINARY") or str(BUILD / "bin" / "lifeboat")
LOAD = os.environ.get("LIFEBOAT_LOAD") or str(BUILD / "bin" / "lifeboat-load")
SCHEMA = ROOT / "stack" / "schema" / "schema.py"
PATIENCE = 240

OK, FAILED, USAGE, REFUSED, UNAVAILABLE, CORRUPT, COULD_NOT_VERIFY, NO_SPACE, STOPPED = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    130,
)


def seeded(name):
    """A source of chance whose seed is printed, and can be given as $LIFEBOAT_SEED."""
    seed = int(os.environ.get("LIFEBOAT_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"{name}: LIFEBOAT_SEED={seed}", flush=True)
    return random.Random(seed)


def until(condition, what, seconds=PATIENCE):
    """The first true result of `condition`."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return result


def temporary_folder(test):
    """Deleted at the end of the test or class. Other users may enter it: PostgreSQL is one."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-cli-"))
    folder.chmod(0o755)
    clean = test.addClassCleanup if isinstance(test, type) else test.addCleanup
    clean(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Ended:
    """How a call of the program ended."""

    def __init__(self, words, code, out, err):
        self.words, self.code, self.out, self.err = words, code, out, err

    def json(self):
        """The one document on stdout."""
        return json.loads(self.out)

    def events(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def __str__(self):
        called = f"lifeboat {' '.join(self.words)}: exit {self.code}"
        return f"{called}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Lifeboat:
    """The program with one lifeboat.yaml."""

    def __init__(self, folder, config=None):
        self.folder = pathlib.Path(folder)
        self.config = pathlib.Path(config or self.folder / "lifeboat.yaml")

    def words(self, words, config=True):
        return [BINARY, *(["--config", str(self.config)] if config else []), *map(str, words)]

    def run(
        self, *words, config=True, timeout=PATIENCE, environment=None, preexec=None, stdin=None,
        under=()
    ):
        """`under` is put before it (a wrapper command)."""
        done = subprocess.run(
            [*under, *self.words(words, config)],
            cwd=self.folder,
            timeout=timeout,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=stdin or subprocess.DEVNULL,
            preexec_fn=preexec,
            env=dict(clean_environment(), **(environment or {})),
        )
        return Ended(list(map(str, words)), done.returncode, done.stdout, done.stderr)

    def start(self, *words, log=None, preexec=None):
        """A process that goes on; the caller ends it. stdout and stderr go to the file `log`."""
        path = pathlib.Path(log or self.folder / f"{words[0]}.log")
        with open(path, "ab") as out:
            process = subprocess.Popen(
                self.words(words),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=preexec,
                env=clean_environment(),
            )
        process.log = path
        return process

    def on_terminal(self, *words, answer=None, answers=(), timeout=PATIENCE):
        """stdin and stderr are a terminal; `answer` is typed at its prompt, `answers` at those for
        passphrases. stdout is none."""
        answers = list(answers)
        ours, theirs = pty.openpty()
        try:
            process = subprocess.Popen(
                self.words(words),
                cwd=self.folder,
                stdin=theirs,
                stderr=theirs,
                stdout=subprocess.PIPE,
                env=clean_environment(),
            )
            os.close(theirs)
            said = b""
            deadline = time.monotonic() + timeout
            while select.select([ours], [], [], max(0, deadline - time.monotonic()))[0]:
                try:
                    said += os.read(ours, 65536)
                except OSError:  # the other side has been closed
                    break
                if answer is not None and b"Type yes" in said:
                    os.write(ours, answer.encode() + b"\n")
                    answer = None
                if answers and said.endswith((b"passphrase: ", b"Again: ")):
                    os.write(ours, answers.pop(0).encode() + b"\n")
            out = process.stdout.read().decode()
            code = process.wait(timeout=10)
        finally:
            os.close(ours)
            end(process)
            process.stdout.close()
        return Ended(list(map(str, words)), code, out, said.decode(errors="replace"))

    def vault_path(self):
        return self.folder / "vault"


def clean_environment():
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LIFEBOAT_CONFIG", "LIFEBOAT_PASSPHRASE", "LIFEBOAT_KEY_FILE", "PG"))
    }


def end(process):
    """For addCleanup: nothing that a test started outlives it."""
    if process.poll() is None:
        process.kill()
    process.wait()


def config_text(
    info, folder, stores_wanted=("postgres", "kafka", "clickhouse", "zookeeper"), **changes
):
    """lifeboat.yaml for a local stack; `changes` replace single values (see below)."""
    value = {
        "vault": f"{folder}/vault",
        "point_every": "1h",
        "flush_interval": "1s",
        "postgres_password": info.get("postgres", {}).get("password"),
        "clickhouse_password": None,
        **changes,
    }
    lines = [
        f"vault: {value['vault']}",
        f"point_every: {value['point_every']}",
        f"flush_interval: {value['flush_interval']}",
    ]
    if "postgres" in stores_wanted:
        postgres = info["postgres"]
        port = value.get("postgres_port", postgres["port"])
        lines += [
            "postgres:",
            f"  url: postgresql://{postgres['user']}@{postgres['host']}:{port}/"
            f"{postgres['database']}",
            f"  password: {value['postgres_password']}",
            "  slot: " + value.get("slot", "lifeboat"),
            f"  data_directory: {value.get('data_directory', postgres['data'])}",
            f"  os_user: {postgres['os_user']}",
        ]
    if "kafka" in stores_wanted:
        lines += ["kafka:", f"  bootstrap: {value.get('bootstrap', info['kafka']['bootstrap'])}"]
    if "clickhouse" in stores_wanted:
        clickhouse = info["clickhouse"]
        lines += [
            "clickhouse:",
            f"  url: {value.get('clickhouse_url', clickhouse['url'])}",
            f"  databases: [{value.get('databases', 'posthog')}]",
            f"  backup_disk: {clickhouse['backup_disk']}",
            f"  backup_path: {clickhouse['backup_path']}",
        ]
        if value["clickhouse_password"]:
            lines += [f"  password: {value['clickhouse_password']}"]
    if "zookeeper" in stores_wanted:
        lines += [
            "zookeeper:",
            f"  connect: {value.get('zookeeper_connect', info['zookeeper']['connect'])}",
        ]
    return "\n".join(lines) + "\n"


def unused_port():
    """Nothing listens there for now."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def apply_schema(stack, slow_view=None):
    more = ["--slow-view", str(slow_view)] if slow_view else []
    subprocess.run(
        [sys.executable, str(SCHEMA), "apply", "--stack", stack.json_path, "--load", LOAD, *more],
        check=True,
        timeout=PATIENCE,
    )


def sql(info, statement):
    """What PostgreSQL answers, unaligned."""
    postgres = stores.Postgres(info)
    return subprocess.run(
        [*postgres.command, "-At", "-c", statement],
        env=postgres.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def clickhouse(info, statement, timeout=60):
    request = urllib.request.Request(info["clickhouse"]["url"] + "/", data=statement.encode())
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.read().decode().rstrip("\n")
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{statement}: {error.read().decode(errors='replace')}") from error


def consumed(info):
    """How many events ClickHouse has taken from Kafka."""
    return int(clickhouse(info, "SELECT count() FROM posthog.events_recent"))


def below(folder):
    """(path, lstat) of all below a folder, in order. Servers and daemons write there meanwhile: what
    goes away is left out."""
    for above, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(folders + files):
            path = pathlib.Path(above) / name
            try:
                yield path, path.lstat()
            except FileNotFoundError:
                continue


def stored(vault):
    """{path: size} of the files of a vault, without what is being written."""
    return {
        path: stat.st_size
        for path, stat in below(vault)
        if S_ISREG(stat.st_mode)
        and not any(part.startswith(".") for part in path.relative_to(vault).parts)
    }


def vault_objects(vault):
    return sorted(stored(vault))


def stored_bytes(vault):
    return sum(stored(vault).values())


def copy_vault(vault, to):
    """A copy of a vault that is in use."""
    for path in vault_objects(vault):
        copied = pathlib.Path(to) / path.relative_to(vault)
        copied.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(path, copied)
        except FileNotFoundError:
            continue


def fingerprint(folder):
    """Names, sizes, modes and change times of all below: equal only when nothing was touched.
    Hidden ones do not count: a vault keeps there what is being written."""
    out = {}
    for path, stat in below(folder):
        name = path.relative_to(folder)
        if not any(part.startswith(".") for part in name.parts):
            out[str(name)] = (stat.st_mode, stat.st_size, stat.st_mtime_ns)
    return out


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def is_restored(lifeboat):
    """Whether the newest restore has noted its end."""
    newest = max((lifeboat.folder / "lifeboat-state").glob("*.plan.json"))
    journal = newest.with_name(newest.name.replace(".plan.", ".journal."))
    return journal.exists() and "all" in json.loads(journal.read_text())["done"]


def operate(lifeboat, words, actions, kill_after=None):
    """Runs a restore, doing what each step asks of the operator: `actions` maps a step's name to
    it. `kill_after`: (step, seconds): SIGKILL so long after that step has begun, unless the restore
    is whole by then; the result is None, else the process, which has ended."""
    log = lifeboat.folder / "operated.jsonl"
    log.unlink(missing_ok=True)
    process = lifeboat.start(*words, "--yes", "--json", log=log)
    seen = set()

    def next_step():
        for line in log.read_text().splitlines():
            event = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
            if event.get("event") == "step" and event["state"] == "begin":
                if event["name"] not in seen:
                    seen.add(event["name"])
                    return event["name"]
        return "ended" if process.poll() is not None else None

    try:
        while (name := until(next_step, "a step", 400)) != "ended":
            if name in actions:
                actions[name]()
            if kill_after and name == kill_after[0]:
                try:
                    process.wait(timeout=kill_after[1])
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGSTOP)
                    if is_restored(lifeboat):  # the next one would be a new restore
                        process.send_signal(signal.SIGCONT)
                        continue
                    print(f"killed {kill_after[1]:.2f} s after {name} began", flush=True)
                    return None
        process.wait()
        return process
    finally:
        end(process)


def start_under_load(cls, name, events_rate):
    """A stack with the product's schema, a Lifeboat that looks after it, and a load on it, for all
    tests of a class: folder, random, stack, lifeboat and load."""
    cls.folder = temporary_folder(cls)
    cls.random = seeded(name)
    cls.stack = Stack(cls.folder / "stack")
    cls.addClassCleanup(cls.stack.close)
    cls.stack.start_all()
    apply_schema(cls.stack)
    cls.lifeboat = Lifeboat(cls.folder)
    cls.lifeboat.config.write_text(config_text(cls.stack.info(), cls.folder))
    initialised = cls.lifeboat.run("init")
    assert initialised.code == 0, initialised
    cls.load = load.Load(
        cls.stack.json_path,
        cls.folder / "ledger",
        events_rate=events_rate,
        transactions_rate=5,
        program=LOAD,
        seed=cls.random.randrange(1 << 31),
    )
    cls.load.__enter__()
    cls.addClassCleanup(lambda: cls.load.__exit__(None))
    cls.load.wait_until_running("kafka")

"""The servers of the local stack: how each one is configured, started, asked and ended."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from process import Port, StackError, answers, kill_tree, spawner

CACHE = os.environ.get("LIFEBOAT_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "lifeboat")
KAFKA_JARS = os.path.join(CACHE, "kafka-3.9.1")
CLICKHOUSE_PYTHON = os.path.join(CACHE, "venv-chdb-26.9.0", "bin", "python")
POSTGRES_BIN = "/usr/lib/postgresql/15/bin"
HERE = os.path.dirname(os.path.abspath(__file__))


def need(path, what):
    if not os.path.exists(path):
        raise StackError(f"{what} is not installed ({path} is missing): run stack/setup")
    return path


def java_command(*arguments):
    """Java with flags for a quick start and a small machine."""
    java = shutil.which("java")
    if java is None:
        raise StackError("java is not installed: run stack/setup")
    return [java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:-UsePerfData",
            "-Djava.awt.headless=true", "-Djava.net.preferIPv4Stack=true", *arguments]


class Server:
    """One server process with its data folder, its log and its port.

    Subclasses say how to start it (`_command`), whether it works (`_works`) and what a client
    must know (`facts`). Not for use by several threads at once.
    """

    name = ""
    start_seconds = 240
    stop_signal = signal.SIGTERM

    def __init__(self, folder, earlier, cancelled):
        self.folder = os.path.join(folder, self.name)
        self.data = os.path.join(self.folder, "data")
        self.log = os.path.join(folder, f"{self.name}.log")
        self.process = None
        self._cancelled = cancelled
        self._port = Port(earlier.get("port"))

    @property
    def port(self):
        return self._port.number

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid if self.running else None

    def facts(self):
        raise NotImplementedError

    def describe(self):
        return {**self.facts(), "port": self.port, "data": self.data, "pid": self.pid,
                "log": self.log}

    def start(self):
        """Starts it and waits until a real request works."""
        if self.running:
            raise StackError(f"{self.name} is already running (pid {self.pid})")
        os.makedirs(self.folder, exist_ok=True)
        self._prepare()
        with open(self.log, "ab") as log:
            self.process = spawner.popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **self._options())
        self._wait_until_it_works()

    def kill(self):
        """SIGKILL; returns when the process and its children are gone."""
        if self.process is not None:
            kill_tree(self.process)
            self.process = None

    def stop(self, timeout=60):
        """Orderly; killed, and an error, when that takes too long."""
        if not self.running:
            self.process = None
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise StackError(f"{self.name} did not stop within {timeout} s and was killed; "
                             f"see {self.log}") from None
        self.process = None

    def wipe(self):
        """Deletes its data, as a lost disk would."""
        if self.running:
            raise StackError(f"{self.name} is running (pid {self.pid}): kill or stop it first")
        if os.path.exists(self.data):
            shutil.rmtree(self.data)

    def close(self):
        self.kill()
        self._port.close()

    def _prepare(self):
        os.makedirs(self.data, exist_ok=True)

    def _options(self):
        return {"cwd": self.folder}

    def _command(self):
        raise NotImplementedError

    def _works(self):
        raise NotImplementedError

    def _wait_until_it_works(self):
        deadline = time.monotonic() + self.start_seconds
        while not self._works():
            if not self.running:
                code = self.process.returncode
                self.process = None
                raise StackError(f"{self.name} ended with code {code}: {self._last_words()}")
            if self._cancelled.is_set():
                self.kill()
                raise StackError(f"{self.name}: start was cancelled")
            if time.monotonic() > deadline:
                self.kill()
                raise StackError(f"{self.name} did not answer within {self.start_seconds} s: "
                                 f"{self._last_words()}")
            time.sleep(0.05)

    def _last_words(self):
        try:
            with open(self.log, "rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - 4000))
                tail = file.read().decode(errors="replace").strip().splitlines()[-12:]
        except OSError:
            tail = []
        return f"see {self.log}, which ends with:\n" + "\n".join(tail)


class JavaServer(Server):
    """Kafka and ZooKeeper."""

    heap = "-Xmx256m"
    version = "3.9.1"

    def _java(self, *arguments):
        jars = need(os.path.join(CACHE, f"kafka-{self.version}"), f"Kafka {self.version}")
        log4j = "-Dorg.slf4j.simpleLogger."
        return java_command(
            self.heap, log4j + "showDateTime=true", log4j + "dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
            log4j + "log.org.apache.kafka.common.config=warn",
            log4j + "log.org.apache.zookeeper.ZooKeeper=warn",
            "-cp", os.path.join(jars, "*"), *arguments)

    def _write(self, name, settings):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{key}={value}\n" for key, value in settings.items())
        return path


class ZooKeeper(JavaServer):
    name = "zookeeper"

    def facts(self):
        return {"connect": f"127.0.0.1:{self.port}"}

    def _command(self):
        # A tick of 500 ms lets clients have sessions from 1 s on.
        config = self._write("zoo.cfg", {
            "dataDir": self.data, "clientPort": self.port, "clientPortAddress": "127.0.0.1",
            "tickTime": 500, "maxSessionTimeout": 60000, "maxClientCnxns": 0,
            "admin.enableServer": "false", "4lw.commands.whitelist": "*"})
        return self._java("-Dzookeeper.preAllocSize=1024",
                          "org.apache.zookeeper.server.quorum.QuorumPeerMain", config)

    def _works(self):
        return answers(self.port, b"srvr", b"Mode: ")


class Postgres(Server):
    """Runs as the user `postgres` when the stack runs as root, which PostgreSQL refuses."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": disconnects clients
    database = "posthog"

    def __init__(self, folder, earlier, cancelled):
        super().__init__(folder, earlier, cancelled)
        self.password = earlier.get("password") or secrets.token_hex(12)
        self.os_user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def facts(self):
        return {"host": "127.0.0.1", "user": "postgres", "password": self.password,
                "database": self.database, "os_user": self.os_user, "bin": POSTGRES_BIN}

    def _prepare(self):
        need(os.path.join(POSTGRES_BIN, "postgres"), "PostgreSQL 15")
        if os.geteuid() == 0:
            _let_enter(self.folder)
            shutil.chown(self.folder, self.os_user)
        if not os.path.exists(os.path.join(self.data, "PG_VERSION")):
            self._initialise()
        elif os.geteuid() == 0:
            _hand_over(self.data, pwd.getpwnam(self.os_user))

    def _initialise(self):
        """The data folder appears by one rename, with the database in it."""
        if os.path.isdir(self.data):
            os.rmdir(self.data)  # refuses when something lies in it
        new = self.data + ".new"
        shutil.rmtree(new, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix=".pw") as secret:
            secret.write(self.password)
            secret.flush()
            if os.geteuid() == 0:
                shutil.chown(secret.name, self.os_user)
            self._run("initdb", "-D", new, "--username=postgres", f"--pwfile={secret.name}",
                      "--auth=scram-sha-256", "--data-checksums", "--encoding=UTF8",
                      "--locale=C.UTF-8", "--no-sync")
        with open(os.path.join(new, "postgresql.conf"), "a", encoding="utf-8") as file:
            file.write("\n# Lifeboat's local stack\n"
                       "wal_level = replica\nmax_wal_senders = 10\nmax_replication_slots = 10\n"
                       "shared_buffers = 64MB\nmax_connections = 100\n"
                       "log_line_prefix = '%m [%p] '\nlog_connections = off\n")
        self._run("postgres", "--single", "-D", new, "-c", "log_min_messages=warning", "postgres",
                  stdin=f"CREATE DATABASE {self.database};\n")
        os.rename(new, self.data)

    def _run(self, program, *arguments, stdin=None):
        done = subprocess.run(
            [os.path.join(POSTGRES_BIN, program), *arguments], input=stdin, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **self._options())
        with open(self.log, "a", encoding="utf-8") as log:
            log.write(done.stdout)
        if done.returncode != 0:
            raise StackError(f"{program} ended with code {done.returncode}: {done.stdout.strip()}")

    def _options(self):
        options = super()._options()
        options["env"] = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        if os.geteuid() == 0:
            user = pwd.getpwnam(self.os_user)
            options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            options["env"] |= {"HOME": user.pw_dir, "USER": self.os_user}
        return options

    def _command(self):
        # On the command line, so that they hold for a restored data folder as well.
        return [os.path.join(POSTGRES_BIN, "postgres"), "-D", self.data, "-p", str(self.port),
                "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
                "-c", "logging_collector=off", "-c", "log_destination=stderr"]

    def _works(self):
        if not answers(self.port):
            return False
        done = subprocess.run(
            [os.path.join(POSTGRES_BIN, "psql"), "-XqAt", "-h", "127.0.0.1", "-p", str(self.port),
             "-U", "postgres", "-d", "postgres", "-c", "SELECT 1"],
            env={**os.environ, "PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "5"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return done.stdout.strip() == "1"


def _let_enter(folder):
    """Makes every folder on the way passable for other users where that is harmless to do."""
    temporary = os.path.realpath(tempfile.gettempdir())
    at = os.path.realpath(folder)
    while at != "/":
        mode = os.stat(at).st_mode
        if not mode & 0o001:
            if at != os.path.realpath(folder) and not at.startswith(temporary + "/"):
                raise StackError(f"the user postgres cannot enter {at}: name a --dir elsewhere, "
                                 f"or chmod o+x {at}")
            os.chmod(at, (mode & 0o7777) | 0o011)
        at = os.path.dirname(at)


def _hand_over(folder, user):
    """A restored data folder may belong to root: PostgreSQL wants it to be its own, and private."""
    os.chmod(folder, 0o700)
    for path, folders, files in os.walk(folder):
        for name in [".", *folders, *files]:
            each = os.path.join(path, name)
            if os.lstat(each).st_uid != user.pw_uid:
                os.lchown(each, user.pw_uid, user.pw_gid)


class ClickHouse(Server):
    """ClickHouse's engine (chdb) behind clickhouse_front.py."""

    name = "clickhouse"

    def __init__(self, folder, earlier, cancelled, backups=None):
        super().__init__(folder, earlier, cancelled)
        self.backups = os.path.abspath(backups or os.path.join(folder, "clickhouse-backups"))

    def facts(self):
        return {"url": f"http://127.0.0.1:{self.port}", "backup_disk": "backups",
                "backup_path": self.backups}

    def _prepare(self):
        super()._prepare()
        os.makedirs(self.backups, exist_ok=True)

    def _options(self):
        environment = {**os.environ}
        environment.pop("CLICKHOUSE_PASSWORD", None)  # the front would ask for it
        return {**super()._options(), "env": environment}

    def _command(self):
        need(CLICKHOUSE_PYTHON, "ClickHouse 26.9 (chdb)")
        return [CLICKHOUSE_PYTHON, os.path.join(HERE, "clickhouse_front.py"),
                "--port", str(self.port), "--data", self.data, "--backups", self.backups,
                "--config", os.path.join(self.folder, "config.xml")]

    def _works(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/?query=SELECT%201",
                                        timeout=10) as answer:
                return answer.read().strip() == b"1"
        except (OSError, urllib.error.URLError):
            return False

#!/usr/bin/env python3
"""The local stack: ZooKeeper, Kafka, PostgreSQL and ClickHouse, and the S3 servers SeaweedFS and
S3Proxy, real, on free ports of 127.0.0.1.

  stack.py run --dir DIR [--servers zookeeper,kafka,postgres,clickhouse[,seaweedfs,s3proxy]]
               [--clickhouse-backups DIR] [--temporary]
               [--kafka 3.9-zookeeper|3.9|4] [--brokers N] [--secure-kafka]

starts the servers, writes DIR/stack.json, prints {"ready": "DIR/stack.json"} and then answers each
line of its standard input with one line of JSON:

  start NAME | stop NAME | kill NAME | wipe NAME | status

The end of standard input, SIGINT, SIGTERM, SIGHUP and a failed start all end everything. The class
Stack does the same for programs in Python.
"""

import argparse
import concurrent.futures
import json
import os
import queue
import shutil
import signal
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from brokers import KINDS, Kafka, KraftKafka  # noqa: E402
from object_stores import S3Proxy, SeaweedFS  # noqa: E402
from process import StackError  # noqa: E402
from servers import ClickHouse, Postgres, ZooKeeper  # noqa: E402

NAMES = ("zookeeper", "kafka", "postgres", "clickhouse")
OBJECT_STORES = (SeaweedFS, S3Proxy)  # only when asked for by name
ALL_NAMES = (*NAMES, *(kind.name for kind in OBJECT_STORES))


class Stack:
    """The servers of one folder. Use it as a context manager: the end kills all of them.

    Ports, and PostgreSQL's password, stay the same over restarts; a later Stack on the same folder
    takes them from its stack.json. Methods raise StackError. Different servers may be started and
    killed by different threads at once, one server by one thread at a time.
    """

    def __init__(self, folder, servers=NAMES, clickhouse_backups=None, kafka="3.9-zookeeper",
                 brokers=1, secure_kafka=False):
        unknown = set(servers) - set(ALL_NAMES)
        if unknown or not servers:
            raise StackError(f"unknown server {', '.join(sorted(unknown)) or '(none)'}: "
                             f"there are {', '.join(ALL_NAMES)}")
        self.folder = os.path.abspath(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.json_path = os.path.join(self.folder, "stack.json")
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        earlier = self._earlier()
        self.servers = {}

        def add(kind, *more, name=None):
            name = name or kind.name
            server = kind(self.folder, earlier.get(name, {}), self._cancelled, *more)
            self.servers[name] = server
            return server

        with_zookeeper = kafka == "3.9-zookeeper"
        if kafka not in KINDS or brokers < 1 or (secure_kafka and with_zookeeper):
            raise StackError(f"no such Kafka: there are {', '.join(KINDS)}, from 1 broker on; "
                             "a secure one is not 3.9-zookeeper")
        if "zookeeper" in servers or ("kafka" in servers and with_zookeeper):
            zookeeper = add(ZooKeeper)
        every_broker = []
        for number in range(brokers if "kafka" in servers else 0):
            kind, own = (Kafka, zookeeper) if with_zookeeper else (KraftKafka, secure_kafka)
            every_broker.append(add(kind, kafka, number, every_broker, own,
                                    name=f"kafka-{number}" if number else "kafka"))
        if "postgres" in servers:
            add(Postgres)
        if "clickhouse" in servers:
            add(ClickHouse, clickhouse_backups)
        for kind in OBJECT_STORES:
            if kind.name in servers:
                add(kind)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def start_all(self):
        """Starts all of them side by side; the first that fails fails the whole."""
        with concurrent.futures.ThreadPoolExecutor(len(self.servers)) as pool:
            starts = [pool.submit(server.start) for server in self.servers.values()]
            done, _ = concurrent.futures.wait(
                starts, return_when=concurrent.futures.FIRST_EXCEPTION)
            failed = [each.exception() for each in done if each.exception()]
            if failed:
                self._cancelled.set()
        if failed:
            self.close()
            raise failed[0]
        self._write()

    def start(self, name):
        self._server(name).start()
        self._write()

    def kill(self, name):
        self._server(name).kill()
        self._write()

    def stop(self, name):
        try:
            self._server(name).stop()
        finally:
            self._write()

    def wipe(self, name):
        self._server(name).wipe()

    def status(self):
        return {name: {"running": server.running, "pid": server.pid}
                for name, server in self.servers.items()}

    def info(self):
        """What stack.json says, at this moment."""
        return {"dir": self.folder,
                **{name: server.describe() for name, server in self.servers.items()}}

    def cancel(self):
        """Lets a start that is under way, and every later one, fail soon. For signal handlers."""
        self._cancelled.set()

    def close(self):
        """Kills everything."""
        self._cancelled.set()
        for server in self.servers.values():
            server.close()

    def _server(self, name):
        if name not in self.servers:
            raise StackError(f"no server {name!r} here: there are {', '.join(self.servers)}")
        return self.servers[name]

    def _earlier(self):
        try:
            with open(self.json_path, encoding="utf-8") as file:
                return json.load(file)
        except (FileNotFoundError, ValueError):
            return {}

    def _write(self):
        with self._lock:
            new = self.json_path + ".new"
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                      encoding="utf-8") as file:
                json.dump(self.info(), file, indent=1)
            os.replace(new, self.json_path)


def obey(stack, line):
    """One command, one answer."""
    words = line.split()
    try:
        if words == ["status"]:
            return {"ok": True, "servers": stack.status()}
        if len(words) == 2 and words[0] in ("start", "stop", "kill", "wipe"):
            getattr(stack, words[0])(words[1])
            return {"ok": True, "name": words[1], **stack.status()[words[1]]}
        raise StackError(f"unknown command {line.strip()!r}: "
                         "start NAME | stop NAME | kill NAME | wipe NAME | status")
    except (StackError, OSError) as error:
        return {"ok": False, "error": str(error)}


def say(answer):
    print(json.dumps(answer), flush=True)


class Ended(BaseException):
    """A signal asked for the end."""


def end_by_signal(number, _frame):
    raise Ended(number)


def read_commands(lines, stack):
    """Runs in a thread of its own: the end of input must be seen while a start is under way."""
    for line in sys.stdin:
        if line.strip():
            lines.put(line)
    stack.cancel()
    lines.put(None)


def run(options):
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in ending:
        signal.signal(number, end_by_signal)
    stack = None
    try:
        stack = Stack(options.dir, options.servers.split(","), options.clickhouse_backups,
                      options.kafka, options.brokers, options.secure_kafka)
        lines = queue.Queue()
        threading.Thread(target=read_commands, args=(lines, stack), daemon=True).start()
        stack.start_all()
        say({"ready": stack.json_path})
        while (line := lines.get()) is not None:
            say(obey(stack, line))
        return 0
    except Ended as ended:
        return 128 + ended.args[0]
    except (StackError, OSError) as error:
        print(f"stack: error: {error}", file=sys.stderr)
        return 1
    finally:
        for number in ending:
            signal.signal(number, signal.SIG_IGN)
        if stack is not None:
            stack.close()
        if options.temporary:
            shutil.rmtree(options.dir, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("run", help="start the servers and obey standard input")
    verb.add_argument("--dir", required=True, help="folder for data, logs and stack.json")
    verb.add_argument("--servers", default=",".join(NAMES), help="comma separated")
    verb.add_argument("--clickhouse-backups", help="path of ClickHouse's disk `backups`")
    verb.add_argument("--temporary", action="store_true", help="delete DIR at the end")
    verb.add_argument("--kafka", default="3.9-zookeeper", help=f"one of {', '.join(KINDS)}")
    verb.add_argument("--brokers", type=int, default=1, help="kafka, kafka-1, kafka-2 …")
    verb.add_argument("--secure-kafka", action="store_true", help="with listeners for TLS and SASL")
    code = run(parser.parse_args())
    # Not sys.exit: a thread that still waits for a child must not delay the end.
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()

"""Processes that end with the stack, and ports that stay the stack's own."""

import ctypes
import os
import queue
import random
import signal
import socket
import subprocess
import threading
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class StackError(Exception):
    """Something that the user must know: a server did not start, a command was refused."""


class Spawner:
    """Starts child processes from one thread that lives as long as this process.

    PR_SET_PDEATHSIG (prctl(2)) fires when the *thread* that forked ends. Servers are started by
    short-lived threads, so the fork is done here, on their behalf.
    """

    def __init__(self):
        self._jobs = queue.Queue()
        self._thread = None
        self._lock = threading.Lock()

    def popen(self, args, **options):
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="spawner", daemon=True)
                self._thread.start()
        answer = queue.Queue()
        self._jobs.put((args, options, answer))
        result = answer.get()
        if isinstance(result, BaseException):
            raise result
        return result

    def _work(self):
        while True:
            args, options, answer = self._jobs.get()
            try:
                answer.put(subprocess.Popen(args, preexec_fn=_die_with(os.getpid()), **options))
            except BaseException as error:  # handed to the caller, who raises it
                answer.put(error)


def _die_with(parent):
    """For preexec_fn: runs after the change of user, which would clear the death signal."""

    def before_exec():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return before_exec


spawner = Spawner()


def descendants(pid):
    """Pids of all that descend from `pid`, itself not included."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = _stat(int(entry))
            if stat:
                children.setdefault(stat[1], []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def is_running(pid):
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"


def _stat(pid):
    """(state, parent) of a process, None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return fields[0], int(fields[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None


def kill_tree(process, timeout=30):
    """SIGKILL to a child and all its descendants; returns when all of them are gone.

    The child is stopped first, so that it forks nothing while its descendants are listed.
    """
    family = []
    if process.poll() is None:
        _signal(process.pid, signal.SIGSTOP)
        family = descendants(process.pid)
        for pid in [process.pid, *family]:
            _signal(pid, signal.SIGKILL)
        process.wait(timeout)
    deadline = time.monotonic() + timeout
    while any(is_running(pid) for pid in family):
        if time.monotonic() > deadline:
            raise StackError(f"processes {family} outlive SIGKILL")
        time.sleep(0.01)


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Port:
    """A port of 127.0.0.1, kept for the life of this process.

    It lies below the kernel's range for outgoing connections: there, some client's connection
    could sit on the port of a server that is down just now. Other stacks on this machine are kept
    off by a name in the abstract socket namespace, which the kernel frees when the process ends.
    """

    def __init__(self, wanted=None):
        self._claim = None
        candidates = [wanted] if wanted else []
        first, last = _port_range()
        candidates += random.SystemRandom().sample(range(first, last), 200)
        for number in candidates:
            if self._take(number):
                self.number = number
                return
        raise StackError(f"no free port among 200 tried in {first}..{last}")

    def _take(self, number):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0lifeboat-port-{number}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", number))
        except OSError:
            claim.close()
            return False
        self._claim = claim
        return True

    def close(self):
        self._claim.close()


def _port_range():
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first, last = map(int, file.read().split())
    return (10240, first) if first > 12000 else (first, last)


def answers(port, send=b"", expect=None, timeout=2.0):
    """Whether a TCP server takes a connection (and, if asked, answers with `expect` in it)."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as connection:
            if send:
                connection.sendall(send)
            if expect is None:
                return True
            connection.settimeout(timeout)
            got = b""
            while expect not in got:
                more = connection.recv(65536)
                if not more:
                    return False
                got += more
            return True
    except OSError:
        return False

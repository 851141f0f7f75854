"""Just enough of two wire protocols to know that a server works: by a real request, without a JVM.

Kafka: Metadata v1 (https://kafka.apache.org/protocol). ZooKeeper: connect and getChildren
(zookeeper.jute in its sources). Both answer None when the server does not.
"""

import socket
import struct


def kafka_metadata(port):
    """(ids of the brokers, {topic: number of its partitions without a leader}); None before a
    controller is known."""
    client = b"stack"
    request = struct.pack(">hhih", 3, 1, 1, len(client)) + client + struct.pack(">i", -1)
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            answer = _ask(connection, request)
        answer.take("i")  # correlation id
        brokers = [(answer.take("i"), answer.bytes("h"), answer.take("i"), answer.bytes("h"))
                   for _ in range(answer.take("i"))]
        controller = answer.take("i")
        topics = dict(_topic(answer) for _ in range(answer.take("i")))
        return ({broker[0] for broker in brokers}, topics) if controller >= 0 else None
    except (OSError, struct.error):
        return None


def _topic(answer):
    answer.take("h")  # error
    name = answer.bytes("h").decode()
    answer.take("b")  # is internal
    leaderless = 0
    for _ in range(answer.take("i")):
        answer.take("h"), answer.take("i")  # error, partition
        leaderless += answer.take("i") < 0
        for _ in ("replicas", "in-sync replicas"):
            answer.skip(4 * answer.take("i"))
    return name, leaderless


def zookeeper_children(port, path):
    """Names of a znode's children; [] when there is no such znode."""
    get_children, close, no_node = 8, -11, -101
    name = path.encode()
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            _ask(connection, struct.pack(">iqiqi16s", 0, 0, 10000, 0, 16, bytes(16)))
            answer = _ask(connection, struct.pack(">iii", 1, get_children, len(name)) + name + b"\0")
            answer.take("i"), answer.take("q")  # xid, zxid
            error = answer.take("i")
            if error not in (0, no_node):
                return None
            names = [] if error else [answer.bytes("i").decode() for _ in range(answer.take("i"))]
            _ask(connection, struct.pack(">ii", 2, close))
            return names
    except (OSError, struct.error):
        return None


def _ask(connection, request):
    """Both protocols put the size, four bytes, before each message."""
    connection.settimeout(5)
    connection.sendall(struct.pack(">i", len(request)) + request)
    size = struct.unpack(">i", _read(connection, 4))[0]
    return _Answer(_read(connection, size))


def _read(connection, size):
    got = b""
    while len(got) < size:
        more = connection.recv(size - len(got))
        if not more:
            raise OSError("closed")
        got += more
    return got


class _Answer:
    """Reads the fields of an answer, one after the other."""

    def __init__(self, data):
        self._data, self._at = data, 0

    def take(self, kind):
        value = struct.unpack_from(">" + kind, self._data, self._at)[0]
        self._at += struct.calcsize(">" + kind)
        return value

    def bytes(self, size_kind):
        size = max(self.take(size_kind), 0)  # -1 is null
        self._at += size
        return self._data[self._at - size:self._at]

    def skip(self, size):
        self._at += size

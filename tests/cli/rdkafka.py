"""A Kafka client for tests, by ctypes: what kcat cannot do (transactions, null and binary headers,
records as they are, byte for byte). Independent of the program: librdkafka decodes by itself.
"""

import collections
import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_void_p

LIB = ctypes.CDLL("librdkafka.so.1")
PRODUCER, CONSUMER = 0, 1
TOPIC, PARTITION, VALUE, KEY, MSGFLAGS, TIMESTAMP, HEADER = 1, 3, 4, 5, 7, 8, 9
COPY = 2
PARTITION_EOF = -191
UNKNOWN = (-190, -188, 3)  # partition or topic
PASSING = (-195, -187, 5, 6, 7)  # no connection, no leader, another one: soon otherwise
BEGINNING = -2
TIMEOUT = 120_000

Record = collections.namedtuple("Record", "offset timestamp key value headers")


class _Memory(ctypes.Structure):
    _fields_ = [("pointer", c_char_p), ("size", c_size_t)]


class _Header(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("value", c_char_p), ("size", ctypes.c_ssize_t)]


class _Any(ctypes.Union):
    _fields_ = [
        ("text", c_char_p),
        ("number", c_int32),
        ("memory", _Memory),
        ("time", c_int64),
        ("header", _Header),
        ("_pad", ctypes.c_char * 64),
    ]


class _Part(ctypes.Structure):
    _fields_ = [("kind", c_int), ("u", _Any)]


class _Message(ctypes.Structure):
    _fields_ = [
        ("error", c_int),
        ("topic", c_void_p),
        ("partition", c_int32),
        ("payload", c_void_p),
        ("size", c_size_t),
        ("key", c_void_p),
        ("key_size", c_size_t),
        ("offset", c_int64),
        ("_private", c_void_p),
    ]


class _TopicPartition(ctypes.Structure):
    _fields_ = [
        ("topic", c_char_p),
        ("partition", c_int32),
        ("offset", c_int64),
        ("metadata", c_void_p),
        ("metadata_size", c_size_t),
        ("opaque", c_void_p),
        ("error", c_int),
        ("_private", c_void_p),
    ]


class _List(ctypes.Structure):
    _fields_ = [("count", c_int), ("size", c_int), ("elements", POINTER(_TopicPartition))]


def _declare():
    pointers = (
        "conf_new new queue_new queue_poll NewTopic_new DeleteTopic_new DeleteRecords_new produceva "
        "init_transactions begin_transaction commit_transaction abort_transaction "
    ).split()
    for name in pointers:
        getattr(LIB, "rd_kafka_" + name).restype = c_void_p
    for name in ("err2str", "error_string", "event_error_string"):
        getattr(LIB, "rd_kafka_" + name).restype = c_char_p
    LIB.rd_kafka_topic_partition_list_new.restype = POINTER(_List)
    LIB.rd_kafka_topic_partition_list_add.argtypes = [POINTER(_List), c_char_p, c_int32]
    LIB.rd_kafka_topic_partition_list_add.restype = POINTER(_TopicPartition)
    LIB.rd_kafka_consumer_poll.restype = POINTER(_Message)
    LIB.rd_kafka_message_timestamp.restype = c_int64
    LIB.rd_kafka_message_timestamp.argtypes = [POINTER(_Message), POINTER(c_int)]


_declare()


def _partitions(offsets):
    """A list of {(topic, partition): offset}; the caller destroys it."""
    made = LIB.rd_kafka_topic_partition_list_new(len(offsets))
    for (topic, partition), offset in offsets.items():
        entry = LIB.rd_kafka_topic_partition_list_add(made, topic.encode(), partition)
        entry.contents.offset = offset
    return made


Delivered = ctypes.CFUNCTYPE(None, c_void_p, POINTER(_Message), c_void_p)


class Client:
    def __init__(self, kind, bootstrap, delivered=None, **settings):
        """`delivered(error code, value)` is told of each message that a producer sent."""
        why = ctypes.create_string_buffer(512)
        conf = c_void_p(LIB.rd_kafka_conf_new())
        if delivered:
            self._delivered = Delivered(  # kept for as long as librdkafka may call it
                lambda _handle, message, _opaque: delivered(
                    message.contents.error, _bytes(message.contents.payload, message.contents.size)
                )
            )
            LIB.rd_kafka_conf_set_dr_msg_cb(conf, self._delivered)
        given = {"bootstrap.servers": bootstrap, "log_level": "2", **settings}
        for name, value in given.items():
            name = name if name == "log_level" else name.replace("_", ".")
            if LIB.rd_kafka_conf_set(conf, name.encode(), str(value).encode(), why, 512) != 0:
                raise ValueError(why.value.decode())
        self.handle = c_void_p(LIB.rd_kafka_new(kind, conf, why, 512))
        if not self.handle:
            raise ValueError(why.value.decode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        LIB.rd_kafka_destroy_flags(self.handle, 0x8)  # no close of the consumer's membership

    def _check(self, error):
        if error:
            error = c_void_p(error)
            text = LIB.rd_kafka_error_string(error).decode()
            LIB.rd_kafka_error_destroy(error)
            raise RuntimeError(text)

    def _check_code(self, code):
        if code != 0:
            raise RuntimeError(LIB.rd_kafka_err2str(code).decode())



class Admin(Client):
    def __init__(self, bootstrap):
        super().__init__(PRODUCER, bootstrap)
        self.bootstrap = bootstrap

    def _call(self, function, item):
        """An admin call about one thing; its own fate is looked at by whoever needs it."""
        queue = c_void_p(LIB.rd_kafka_queue_new(self.handle))
        items = (c_void_p * 1)(item)
        getattr(LIB, "rd_kafka_" + function)(self.handle, items, c_size_t(1), None, queue)
        event = c_void_p(LIB.rd_kafka_queue_poll(queue, TIMEOUT))
        if not event:
            raise RuntimeError(f"{function}: no answer")
        self._check_code(LIB.rd_kafka_event_error(event))
        LIB.rd_kafka_event_destroy(event)
        LIB.rd_kafka_queue_destroy(queue)

    def create_topic(self, name, partitions=1, replication=1, **configs):
        def there():
            if self.end(name) is not None:
                return True
            self._create(name, partitions, replication, configs)  # refused while one of this name goes
            return False

        self._until(there, f"topic {name}")

    def _create(self, name, partitions, replication, configs):
        why = ctypes.create_string_buffer(512)
        made = c_void_p(
            LIB.rd_kafka_NewTopic_new(name.encode(), partitions, replication, why, c_size_t(512))
        )
        for key, value in configs.items():
            key = key.replace("_", ".").encode()
            LIB.rd_kafka_NewTopic_set_config(made, key, str(value).encode())
        self._call("CreateTopics", made.value)

    def delete_topic(self, name):
        self._call("DeleteTopics", LIB.rd_kafka_DeleteTopic_new(name.encode()))
        self._until(lambda: self.end(name) is None, f"the end of topic {name}")

    def delete_records(self, topic, partition, before):
        offsets = _partitions({(topic, partition): before})
        self._call("DeleteRecords", LIB.rd_kafka_DeleteRecords_new(offsets))

    def watermarks(self, topic, partition=0):
        """Log start and high watermark; None when there is no such partition."""
        low, high = c_int64(), c_int64()
        for _ in range(600):
            # A client remembers which topics were unknown; read_committed would give the stable end.
            with Client(CONSUMER, self.bootstrap, isolation_level="read_uncommitted") as fresh:
                code = LIB.rd_kafka_query_watermark_offsets(
                    fresh.handle, topic.encode(), partition, byref(low), byref(high), TIMEOUT
                )
            if code not in PASSING:
                break
            LIB.rd_kafka_poll(self.handle, 100)
        if code in UNKNOWN:
            return None
        self._check_code(code)
        return low.value, high.value

    def end(self, topic, partition=0):
        marks = self.watermarks(topic, partition)
        return marks and marks[1]

    def _until(self, condition, what):
        for _ in range(1200):
            if condition():
                return
            LIB.rd_kafka_poll(self.handle, 100)
        raise RuntimeError(f"waited in vain for {what}")


class Producer(Client):
    def __init__(self, bootstrap, **settings):
        super().__init__(PRODUCER, bootstrap, **settings)

    def send(self, topic, partition, key, value, headers=(), timestamp=None):
        parts = [
            _part(TOPIC, text=topic.encode()),
            _part(PARTITION, number=partition),
            _part(MSGFLAGS, number=COPY),
            _part(VALUE, memory=_Memory(value, len(value or b""))),
            _part(KEY, memory=_Memory(key, len(key or b""))),
        ]
        if timestamp is not None:
            parts.append(_part(TIMESTAMP, time=timestamp))
        for name, data in headers:
            parts.append(_part(HEADER, header=_Header(name.encode(), data, len(data or b""))))
        array = (_Part * len(parts))(*parts)
        self._check(LIB.rd_kafka_produceva(self.handle, array, c_size_t(len(parts))))
        LIB.rd_kafka_poll(self.handle, 0)

    def flush(self):
        self._check_code(LIB.rd_kafka_flush(self.handle, TIMEOUT))

    def begin(self):
        self._check(LIB.rd_kafka_begin_transaction(self.handle))

    def commit(self):
        self._check(LIB.rd_kafka_commit_transaction(self.handle, TIMEOUT))

    def abort(self):
        self._check(LIB.rd_kafka_abort_transaction(self.handle, TIMEOUT))


def transactional(bootstrap, name, **settings):
    made = Producer(bootstrap, transactional_id=name, **settings)
    made._check(LIB.rd_kafka_init_transactions(made.handle, TIMEOUT))
    return made


def _part(kind, **value):
    return _Part(kind, _Any(**value))


def consume(bootstrap, topic, partition=0, isolation="read_committed"):
    """All records of a partition, from its log start to its end for this isolation."""
    settings = {"group_id": "reader", "enable_partition_eof": "true", "enable_auto_commit": "false"}
    settings |= {"isolation_level": isolation, "check_crcs": "true"}
    records = []
    with Client(CONSUMER, bootstrap, **settings) as client:
        offsets = _partitions({(topic, partition): BEGINNING})
        client._check_code(LIB.rd_kafka_assign(client.handle, offsets))
        while True:
            message = LIB.rd_kafka_consumer_poll(client.handle, TIMEOUT)
            if not message:
                raise RuntimeError(f"{topic}/{partition}: no end")
            error = message.contents.error
            if error == 0:
                records.append(_record(message))
            LIB.rd_kafka_message_destroy(message)
            if error == PARTITION_EOF:
                return records
            if error not in PASSING:
                client._check_code(error)


def _bytes(pointer, size):
    return None if pointer is None else ctypes.string_at(pointer, size)


def _record(message):
    kind = c_int()
    time = LIB.rd_kafka_message_timestamp(message, byref(kind))
    one = message.contents
    key, value = _bytes(one.key, one.key_size), _bytes(one.payload, one.size)
    return Record(one.offset, time, key, value, tuple(_headers(message)))


def _headers(message):
    found = c_void_p()
    if LIB.rd_kafka_message_headers(message, byref(found)) != 0:
        return
    name, value, size = c_char_p(), c_void_p(), c_size_t()
    at = 0
    while not LIB.rd_kafka_header_get_all(
        found, c_size_t(at), byref(name), byref(value), byref(size)
    ):
        yield name.value.decode(), _bytes(value.value, size.value)
        at += 1


def commit_offsets(bootstrap, group, offsets):
    with Client(CONSUMER, bootstrap, group_id=group) as client:
        client._check_code(LIB.rd_kafka_commit(client.handle, _partitions(offsets), 0))


def committed_offsets(bootstrap, group, partitions):
    with Client(CONSUMER, bootstrap, group_id=group) as client:
        asked = _partitions({one: 0 for one in partitions})
        client._check_code(LIB.rd_kafka_committed(client.handle, asked, TIMEOUT))
        entries = [asked.contents.elements[i] for i in range(asked.contents.count)]
        return {(one.topic.decode(), one.partition): one.offset for one in entries}

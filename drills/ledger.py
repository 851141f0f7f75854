"""Reads the ledger of truth that lifeboat-load writes (stack/load/ledger.hpp says how it lies on
disk).

Everything is kept by column: the n-th entry of each column belongs to the message with seq n.
"""

import array
import json
import os
import struct
import sys

HEADER = struct.Struct("<8sII")
MAGIC = b"LBLEDGER"
VERSION = 1
ACKNOWLEDGED, UNKNOWN = 0, 1
BEGUN, COMMITTED, ABSENT, IN_DOUBT = 1, 2, 3, 4


class LedgerError(Exception):
    """The ledger cannot serve as a witness: absent, torn, not closed or contradicting itself."""


def read_records(path, record_size):
    """The bytes of all records; a torn tail is an error, for a closed ledger has none."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}") from error
    if len(data) < HEADER.size:
        raise LedgerError(f"{path} is shorter than its header")
    magic, version, size = HEADER.unpack_from(data)
    if magic != MAGIC or version != VERSION or size != record_size:
        raise LedgerError(
            f"{path} is no ledger of version {VERSION} with {record_size} bytes a record"
        )
    body = data[HEADER.size :]
    if len(body) % record_size:
        raise LedgerError(f"{path} ends in the middle of a record")
    return body


def column(body, record_size, typecode, at):
    """One field of every record: `typecode` as in module array, `at` in bytes from the record's
    start."""
    words = array.array(typecode)
    words.frombytes(body)
    if sys.byteorder != "little":
        words.byteswap()
    width = words.itemsize
    return words[at // width :: record_size // width]


class Messages:
    """One topic's messages. `acked[n]`: when it was acknowledged, unix seconds, or None."""

    RECORD = 64

    def __init__(self, folder, name):
        body = read_records(os.path.join(folder, name + ".sent"), self.RECORD)
        self.name = name
        self.sequence = self._column(body, "Q", 0)
        self.partition = self._column(body, "H", 16)
        self.epoch = self._column(body, "H", 18)
        self.team = self._column(body, "I", 20)
        self.id = self._column(body, "Q", 24)  # the upper half of the 128 bits
        self._read_own(body)
        if list(self.sequence) != list(range(len(self.sequence))):
            raise LedgerError(f"{name}.sent skips or repeats a message")
        self._read_answers(os.path.join(folder, name + ".answers"))

    def __len__(self):
        return len(self.sequence)

    def _column(self, body, typecode, at):
        return column(body, self.RECORD, typecode, at)

    def _read_own(self, body):
        raise NotImplementedError

    def _read_answers(self, path):
        body = read_records(path, 32)
        self.acked = [None] * len(self)
        self.offset = array.array("q", [-1]) * len(self)
        for seq, when_us, offset, state in zip(
            column(body, 32, "Q", 0),
            column(body, 32, "Q", 8),
            column(body, 32, "q", 16),
            column(body, 32, "H", 26),
        ):
            if seq >= len(self):
                raise LedgerError(f"{path} answers message {seq}, which was not sent")
            if state == ACKNOWLEDGED:
                if self.acked[seq] is not None:
                    raise LedgerError(f"{path} acknowledges message {seq} twice")
                self.acked[seq] = when_us / 1e6
                self.offset[seq] = offset

    def in_log_order(self):
        """{(partition, epoch): seqs as they lie in that log}. Acknowledged ones are ordered by
        offset; those in doubt fill the holes between them, in the order in which they were sent,
        and the rest of them come last."""
        acked, doubt = {}, {}
        for seq, key in enumerate(zip(self.partition, self.epoch)):
            (doubt if self.acked[seq] is None else acked).setdefault(key, []).append(seq)
        orders = {}
        for key in acked.keys() | doubt.keys():
            waiting = iter(doubt.get(key, []))
            order, last = [], None
            for seq in sorted(acked.get(key, []), key=self.offset.__getitem__):
                for _ in range(0 if last is None else self.offset[seq] - last - 1):
                    filler = next(waiting, None)
                    if filler is None:
                        break
                    order.append(filler)
                order.append(seq)
                last = self.offset[seq]
            orders[key] = order + list(waiting)
        return orders


class Events(Messages):
    def _read_own(self, body):
        self.hash = self._column(body, "Q", 40)
        self.day = self._column(body, "I", 52)
        self.amount = self._column(body, "i", 56)
        self.property_bytes = self._column(body, "I", 60)


class Persons(Messages):
    def _read_own(self, body):
        self.hash = self._column(body, "Q", 40)
        self.version = self._column(body, "Q", 48)


class Replay(Messages):
    RECORD = 80

    def _read_own(self, body):
        self.first_ms = self._column(body, "q", 40)
        self.last_ms = self._column(body, "q", 48)
        self.size = self._column(body, "q", 56)
        self.clicks = self._column(body, "I", 64)
        self.keys = self._column(body, "I", 68)
        self.day = self._column(body, "Q", 72)


class Transactions:
    """{tx_id: (state, time of the answer in unix seconds or None, content hash)}"""

    def __init__(self, folder):
        path = os.path.join(folder, "transactions")
        self.by_id = {}
        for tx_id, when_us, state, _, tx_hash in struct.iter_unpack(
            "<QQIIQ", read_records(path, 32)
        ):
            if state == BEGUN:
                if tx_id in self.by_id:
                    raise LedgerError(f"{path} begins transaction {tx_id} twice")
                self.by_id[tx_id] = (BEGUN, None, tx_hash)
            elif self.by_id.get(tx_id, (None,))[0] != BEGUN:
                raise LedgerError(f"{path} ends transaction {tx_id}, which is not under way")
            else:
                self.by_id[tx_id] = (state, when_us / 1e6, tx_hash)

    def __len__(self):
        return len(self.by_id)


def read_journal(folder):
    path = os.path.join(folder, "journal.jsonl")
    try:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except (OSError, ValueError) as error:
        raise LedgerError(f"{path} cannot be read: {error}") from error


class Ledger:
    def __init__(self, folder):
        self.journal = read_journal(folder)
        if not self.journal or self.journal[-1]["what"] != "closed":
            raise LedgerError(f"{folder} was not closed: the load did not end in order")
        self.events = Events(folder, "events")
        self.persons = Persons(folder, "persons")
        self.replay = Replay(folder, "replay")
        self.transactions = Transactions(folder)
        for name, promised in self.journal[-1]["records"].items():
            size = {"replay.sent": 80, "events.sent": 64, "persons.sent": 64}.get(name, 32)
            found = len(read_records(os.path.join(folder, name), size)) // size
            if found != promised:
                raise LedgerError(f"{name} holds {found} records, {promised} were written")
        self.epoch_begins = {
            line["epoch"]: line["at"] for line in self.journal if line["what"] == "producer begins"
        }

"""An encrypted vault, read and written by docs/format.md alone: shares no code with the program.
AES-256-GCM comes from Python's `cryptography`, all else from the standard library.
"""

import hashlib
import hmac
import json
import os
import pathlib
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ROOT, PACK, SNAPSHOT, LOGBOOK, POINT, SUMMARY, KEY = range(1, 8)
PAYLOAD, EXTENT, FOOTER, DIRECTORY, BLOCK, CHUNK = range(1, 7)
SEALED = 0x80
HEADER = struct.Struct("<8sHBBQ")  # and a u32 crc
TRAILER = struct.Struct("<IIHBBI8s")

_TABLE = []
for _byte in range(256):
    for _ in range(8):
        _byte = (_byte >> 1) ^ (0x82F63B78 if _byte & 1 else 0)
    _TABLE.append(_byte)


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def hmac_sha256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def hkdf(key, salt, info):
    return hmac_sha256(hmac_sha256(salt, key), info + b"\1")


def text(value):
    return struct.pack("<H", len(value.encode())) + value.encode()


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        assert self.at + size <= len(self.data), "ends too early"
        self.at += size
        return self.data[self.at - size : self.at]

    def unpack(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))

    def text(self):
        return self.take(self.unpack("H")[0]).decode()


def frame(kind, name, payload, flags=0):
    head = HEADER.pack(b"LIFEBOAT", 1, kind, flags, len(payload))
    crc = crc32c(head, crc32c(name.encode()))
    return head + struct.pack("<I", crc) + payload + struct.pack("<I", crc32c(payload, crc))


def unframe(kind, name, data):
    """The payload and the flags."""
    magic, version, found, flags, size = HEADER.unpack_from(data)
    assert (magic, version, found, size) == (b"LIFEBOAT", 1, kind, len(data) - 28), name
    crc = crc32c(data[:20], crc32c(name.encode()))
    assert struct.unpack_from("<I", data, 20)[0] == crc, name
    assert struct.unpack_from("<I", data, len(data) - 4)[0] == crc32c(data[24:-4], crc), name
    return data[24:-4], flags


def unwrap(name, data, passphrase=None, key_file=None):
    """The vault's key out of one of its wrapped copies; None when the secret does not fit."""
    payload, flags = unframe(KEY, name, data)
    assert flags == 0
    reader = Reader(payload)
    (kind,) = reader.unpack("B")
    reader.text(), reader.unpack("q"), reader.text()  # vault, created, label
    log2_n, r, p = reader.unpack("III")
    salt = reader.take(32)
    authenticated = payload[: reader.at]
    wrapped = reader.take(48)
    if kind == 1 and passphrase is not None:
        key = hashlib.scrypt(
            passphrase, salt=salt, n=1 << log2_n, r=r, p=p, maxmem=1 << 29, dklen=32
        )
    elif kind == 2 and key_file is not None:
        key = hkdf(key_file, salt, b"lifeboat wrap")
    else:
        return None
    aad = b"lifeboat key " + name.split("/")[1].encode() + authenticated
    return AESGCM(key).decrypt(bytes(12), wrapped, aad)


class SealedVault:
    def __init__(self, folder, vault_key):
        self.folder = pathlib.Path(folder)
        self.key = vault_key
        root = json.loads(unframe(ROOT, "vault", self.get("vault"))[0])
        self.id = root["id"]
        assert root["cipher"] == "AES-256-GCM"
        checked = f"{self.id} {root['created']} AES-256-GCM".encode()
        check_key = hkdf(self.key, self.id.encode(), b"lifeboat root")
        assert hmac_sha256(check_key, checked).hex() == root["check"], "not this vault's key"
        self.names_key = hkdf(self.key, self.id.encode(), b"lifeboat names")

    def get(self, name):
        return (self.folder / name).read_bytes()

    def names(self, prefix):
        found = []
        for path in sorted((self.folder / prefix).rglob("*")):
            name = str(path.relative_to(self.folder))
            if path.is_file() and not any(part.startswith(".") for part in name.split("/")):
                found.append(name)
        return found

    def name_of(self, content):
        return hmac_sha256(self.names_key, hashlib.sha256(content).digest()).hex()

    def cipher(self, kind, name, salt):
        info = b"lifeboat object" + struct.pack("<HB", 1, kind) + f"{self.id}/{name}".encode()
        return AESGCM(hkdf(self.key, salt, info))

    @staticmethod
    def nonce(part, at):
        return struct.pack("<IQ", part, at)

    def open(self, kind, name):
        """The payload and the flags of an object that is sealed as a whole."""
        data = self.get(name)
        payload, flags = unframe(kind, name, data)
        assert flags & SEALED, name
        cipher = self.cipher(kind, name, payload[:16])
        return cipher.decrypt(self.nonce(PAYLOAD, 40), payload[16:], data[:20]), flags & ~SEALED

    def seal(self, kind, name, payload, flags=0):
        salt = os.urandom(16)
        head = HEADER.pack(b"LIFEBOAT", 1, kind, flags | SEALED, 16 + len(payload) + 16)
        sealed = self.cipher(kind, name, salt).encrypt(self.nonce(PAYLOAD, 40), payload, head)
        return frame(kind, name, salt + sealed, flags | SEALED)

    def container(self, kind, name):
        """The object, its cipher, a reader of its footer: of the logbook's objects and packs."""
        data = self.get(name)
        size, crc, version, found, flags, trailer_crc, magic = TRAILER.unpack(data[-24:])
        assert (version, found, magic) == (1, kind, b"LBOATEND") and flags & SEALED
        assert trailer_crc == crc32c(data[-24:-12], crc32c(name.encode()))
        at = len(data) - 24 - size
        footer = data[at:-24]
        assert crc == crc32c(footer, crc32c(name.encode()))
        cipher = self.cipher(kind, name, footer[:16])
        footer = cipher.decrypt(self.nonce(FOOTER, at), footer[16:], data[:20] + bytes([flags]))
        return data, cipher, Reader(footer)

    def pack(self, name):
        """(SHA-256, codec, size, stored bytes as they were before sealing) of each chunk."""
        data, cipher, reader = self.container(PACK, name)
        offset = 24
        for _ in range(reader.unpack("I")[0]):
            digest = reader.take(32)
            stored, size, codec, crc = reader.unpack("IIBI")
            sealed = data[offset : offset + stored]
            assert crc32c(sealed) == crc
            yield digest, codec, size, cipher.decrypt(self.nonce(CHUNK, offset), sealed, None)
            offset += stored

    def write_pack(self, name, contents, salt=None):
        """A pack of these chunks, as they are; gives its bytes."""
        salt = salt or os.urandom(16)
        cipher = self.cipher(PACK, name, salt)
        body, table = b"", struct.pack("<I", len(contents))
        for content in contents:
            sealed = cipher.encrypt(self.nonce(CHUNK, 24 + len(body)), content, None)
            table += hashlib.sha256(content).digest()
            table += struct.pack("<IIBI", len(sealed), len(content), 0, crc32c(sealed))
            body += sealed
        size = 24 + len(body) + 16 + len(table) + 16 + 24
        head = HEADER.pack(b"LIFEBOAT", 1, PACK, SEALED, size - 24)
        sealed = cipher.encrypt(self.nonce(FOOTER, 24 + len(body)), table, head + bytes([SEALED]))
        footer, start = salt + sealed, crc32c(name.encode())
        end = struct.pack("<IIHBB", len(footer), crc32c(footer, start), 1, PACK, SEALED)
        end += struct.pack("<I", crc32c(end, start)) + b"LBOATEND"
        return head + struct.pack("<I", crc32c(head, start)) + body + footer + end

    def logbook(self, name):
        """(log, base, next, codec, stored bytes as they were before sealing) of each extent."""
        data, cipher, reader = self.container(LOGBOOK, name)
        _, logs, extents, _ = reader.unpack("qIII")
        logs = [reader.text() for _ in range(logs)]
        for _ in range(extents):
            log, base, end, _, _, offset, stored, raw, codec, _ = reader.unpack("IqqqqQQQBI")
            reader.text()
            sealed = data[offset : offset + stored]
            content = cipher.decrypt(self.nonce(EXTENT, offset), sealed, None)
            assert codec != 0 or len(content) == raw
            yield logs[log], base, end, codec, content

    def summary(self, name):
        """Opens the directory and gives its bytes, compressed, and what follows it."""
        data = self.get(name)
        payload, flags = unframe(SUMMARY, name, data)
        assert flags == SEALED
        cipher = self.cipher(SUMMARY, name, payload[:16])
        stored, _ = struct.unpack_from("<II", payload, 16)
        aad = data[:20] + payload[16:24]
        directory = cipher.decrypt(self.nonce(DIRECTORY, 48), payload[24 : 24 + stored], aad)
        return directory, payload[24 + stored :]

    def wrap(self, passphrase, label="by another program", log2_n=10):
        """A passphrase for the vault, added."""
        identifier, salt = os.urandom(8).hex(), os.urandom(32)
        head = b"\1" + text(self.id) + struct.pack("<q", 1_800_000_000_000) + text(label)
        head += struct.pack("<III", log2_n, 8, 1) + salt
        key = hashlib.scrypt(passphrase, salt=salt, n=1 << log2_n, r=8, p=1, dklen=32)
        aad = b"lifeboat key " + identifier.encode() + head
        name = f"keys/{identifier}"
        wrapped = AESGCM(key).encrypt(bytes(12), self.key, aad)
        (self.folder / name).write_bytes(frame(KEY, name, head + wrapped))
        return identifier

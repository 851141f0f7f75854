#!/usr/bin/env python3
"""ClickHouse's HTTP interface over the engine as a library (chdb).

Speaks what clients of the real server use (https://clickhouse.com/docs/interfaces/http): GET /ping
and /replicas_status, GET and POST /?query=…, with `database`, `default_format`, `query_id`,
`user`, `password`, `param_NAME` and any other parameter as a setting of the query; the query in the
URL, in the body, or its first part in the URL and the rest (the data of an INSERT) in the body.
Errors carry the server's status, text and X-ClickHouse-Exception-Code.

A chdb connection runs one query at a time, but several connections to the same path share one
engine and run side by side. So each request gets a connection of its own (0.6 ms), which also keeps
USE and SET from leaking into the next one.

Not here: sessions (session_id), the Native compression of bodies, progress headers; KILL QUERY
does not know the given query_id. Answers are built in memory before they are sent.
"""

import argparse
import base64
import glob
import http.server
import os
import re
import signal
import sys
import threading
import urllib.parse
import uuid
import zlib
from xml.sax.saxutils import escape

import chdb

BACKUP_DISK = "backups"
MARK = "held back by clickhouse_front.py while the engine starts\n"

CONFIG = """<clickhouse>
  <logger>
    <level>{level}</level><console>1</console><console_log_level>{level}</console_log_level>
  </logger>
  <storage_configuration><disks>
    <{disk}><type>local</type><path>{backups}/</path></{disk}>
  </disks></storage_configuration>
  <backups>
    <allowed_disk>{disk}</allowed_disk>
    <allowed_path>{backups}/</allowed_path>
  </backups>
  <background_pool_size>4</background_pool_size>
  <background_schedule_pool_size>16</background_schedule_pool_size>
  <background_message_broker_schedule_pool_size>16</background_message_broker_schedule_pool_size>
  <mark_cache_size>67108864</mark_cache_size>
</clickhouse>
"""

# Parameters of the interface itself; all others are settings of the query.
OWN_PARAMETERS = {"query", "database", "default_format", "query_id", "user", "password", "quota_key",
                  "stacktrace", "decompress", "compress", "wait_end_of_query", "buffer_size",
                  "send_progress_in_http_headers", "session_id", "session_timeout", "session_check",
                  "enable_http_compression", "http_zlib_compression_level", "role"}

# exceptionCodeToHTTPStatus of the server; anything else is 500.
STATUS_OF_CODE = {194: 401, 192: 403, 193: 403, 516: 403,
                  **dict.fromkeys((6, 25, 26, 27, 36, 38, 41, 44, 53, 56, 57, 62, 72, 117, 167, 168,
                                   427, 675, 676), 400),
                  **dict.fromkeys((46, 47, 50, 60, 63, 73, 78, 81, 115), 404),
                  48: 501, 209: 503, 159: 408}

WORD = r"[A-Za-z_][A-Za-z0-9_]*"
NAME = rf"(?:`[^`]+`|\"[^\"]+\"|{WORD})"
CREATES_TABLE = re.compile(
    rf"\s*(?:CREATE|ATTACH)\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?({NAME}(?:\.{NAME})?)", re.I)


class QueryError(Exception):
    """An exception of the engine, with the server's code for it."""

    def __init__(self, text):
        super().__init__(text)
        found = re.match(r"(?s)\s*Code: (\d+)\.", text)
        self.code = int(found.group(1)) if found else 1001  # STD_EXCEPTION

    @property
    def status(self):
        return STATUS_OF_CODE.get(self.code, 500)


class Engine:
    """chdb on one folder. `query` may be called by many threads at once."""

    def __init__(self, data, config):
        self._address = f"{data}?config-file={config}"
        held_back = hold_back_kafka_tables(data)
        self._keeper = chdb.connect(self._address)  # the engine lives while a connection does
        self.version = self._ask(self._keeper, "SELECT version()").decode().strip()
        for database, table in held_back:
            try:
                self.query(f"ATTACH TABLE {quoted(database)}.{quoted(table)}", "TabSeparated")
            except QueryError as error:  # as a server, which starts without a broken table
                print(f"cannot attach {database}.{table}: {error}", file=sys.stderr, flush=True)

    def query(self, text, output_format, database=None, settings=None, parameters=None):
        connection = chdb.connect(self._address)
        try:
            if database:
                self._ask(connection, f"USE {quoted(database)}")
            for name, value in (settings or {}).items():
                self._ask(connection, f"SET {name} = {literal(value)}")
            return self._ask(connection, text, output_format, parameters)
        except QueryError as error:
            if self._made_its_kafka_table(connection, text, error):
                return b""
            raise
        finally:
            connection.close()

    def _made_its_kafka_table(self, connection, text, error):
        """CREATE and ATTACH of a Kafka table fail in chdb after the table was made and works.

        "Shutdown was called" comes from a server's part that the library lacks; a server answers
        with success, so the front does, when the table is there.
        """
        if error.code != 49 or "Shutdown was called" not in str(error):
            return False
        head = text[:4096].decode(errors="replace") if isinstance(text, bytes) else text[:4096]
        created = CREATES_TABLE.match(head)
        return created is not None and self._ask(
            connection, f"EXISTS TABLE {created.group(1)}").strip() == b"1"

    def close(self):
        self._keeper.close()

    @staticmethod
    def _ask(connection, text, output_format="TabSeparated", parameters=None):
        try:
            result = connection.query(text, output_format, params=parameters or None)
            if result.has_error():
                raise QueryError(result.error_message())
            return bytes(result.bytes() or b"")
        except chdb.ChdbError as error:
            raise QueryError(str(error)) from None


def hold_back_kafka_tables(data):
    """Lets the engine start without its Kafka tables; returns (database, table) of each.

    chdb refuses to load a folder with a Kafka table in it, by the same "Shutdown was called". So
    each is marked as DETACH … PERMANENTLY does, to be attached when the engine stands. ATTACH
    removes the mark. The mark's text tells ours from a user's, also after a crash in between.
    """
    found = []
    for path in sorted(glob.glob(os.path.join(glob.escape(data), "metadata", "*", "*.sql"))):
        with open(path, encoding="utf-8", errors="replace") as file:
            if not re.search(r"^ENGINE = Kafka\b", file.read(), re.M):
                continue
        mark = path + ".detached"
        if os.path.exists(mark):
            with open(mark, encoding="utf-8", errors="replace") as file:
                if file.read() != MARK:
                    continue
        with open(mark, "w", encoding="utf-8") as file:
            file.write(MARK)
        folder, name = os.path.split(path)
        found.append((urllib.parse.unquote(os.path.basename(folder)),
                      urllib.parse.unquote(name.removesuffix(".sql"))))
    return found


def quoted(name):
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(value):
    if re.fullmatch(r"-?\d+(\.\d+)?", value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "clickhouse_front"
    disable_nagle_algorithm = True  # headers and body are two writes
    engine = None
    user = password = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        if path in ("/ping", "/replicas_status"):
            self._send(200, b"Ok.\n")
        elif path == "/" and not urllib.parse.urlsplit(self.path).query:
            self._send(200, b"Ok.\n")
        else:
            self._answer(b"", read_only=True)

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        try:
            body = self._body()
        except ValueError as error:
            self.close_connection = True
            self._send(400, f"{error}\n".encode())
            return
        self._answer(body, read_only=False)

    def _answer(self, body, read_only):
        address = urllib.parse.urlsplit(self.path)
        if address.path != "/":
            self._send(404, f"There is no handle {address.path}\n".encode())
            return
        given = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
        query_id = given.get("query_id") or str(uuid.uuid4())
        try:
            self._check_password(given)
            output_format = (given.get("default_format") or self.headers.get("X-ClickHouse-Format")
                             or "TabSeparated")
            settings = {name: value for name, value in given.items()
                        if name not in OWN_PARAMETERS and not name.startswith("param_")
                        and re.fullmatch(WORD, name)}
            if read_only:
                settings.setdefault("readonly", "2")
            answer = self.engine.query(
                statement(given.get("query", ""), body), output_format,
                given.get("database") or self.headers.get("X-ClickHouse-Database"), settings,
                {name[6:]: value for name, value in given.items() if name.startswith("param_")})
            self._send(200, answer, {"X-ClickHouse-Query-Id": query_id,
                                     "X-ClickHouse-Format": output_format})
        except QueryError as error:
            text = f"{str(error).rstrip()} (version {self.engine.version})\n"
            self._send(error.status, text.encode(),
                       {"X-ClickHouse-Query-Id": query_id,
                        "X-ClickHouse-Exception-Code": str(error.code)})

    def _check_password(self, given):
        user, password = given.get("user"), given.get("password")
        if user is None:
            user = self.headers.get("X-ClickHouse-User")
            password = self.headers.get("X-ClickHouse-Key")
        authorization = self.headers.get("Authorization", "")
        if user is None and authorization.startswith("Basic "):
            try:
                text = base64.b64decode(authorization[6:], validate=True).decode()
                user, _, password = text.partition(":")
            except ValueError:
                pass
        user = "default" if user is None else user
        if (user, password or "") != (self.user, self.password):
            raise QueryError(
                f"Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, "
                "or there is no user with such name. (AUTHENTICATION_FAILED)")

    def _body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            body = b"".join(self._chunks())
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        encoding = self.headers.get("Content-Encoding", "")
        if encoding in ("gzip", "deflate"):
            try:
                return zlib.decompress(body, 47)
            except zlib.error as error:
                raise ValueError(f"Content-Encoding: {error}") from None
        if encoding not in ("", "identity"):
            raise ValueError(f"Content-Encoding {encoding} is not supported by this front")
        return body

    def _chunks(self):
        while True:
            size = int(self.rfile.readline(64).split(b";")[0], 16)
            if size == 0:
                while self.rfile.readline(65536).strip():
                    pass  # trailers
                return
            yield self.rfile.read(size)
            self.rfile.readline(64)

    def _send(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def statement(in_url, body):
    """The text of the query: URL first, a line break, then the body."""
    if not in_url:
        return body
    if not body:
        return in_url
    return in_url.encode() + b"\n" + body


class FrontServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--backups", required=True, help="path of the disk `backups`")
    parser.add_argument("--config", required=True, help="where to write the engine's config")
    parser.add_argument("--log-level", default="warning")
    parser.add_argument("--user", default="default")
    parser.add_argument("--password-env", default="CLICKHOUSE_PASSWORD",
                        help="name of the environment variable that holds the password")
    options = parser.parse_args()
    with open(options.config, "w", encoding="utf-8") as file:
        file.write(CONFIG.format(level=options.log_level, disk=BACKUP_DISK,
                                 backups=escape(options.backups.rstrip("/"))))
    Handler.user = options.user
    Handler.password = os.environ.get(options.password_env, "")
    server = FrontServer(("127.0.0.1", options.port), Handler)
    Handler.engine = Engine(options.data, options.config)
    # shutdown() waits for serve_forever, so it cannot run in the signal's handler itself.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    Handler.engine.close()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

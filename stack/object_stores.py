"""S3 servers of the local stack: two implementations that share no code, each with one bucket."""

import datetime
import hashlib
import hmac
import json
import os
import secrets
import urllib.error
import urllib.parse
import urllib.request

import certificates
from process import Port
from servers import CACHE, Server, java_command, need

SEAWEEDFS = os.path.join(CACHE, "venv-seaweedfs-4.48", "bin", "weed")
S3PROXY_JARS = os.path.join(CACHE, "s3proxy-4.1.0")
REGION = "us-east-1"
BUCKET = "lifeboat"
LOCKED_BUCKET = "lifeboat-locked"
# Beside the one that may do all: one that may not delete, one that may, one that reads.
IDENTITIES = {"writer": ["Read", "Write", "List", "GetObjectRetention", "PutObjectRetention"],
              "pruner": ["Read", "Write", "List", "GetObjectRetention"],
              "reader": ["Read", "List"]}
LOGBACK = """<configuration>
  <appender name="err" class="ch.qos.logback.core.ConsoleAppender">
    <target>System.err</target>
    <encoder><pattern>%d %-5level %logger{20} %msg%n</pattern></encoder>
  </appender>
  <logger name="ROOT" level="WARN"><appender-ref ref="err"/></logger>
</configuration>
"""


def s3_request(facts, method, path, body=b"", query=None, timeout=10, extra=None):
    """One signed request (AWS Signature Version 4), path style; (status, body). A witness of its
    own: shares no code with Lifeboat. `facts` is what stack.json says of the server, `extra` further
    headers by names in lower case."""
    at = urllib.parse.urlsplit(facts["endpoint"])
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    parameters = "&".join(f"{urllib.parse.quote(name, safe='')}={urllib.parse.quote(value, safe='')}"
                          for name, value in sorted((query or {}).items()))
    digest = hashlib.sha256(body).hexdigest()
    headers = dict(sorted({"host": at.netloc, "x-amz-content-sha256": digest, "x-amz-date": now,
                           **(extra or {})}.items()))
    signed = ";".join(headers)
    canonical = "\n".join([method, urllib.parse.quote(path), parameters,
                           *(f"{name}:{value}" for name, value in headers.items()), "", signed, digest])
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + facts["secret_key"]).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={facts['access_key']}/{scope}, "
                                f"SignedHeaders={signed}, Signature={signature}")
    headers["content-type"] = "application/octet-stream"
    url = f"{facts['endpoint']}{urllib.parse.quote(path)}" + (f"?{parameters}" if parameters else "")
    request = urllib.request.Request(url, data=body or None, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class S3Server(Server):
    """`_works` makes the bucket and writes into it: a server that only listens is not ready."""

    def __init__(self, folder, earlier, cancelled):
        super().__init__(folder, earlier, cancelled)
        self.access_key = earlier.get("access_key") or secrets.token_hex(8)
        self.secret_key = earlier.get("secret_key") or secrets.token_hex(16)

    def facts(self):
        return {"endpoint": f"http://127.0.0.1:{self.port}", "bucket": BUCKET, "region": REGION,
                "access_key": self.access_key, "secret_key": self.secret_key}

    def _works(self):
        try:
            made, _ = s3_request(self.facts(), "PUT", f"/{BUCKET}")
            written, _ = s3_request(self.facts(), "PUT", f"/{BUCKET}/.ready", b"x")
            removed, _ = s3_request(self.facts(), "DELETE", f"/{BUCKET}/.ready")
            return made in (200, 409) and written == 200 and removed == 204
        except (OSError, urllib.error.URLError):
            return False

    def _write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as file:
            file.write(text)
        return path


class SeaweedFS(S3Server):
    """Master, volume server, filer and S3 front in one process. The front speaks TLS too, with a
    certificate of certificates.py's. A second bucket locks objects; the identity `writer` may not
    delete in either."""

    name = "seaweedfs"

    def __init__(self, folder, earlier, cancelled):
        super().__init__(folder, earlier, cancelled)
        parts = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3.grpc",
                 "s3.https", "debug")
        before = earlier.get("inner_ports", {})
        self._inner = {part: Port(before.get(part)) for part in parts}
        self._certificates = os.path.join(folder, "certificates")
        self._identities = earlier.get("identities") or {
            name: {"access_key": secrets.token_hex(8), "secret_key": secrets.token_hex(16)}
            for name in IDENTITIES}

    def facts(self):
        return {**super().facts(), "certificates": self._certificates,
                "locked_bucket": LOCKED_BUCKET, "identities": self._identities,
                "https_endpoint": f"https://127.0.0.1:{self._inner['s3.https'].number}",
                "inner_ports": {part: port.number for part, port in self._inner.items()}}

    def close(self):
        super().close()
        for port in self._inner.values():
            port.close()

    def _prepare(self):
        super()._prepare()
        certificates.make(self._certificates)

    def _works(self):
        if not super()._works():
            return False
        made, _ = s3_request(self.facts(), "PUT", f"/{LOCKED_BUCKET}",
                             extra={"x-amz-bucket-object-lock-enabled": "true"})
        return made in (200, 409) and all(
            s3_request(self.facts(), "PUT", f"/{bucket}", self._policy(bucket), {"policy": ""})[0] == 204
            for bucket in (BUCKET, LOCKED_BUCKET))

    @staticmethod
    def _policy(bucket):
        return json.dumps({"Version": "2012-10-17", "Statement": [{
            "Sid": "WritersDoNotDelete", "Effect": "Deny",
            "Principal": {"AWS": ["arn:aws:iam::000000000000:user/writer"]},
            "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"],
            "Resource": [f"arn:aws:s3:::{bucket}/*"]}]}).encode()

    def _identity_list(self):
        keys = {"lifeboat": {"access_key": self.access_key, "secret_key": self.secret_key},
                **self._identities}
        actions = {"lifeboat": ["Admin", "Read", "Write", "List", "Tagging"], **IDENTITIES}
        return {"identities": [
            {"name": name, "actions": actions[name],
             "credentials": [{"accessKey": key["access_key"], "secretKey": key["secret_key"]}]}
            for name, key in keys.items()]}

    def _command(self):
        need(SEAWEEDFS, "SeaweedFS 4.48")
        port = {part: str(taken.number) for part, taken in self._inner.items()}
        return [SEAWEEDFS, "-logtostderr", "server", "-dir", self.data, "-ip", "127.0.0.1",
                "-ip.bind", "127.0.0.1", "-master.telemetry=false", "-debug.port", port["debug"],
                "-master.port", port["master"], "-master.port.grpc", port["master.grpc"],
                "-volume.port", port["volume"], "-volume.port.grpc", port["volume.grpc"],
                "-volume.max", "20", "-master.volumeSizeLimitMB", "1024",
                "-filer", "-filer.port", port["filer"], "-filer.port.grpc", port["filer.grpc"],
                "-filer.localSocket", os.path.join(self.folder, "filer.sock"),
                "-s3", "-s3.port", str(self.port), "-s3.port.grpc", port["s3.grpc"],
                "-s3.port.https", port["s3.https"],
                "-s3.cert.file", os.path.join(self._certificates, "broker.crt"),
                "-s3.key.file", os.path.join(self._certificates, "broker.key"),
                "-s3.port.iceberg", "0", "-s3.port.lance", "0", "-s3.autoCreateBucket=false",
                "-s3.localSocket", os.path.join(self.folder, "s3.sock"),
                "-s3.config", self._write("s3.json", json.dumps(self._identity_list()))]


class S3Proxy(S3Server):
    """S3 over a local folder, in Java."""

    name = "s3proxy"

    def _command(self):
        need(S3PROXY_JARS, "S3Proxy 4.1.0")
        buckets = os.path.join(self.data, "buckets")
        os.makedirs(buckets, exist_ok=True)
        config = self._write("s3proxy.properties", "".join(f"{key}={value}\n" for key, value in {
            "s3proxy.endpoint": f"http://127.0.0.1:{self.port}",
            "s3proxy.authorization": "aws-v2-or-v4",
            # It knows no session tokens: with this it takes any, and checks the signature over it.
            "s3proxy.ignore-unknown-headers": "true",
            "s3proxy.identity": self.access_key, "s3proxy.credential": self.secret_key,
            "jclouds.provider": "filesystem-nio2", "jclouds.identity": "x", "jclouds.credential": "x",
            "jclouds.filesystem.basedir": buckets}.items()))
        logging = self._write("logback.xml", LOGBACK)
        return java_command("-Xmx512m", f"-Dlogback.configurationFile={logging}", "-cp", os.path.join(S3PROXY_JARS, "*"),
                            "org.gaul.s3proxy.Main", "--properties", config)

#!/usr/bin/env python3
"""Credentials for a web identity token (a Kubernetes service account, say): exchanged at AWS's security token
service. The real one is only at AWS: here a scripted peer speaks its protocol by TLS, and hands out what a real S3
server then checks. The library goes to port 443 of the service's name, and trusts the machine's authorities: the
program sees the test's in their place, in a mount namespace of its own, and the name on an address of its own."""

import datetime
import http.server
import os
import random
import ssl
import sys
import threading
import unittest
import urllib.parse

import harness
from harness import Lifeboat, Stack

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
ROLE = "arn:aws:iam::123456789012:role/lifeboat"
ANSWER = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><SessionToken>session</SessionToken>
<SecretAccessKey>{secret_key}</SecretAccessKey><Expiration>{until}</Expiration>
<AccessKeyId>{access_key}</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""


class TokenService(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.server.asked.append(form)
        good = (form.get("Action") == "AssumeRoleWithWebIdentity" and form.get("RoleArn") == ROLE and
                form.get("WebIdentityToken") == "token of the pod")
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        body = ANSWER.format(until=until.strftime("%Y-%m-%dT%H:%M:%SZ"), **self.server.key).encode() if good else b""
        self.send_response(200 if good else 403)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@unittest.skipIf(os.geteuid() != 0, "NOT TESTED: port 443 and a mount namespace need root")
class WebIdentity(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder(self)
        # seaweedfs has the certificates; s3proxy takes a session token that it did not give out.
        self.stack = Stack(self.folder / "stack", ["s3proxy", "seaweedfs"])
        self.addCleanup(self.stack.close)
        self.stack.start_all()
        self.server = self.stack.info()["s3proxy"]
        self.certificates = self.stack.info()["seaweedfs"]["certificates"]
        address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        self.service = http.server.ThreadingHTTPServer((address, 443), TokenService)
        self.hosts = self.folder / "hosts"
        self.hosts.write_text(f"{address} localhost\n")
        self.service.key, self.service.asked = self.server, []
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(f"{self.certificates}/broker.crt", f"{self.certificates}/broker.key")
        self.service.socket = tls.wrap_socket(self.service.socket, server_side=True)
        threading.Thread(target=self.service.serve_forever, daemon=True).start()
        self.addCleanup(self.service.server_close)
        self.addCleanup(self.service.shutdown)
        self.lifeboat = Lifeboat(self.folder)
        self.lifeboat.config.write_text(
            f"vault: s3://{self.server['bucket']}/web\n"
            f's3: {{endpoint: "{self.server["endpoint"]}", region: us-east-1, retry_for: 1s}}\n'
            "kafka: {bootstrap: [127.0.0.1:1]}\n")
        self.token = self.folder / "token"
        self.token.write_text("token of the pod")

    def run_program(self, *words):
        """In a mount namespace in which the machine's authorities are the test's."""
        script = f'mount --bind "$0" {AUTHORITIES} && mount --bind "$1" /etc/hosts && shift && exec "$@"'
        return self.lifeboat.run(
            *words,
            under=["unshare", "--mount", "sh", "-c", script, f"{self.certificates}/ca.pem", self.hosts],
            environment={
                "AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": str(self.token), "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL_STS": "localhost",  # the library takes a name, where a URL should be
                "AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
                "AWS_CONFIG_FILE": "/dev/null"})

    def test_a_token_opens_the_vault(self):
        made = self.run_program("init")
        self.assertIn("made a plain vault", made.err)
        self.assertEqual(self.run_program("points").code, 0)
        self.assertTrue(self.service.asked)
        self.token.write_text("token of somebody else")
        refused = self.run_program("points")
        self.assertEqual(refused.code, harness.UNAVAILABLE, refused)
        self.assertIn("no credentials", refused.err)


if __name__ == "__main__":
    sys.exit(unittest.main())

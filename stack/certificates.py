"""A certificate authority of the stack's own, and what it signed; by the program `openssl`.

Files below one folder, made once: ca.pem; broker.pem (key and certificate of localhost and
127.0.0.1); elsewhere.pem (of a host that is not this one); expired.pem; client.crt and client.key,
client.locked.key with KEY_PASSWORD; stranger-ca.pem, which signed none of them.
"""

import os
import subprocess
import threading

from process import StackError

KEY_PASSWORD = "the key's own password"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_CONFIG = """[ca]
default_ca = here
[here]
database = index.txt
serial = serial
new_certs_dir = signed
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


_one_at_a_time = threading.Lock()


def make(folder):
    with _one_at_a_time:
        _make(folder)


def _make(folder):
    if os.path.exists(os.path.join(folder, "made")):
        return
    os.makedirs(os.path.join(folder, "signed"), exist_ok=True)
    for name, content in (("ca.cnf", _CONFIG), ("index.txt", ""), ("serial", "01\n")):
        _write(folder, name, content)
    for name in ("ca", "stranger-ca"):
        _openssl(folder, "req", "-x509", *_NEW_KEY, "-days", "3650",
                 "-subj", f"/CN=Lifeboat's {name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    here = "DNS:localhost,IP:127.0.0.1"
    for name, names, end in (("broker", here, "20491231235959Z"),
                             ("elsewhere", "DNS:elsewhere.example", "20491231235959Z"),
                             ("expired", here, "20200101000000Z"),
                             ("client", "DNS:client.example", "20491231235959Z")):
        _sign(folder, name, names, end)
    _openssl(folder, "pkcs8", "-topk8", "-v2", "aes256", "-in", "client.key",
             "-out", "client.locked.key", "-passout", f"pass:{KEY_PASSWORD}")
    _write(folder, "made", "")


def _sign(folder, name, names, end):
    _openssl(folder, "req", *_NEW_KEY, "-subj", f"/CN={name}",
             "-addext", f"subjectAltName={names}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    _openssl(folder, "ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem",
             "-keyfile", "ca.key", "-in", f"{name}.csr", "-out", f"{name}.crt",
             "-startdate", "20190101000000Z", "-enddate", end)
    parts = []
    for file in (f"{name}.key", f"{name}.crt"):
        with open(os.path.join(folder, file), encoding="ascii") as part:
            parts.append(part.read())
    _write(folder, f"{name}.pem", "".join(parts))


def _write(folder, name, content):
    with open(os.path.join(folder, name), "w", encoding="ascii") as file:
        file.write(content)


def _openssl(folder, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=folder, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise StackError(f"openssl {arguments[0]} ended with {done.returncode}: {done.stdout}")

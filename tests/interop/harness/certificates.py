"""A certificate authority and a server certificate for one scenario, by openssl."""

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Certificates:
    ca: Path
    server: Path
    key: Path


def make(context):
    """An authority and a certificate for localhost and 127.0.0.1, valid for two days."""
    folder = context.folder / "tls"
    folder.mkdir()
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    context.succeed((
        "openssl", "req", "-x509", *key, "-keyout", folder / "ca.key", "-out", made.ca, "-subj", "/CN=interop authority",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    ))
    context.succeed((
        "openssl", "req", "-x509", *key, "-CA", made.ca, "-CAkey", folder / "ca.key",
        "-keyout", made.key, "-out", made.server, "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-addext", "basicConstraints=critical,CA:FALSE",
        "-addext", "keyUsage=critical,digitalSignature",
        "-addext", "extendedKeyUsage=serverAuth",
    ))
    return made

"""A certificate authority and a server certificate for one scenario, by openssl."""

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Certificates:
    ca: Path
    server: Path
    key: Path
    client: Path
    client_key: Path


def make(context):
    """An authority, a certificate for localhost and 127.0.0.1 and one for a client, valid for two days."""
    folder = context.folder / "tls"
    folder.mkdir()
    ca = folder / "ca.pem"
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    context.succeed((
        "openssl", "req", "-x509", *key, "-keyout", folder / "ca.key", "-out", ca, "-subj", "/CN=interop authority",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    ))

    def sign(name, subject, names, usage):
        context.succeed((
            "openssl", "req", "-x509", *key, "-CA", ca, "-CAkey", folder / "ca.key",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-subj", subject,
            "-addext", f"subjectAltName={names}",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-addext", "keyUsage=critical,digitalSignature",
            "-addext", f"extendedKeyUsage={usage}",
        ))
        return folder / f"{name}.pem", folder / f"{name}.key"

    # Of a cluster each server is a client of the others.
    server = sign("server", "/CN=localhost", "DNS:localhost,IP:127.0.0.1", "serverAuth,clientAuth")
    client = sign("client", "/CN=client", "email:client@interop.example", "clientAuth")
    return Certificates(ca, *server, *client)

"""where client certificates count, OpenSSL is given no session that it could resume without showing its certificate again"""

import socket
import ssl

from harness import certificates, server
from harness.check import check
from harness.nats_auth import NatsAuth
from harness.serve import Serve

PEERS = ("nats",)
# A stock server hands out tickets; see advisory 2026-01 in docs/security.md.
BROKERS = ("cordon",)


def run(context):
    made = certificates.make(context)
    configuration = NatsAuth(context).make_operator().configuration()
    verify = f'ca_file: "{made.ca}"\n  verify: true'
    asks(context, "cordon broker with verify", server.start(context, "cordon", configuration, made, tls=verify), made)
    asks(context, "cordon serve", Serve(context).server, None)


def asks(context, name, broker, made):
    """Connects twice by each version of TLS, the second time with the session of the first."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        tls = ssl.create_default_context(cafile=str(broker.ca))
        tls.minimum_version = tls.maximum_version = version
        if made:
            tls.load_cert_chain(made.client, made.client_key)
        first, _ = handshake(broker, tls, None)
        check(first is None or not first.has_ticket, f"{name}, {version.name}: no ticket is handed out")
        _, resumed = handshake(broker, tls, first)
        check(not resumed, f"{name}, {version.name}: a second connection verifies the certificate again")
        context.show(f"{name}, {version.name}: no ticket, and a full handshake each time")


def handshake(broker, tls, session):
    """One connection up to the broker's answer; its session, and whether that was resumed."""
    host, port = broker.url.removeprefix("tls://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        info = plain.recv(65536)
        check(info.startswith(b"INFO "), "the broker speaks first", info.decode(errors="replace"))
        with tls.wrap_socket(plain, server_hostname=host, session=session) as wrapped:
            # Tickets of TLS 1.3 come after the handshake, so something has to be read.
            wrapped.sendall(b"PING\r\n")
            answer = wrapped.recv(65536)
            check(b"Authorization Violation" in answer, "the broker answers inside TLS", answer.decode(errors="replace"))
            return wrapped.session, wrapped.session_reused

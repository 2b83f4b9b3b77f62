"""Starting the broker under test, or a stock server, from a configuration file."""

from dataclasses import dataclass
from pathlib import Path

from harness.process import Process

LISTENERS = """
listen: "127.0.0.1:{port}"
http: "127.0.0.1:-1"
tls {{
  cert_file: "{certificate}"
  key_file: "{key}"
  {tls}
}}
"""

WEBSOCKET = """
websocket {{
  host: "127.0.0.1"
  port: -1
  compression: true
  tls {{
    cert_file: "{certificate}"
    key_file: "{key}"
  }}
}}
"""

TRUST = """
operator: {operator}
system_account: {system}
resolver {{
  type: full
  dir: "./jwt-{system}"
  allow_delete: {allow_delete}
}}
resolver_preload: {{
  {system}: {token}
}}
"""


@dataclass
class Server:
    """A running broker: where clients and monitors reach it, and what it trusts."""

    url: str
    monitor: str
    ca: Path
    process: Process
    websocket: str | None = None


def trusting(operator, system, token, allow_delete=False):
    """The configuration that trusts an operator, with a resolver that takes account JWTs over NATS.

    `system` is the key of the system account and `token` its JWT.
    """
    return TRUST.format(operator=operator, system=system, token=token, allow_delete=str(allow_delete).lower())


def start(context, kind, configuration, certificates, port=-1, tls="", websocket=False):
    """Start `kind` ("cordon" or "nats-server"), by default on ports that the system chooses.

    `tls` are further lines of the `tls` block; with `websocket` there is a listener for that, too.
    """
    name = f"{kind}-{len(context.processes)}"
    file = context.folder / f"{name}.conf"
    listeners = LISTENERS.format(port=port, certificate=certificates.server, key=certificates.key, tls=tls)
    if websocket:
        listeners += WEBSOCKET.format(certificate=certificates.server, key=certificates.key)
    file.write_text(configuration + listeners)
    command = (context.peers.server, "-c", file) if kind == "nats-server" else (context.cordon, "broker", "-c", file)
    process = context.start(name, command)
    client = process.wait_for(r"[Ll]istening for client connections on (?:\w+://)?(\S+:\d+)").group(1)
    monitor = monitor_address(process)
    process.wait_for(r"Server is ready|is ready")
    url = process.wait_for(r"[Ll]istening for websocket clients on (wss://\S+:\d+)").group(1) if websocket else None
    return Server(f"tls://{client}", f"http://{monitor}", certificates.ca, process, url)


def monitor_address(process):
    """The address in the line about the monitoring listener."""
    return process.wait_for(r"(?i)monitor\w*.*? (?:on|at) (?:http://)?(\S+:\d+)").group(1)

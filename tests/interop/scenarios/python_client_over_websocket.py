"""the Python client over WebSocket with TLS: what it does over TCP"""

from harness import client, site
from scenarios.python_client_core import EXPECTED

PEERS = ("python", "nats")
BROKERS = ("cordon", "nats-server")


def run(context):
    client.run(context, site.over_websocket(context), "python_core.py", "app", EXPECTED)

"""the JavaScript client over WebSocket with TLS and compression: what it does over TCP"""

from harness import client, site
from scenarios.javascript_client_core import EXPECTED

PEERS = ("javascript", "nats")
BROKERS = ("cordon", "nats-server")


def run(context):
    client.run(context, site.over_websocket(context), "javascript_core.mjs", "app", EXPECTED, trusted_by_node=True)

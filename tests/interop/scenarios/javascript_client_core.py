"""the JavaScript client: publish, headers, requests, queue groups, drain"""

from harness import client, site

PEERS = ("javascript", "nats")
BROKERS = ("cordon", "nats-server")
EXPECTED = (
    "connect", "publish and subscribe", "headers", "a message of the largest size", "request and reply",
    "requests side by side", "no responders", "a silent responder is a timeout", "queue group", "unsubscribe after a number of messages", "drain",
)


def run(context):
    client.run(context, site.make(context), "javascript_core.mjs", "app", EXPECTED)

"""the Go client over TLS with creds: publish, headers, requests, queue groups, drain"""

from harness import client, site

PEERS = ("go", "nats")
BROKERS = ("cordon", "nats-server")
EXPECTED = (
    "connect", "publish and subscribe", "headers", "request and reply", "requests side by side", "no responders",
    "a silent responder is a timeout", "queue group", "unsubscribe after a number of messages", "drain",
)


def run(context):
    client.go(context, site.make(context), "core", "app", EXPECTED)

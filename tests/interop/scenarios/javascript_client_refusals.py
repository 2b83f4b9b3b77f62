"""the JavaScript client: the error texts for what is refused"""

from harness import client, site
from harness.creds import mismatched

PEERS = ("javascript", "nats")
BROKERS = ("cordon", "nats-server")
EXPECTED = (
    "publish", "subscribe", "queue", "what is allowed still works", "another's seed", "no creds",
    "a certificate of an unknown authority is not trusted",
)


def run(context):
    here = site.make(context)
    bad = mismatched(context, here.creds["app"], here.creds["other"])
    client.run(context, here, "javascript_refusals.mjs", "limited", EXPECTED, bad)

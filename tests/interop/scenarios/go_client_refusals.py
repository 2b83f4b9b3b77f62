"""the Go client: the errors that it makes of what is refused"""

from harness import client, site
from harness.creds import mismatched

PEERS = ("go", "nats")
BROKERS = ("cordon", "nats-server")
EXPECTED = (
    "publish", "subscribe", "queue", "what is allowed still works", "another's seed", "no creds",
    "a certificate of an unknown authority is not trusted",
)


def run(context):
    here = site.make(context)
    bad = mismatched(context, here.creds["app"], here.creds["other"])
    client.go(context, here, "refusals", "limited", EXPECTED, BAD_CREDS=bad)

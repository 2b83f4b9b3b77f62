"""the Go client watches, writes, consumes and acknowledges what another account shares with it"""

from harness import client, shares

PEERS = ("go",)
BROKERS = ("cordon",)
EXPECTED = (
    "a shared bucket is read, watched and written", "a shared bucket is not deleted, and none is made beside it",
    "a shared bucket by the older interface", "a part of a stream is consumed and acknowledged",
    "an ordered consumer of a part", "another part is refused",
)


def run(context):
    site = shares.make(context)
    client.go(context, site, "shares", "buyer", EXPECTED, ANSWERS=site.creds["maker"])

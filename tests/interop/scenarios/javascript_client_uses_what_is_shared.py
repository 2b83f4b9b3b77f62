"""the JavaScript client watches, writes, consumes and acknowledges what another account shares with it"""

from harness import client, shares

PEERS = ("javascript",)
BROKERS = ("cordon",)
EXPECTED = (
    "connect", "a shared bucket is read, watched and written", "a shared bucket is not deleted",
    "a part of a stream is consumed and acknowledged", "another part is refused",
)


def run(context):
    site = shares.make(context)
    client.run(context, site, "javascript_shares.mjs", "buyer", EXPECTED, owner=site.creds["maker"])

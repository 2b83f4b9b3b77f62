"""leaf nodes over WebSocket inside TLS, the broker as leaf and as hub of a stock server; the link is cut and restored"""

from harness import certificates, leaf
from harness.forwarder import Forwarder

PEERS = ("nats-server", "nats", "python")
BROKERS = ("cordon", "nats-server")

MANNERS = ("", "ws_compression: true", "ws_no_masking: true", "ws_compression: true, ws_no_masking: true")


def run(context):
    trust = leaf.Trust(context, certificates.make(context))
    for hub, spoke in (("nats-server", context.broker), (context.broker, "nats-server")):
        far = leaf.hub(context, hub, trust, websocket=True)
        link = Forwarder(far.server.websocket.removeprefix("wss://"))
        for number, manner in enumerate(MANNERS):
            # A hub that tells where it is would be joined there while the link is cut.
            more = f"{manner}\n    ignore_discovered_servers: true"
            near = leaf.leaf(context, spoke, trust, [link.port], f"leaf-{number}", more, scheme="wss")
            leaf.until_joined(far)
            leaf.crossing(context, f"{spoke} to {hub}, {manner or 'plain frames'}", near, far)
            if manner == MANNERS[-1]:
                leaf.cut_and_restore(context, near, far, link)
            near.stop()
            leaf.until_joined(far, 0)
        link.stop()
        far.stop()

"""a stock server joins the broker as a leaf node over TLS with creds; the link is cut and restored"""

from harness import certificates, leaf
from harness.forwarder import Forwarder

PEERS = ("nats-server", "nats", "python")
BROKERS = ("cordon", "nats-server")


def run(context):
    trust = leaf.Trust(context, certificates.make(context))
    far = leaf.hub(context, context.broker, trust)
    link = Forwarder(f"127.0.0.1:{far.leaf_port}")
    near = leaf.leaf(context, "nats-server", trust, [link.port], more="ignore_discovered_servers: true")
    leaf.until_joined(far)
    leaf.crossing(context, "a stock leaf", near, far)
    leaf.cut_and_restore(context, near, far, link)
    leaf.crossing(context, "after the link was restored", near, far)
    link.stop()

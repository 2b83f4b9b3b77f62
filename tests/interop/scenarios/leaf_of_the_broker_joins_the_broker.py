"""leaf and hub are both the broker; the link is cut and restored, the hub is stopped and comes back"""

from harness import certificates, leaf
from harness.forwarder import Forwarder

PEERS = ("nats", "python")
BROKERS = ("cordon", "nats-server")


def run(context):
    trust = leaf.Trust(context, certificates.make(context))
    far = leaf.hub(context, context.broker, trust)
    link = Forwarder(f"127.0.0.1:{far.leaf_port}")
    near = leaf.leaf(context, context.broker, trust, [link.port], more="ignore_discovered_servers: true")
    leaf.until_joined(far)
    leaf.crossing(context, "as they start", near, far)
    leaf.cut_and_restore(context, near, far, link)
    far.stop()
    leaf.until_joined(near, 0)
    far = leaf.hub(context, context.broker, trust, port=far.leaf_port)
    leaf.until_joined(near)
    leaf.crossing(context, "after the hub came back", near, far)
    link.stop()

"""the broker joins a stock cluster of three as a leaf node over TLS with creds; hubs are killed, links cut and restored

Run against a stock server, that is the leaf node.
"""

from harness import certificates, leaf
from harness.check import check
from harness.forwarder import Forwarder

PEERS = ("nats-server", "nats", "python")
BROKERS = ("cordon", "nats-server")


def run(context):
    trust = leaf.Trust(context, certificates.make(context))
    hubs = leaf.cluster(context, trust, 3)
    near = leaf.leaf(context, context.broker, trust, [hubs[0].leaf_port])
    moves(context, near, hubs)
    near.stop()
    left = [one for one in hubs if one.server.process.running()]
    through_a_link(context, trust, left)


def moves(context, near, hubs):
    """The first hub is the only one configured; the others are found by what it tells."""
    link = leaf.until_joined(near)[0]
    check(link["name"] == "hub-0", "the leaf is joined to the hub that is configured", link)
    leaf.crossing(context, "with a client at the hub itself", near, hubs[0])
    leaf.crossing(context, "with a client at another server of the cluster", near, hubs[1])
    here, there = leaf.Watch(context, near, "open.watch.here"), leaf.Watch(context, hubs[2], "open.watch.there")
    here.hears(hubs[2], "before")
    there.hears(near, "before")

    hubs[0].stop()
    here.hears(hubs[2], "after the hub was killed")
    there.hears(near, "after the hub was killed")
    link = leaf.until_joined(near)[0]
    check(link["name"] in ("hub-1", "hub-2"), "the leaf is joined to another hub of the cluster", link)
    context.show(f"the hub was killed: the leaf moved to {link['name']}, and interest is there again")
    for one in hubs[1:]:
        leaf.crossing(context, f"after the move, with a client at {one.name}", near, one)
    for watch in (here, there):
        watch.nothing_twice()
        watch.process.stop()


def through_a_link(context, trust, hubs):
    """The leaf connects through a forwarder that is cut and restored three times."""
    link = Forwarder(f"127.0.0.1:{hubs[0].leaf_port}")
    near = leaf.leaf(context, context.broker, trust, [link.port], "leaf-2", "ignore_discovered_servers: true")
    leaf.cut_and_restore(context, near, hubs[1], link)
    leaf.crossing(context, "after the link was restored", near, hubs[1])
    link.stop()

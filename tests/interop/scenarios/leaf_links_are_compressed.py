"""S2 between leaf nodes: every pair of modes of the broker and a stock server, in both directions, agrees and carries all"""

from harness import certificates, leaf
from harness.check import check, until

PEERS = ("nats-server", "nats", "python")
BROKERS = ("cordon", "nats-server")

MODES = ("off", "accept", "s2_auto", "s2_fast", "s2_better", "s2_best")


def agreed(near, far):
    """What the dialling side's mode and the hub's come to; the round trip here is short."""
    if "off" in (near, far) or near == far == "accept":
        return "off"
    chosen = near
    if near == "accept":
        chosen = "s2_fast" if far == "s2_auto" else far
    return "s2_uncompressed" if chosen == "s2_auto" else chosen


def run(context):
    trust = leaf.Trust(context, certificates.make(context))
    for spoke, hub in ((context.broker, "nats-server"), ("nats-server", context.broker)):
        for theirs in MODES:
            far = leaf.hub(context, hub, trust, f"hub-{spoke}-{theirs}", f"compression: {theirs}")
            for own in MODES:
                near = leaf.leaf(context, spoke, trust, [far.leaf_port], f"leaf-{own}", f"compression: {own}")
                link = leaf.until_joined(near)[0]
                expected = agreed(own, theirs)
                check(link["compression"] == expected, f"{spoke} {own} to {hub} {theirs}", f"{link} and not {expected}")
                # All of what passes, where each kind of block does; elsewhere a message in each direction.
                if (own, theirs) in (("s2_auto", "s2_auto"), ("s2_fast", "accept"), ("accept", "s2_best"), ("s2_better", "s2_fast")):
                    leaf.crossing(context, f"{spoke} {own} to {hub} {theirs}", near, far)
                else:
                    for hearing, sender in ((near, far), (far, near)):
                        watch = leaf.Watch(context, hearing, "open.news")
                        watch.hears(sender, f"{own} and {theirs}")
                        watch.process.stop()
                near.stop()
                until(lambda: not leaf.joined(far), "the leaf has gone")
            far.stop()
        context.show(f"{spoke} to {hub}: {len(MODES) ** 2} pairs of modes")

"""refused creds, publishes and subscriptions get the texts that the nats command knows"""

from harness import site
from harness.check import check
from harness.creds import mismatched
from harness.nats import Nats

PEERS = ("nats",)
BROKERS = ("cordon", "nats-server")


def run(context):
    here = site.make(context)
    limited = here.nats(context, "limited")

    denied = limited.run("pub", "closed.door", "knock")
    check('Permissions Violation for Publish to "closed.door"' in denied.text, "the publish is refused by name", denied.text)
    context.show('Permissions Violation for Publish to "closed.door"')

    listener = limited.start("sub", "closed.door")
    listener.wait_for('Permissions Violation for Subscription to "closed.door"')
    context.show('Permissions Violation for Subscription to "closed.door"')

    grouped = limited.start("sub", "closed.door", "--queue", "thieves")
    grouped.wait_for('Permissions Violation for Subscription to "closed.door" using queue "thieves"')
    context.show('.. using queue "thieves"')

    allowed = limited.subscribe("open.door")
    limited.publish("open.door", "come in")
    allowed.wait_for("come in")
    context.show("what is allowed still works for the same user")

    forged = Nats(context, here.server, mismatched(context, here.creds["app"], here.creds["other"]))
    without = Nats(context, here.server, None)
    for name, client in (("a JWT signed for with another's seed", forged), ("no creds at all", without)):
        result = client.run("pub", "open.door", "hello")
        check("Authorization Violation" in result.text and result.code != 0, f"{name} is refused", result.text)
        context.show(f"{name}: Authorization Violation")

"""a user signed by a scoped key of nats auth may do what the key's template says, and nothing else"""

import re

from harness import certificates, server
from harness.check import check
from harness.nats import Nats
from harness.nats_auth import NatsAuth

PEERS = ("nats",)
BROKERS = ("cordon", "nats-server")
TEMPLATE = ("--pub-allow=data.{{name()}}.>", "--sub-allow=command.{{name()}}.>", "--sub-allow=_INBOX.>", "--payload=1024")


def run(context):
    auth = NatsAuth(context).make_operator()
    broker = server.start(context, context.broker, auth.configuration(), certificates.make(context))
    auth.account("red")
    auth.do("account", "keys", "add", "red", "sensor", *TEMPLATE)
    sensor = Nats(context, broker, auth.user("red", "s17", "--key", "sensor"))
    other = Nats(context, broker, auth.user("red", "other"))
    auth.push(broker, "red")

    listening = other.subscribe("data.>", publisher=other)
    sensor.publish("data.s17.heat", "20 degrees")
    listening.wait_for("20 degrees")
    denied = sensor.run("pub", "data.s18.heat", "forged")
    check('Permissions Violation for Publish to "data.s18.heat"' in denied.text, "another's subject is refused", denied.text)
    commands = sensor.subscribe("command.s17.>", publisher=other)
    check("Permissions" not in commands.text(), "the template's own subject may be subscribed", commands.text())
    context.show("{{name()}} of the template became s17: data.s17.heat allowed, data.s18.heat refused")

    large = sensor.run("pub", "data.s17.heat", "x" * 1025)
    # Told by the client if it has heard of the limit already, else by the broker.
    check(re.search("(?i)maximum payload (exceeded|violation)", large.text), "the template's payload limit holds", large.text)
    context.show("payload limit of the template: 1,025 bytes refused")

"""a user signed by a scoped key of nsc may do what the key's template says, and nothing else"""

from harness import certificates, server
from harness.check import check
from harness.nats import Nats
from harness.nsc import Nsc

PEERS = ("nsc", "nats")
BROKERS = ("cordon", "nats-server")


def run(context):
    nsc = Nsc(context)
    nsc.operator("interop")
    broker = server.start(context, context.broker, nsc.configuration(), certificates.make(context))
    nsc.connect(broker)
    nsc.account("red")
    nsc.do("edit", "signing-key", "--account", "red", "--sk", "generate", "--role", "sensor",
           "--allow-pub", "data.{{name()}}.>", "--allow-sub", "command.{{name()}}.>,_INBOX.>")
    sensor = Nats(context, broker, nsc.user("red", "s17", "--private-key", "sensor"))
    admin = Nats(context, broker, nsc.user("red", "admin"))
    nsc.push("--all")

    listening = admin.subscribe("data.>", publisher=admin)
    sensor.publish("data.s17.heat", "20 degrees")
    listening.wait_for("20 degrees")
    denied = sensor.run("pub", "data.s18.heat", "forged")
    check('Permissions Violation for Publish to "data.s18.heat"' in denied.text, "another's subject is refused", denied.text)
    commands = sensor.subscribe("command.s17.>", publisher=admin)
    check("Permissions" not in commands.text(), "the template's own subject may be subscribed", commands.text())
    context.show("{{name()}} of the template became s17: data.s17.heat allowed, data.s18.heat refused")

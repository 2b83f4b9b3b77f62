"""nsc push --prune changes nothing on a broker whose resolver says allow_delete: false"""

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
    user = Nats(context, broker, nsc.user("red", "user"))
    nsc.push("--all")

    refused = nsc.run("push", "--account-removal", "red")
    said = refused.text.split("Usage:")[0]
    check("delete must be enabled" in said, "the answer names the setting", said)
    user.publish("here", "still here")
    context.show("nsc reports: delete must be enabled in server config; the account stays in use")

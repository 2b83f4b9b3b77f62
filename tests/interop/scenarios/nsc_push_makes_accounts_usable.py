"""accounts and users made by nsc are pushed to the broker, and talk only within their account"""

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
    nsc.account("blue")
    sender = Nats(context, broker, nsc.user("red", "sender"))
    receiver = Nats(context, broker, nsc.user("red", "receiver"))
    stranger = Nats(context, broker, nsc.user("blue", "stranger"))

    before = sender.run("pub", "orders.early", "too early")
    refused = before.code != 0 and "Authorization Violation" in before.text
    check(refused, "a user of an account that was never pushed is refused", before.text)

    said = nsc.push("--all")
    check("red" in said and "blue" in said, "nsc push names both accounts", said)

    inside = receiver.subscribe("orders.*", publisher=sender)
    outside = stranger.subscribe("orders.*")
    sender.publish("orders.one", "only for red")
    inside.wait_for("only for red")
    stranger.publish("orders.last", "only for blue")
    outside.wait_for("only for blue")
    inside_text, outside_text = inside.text(), outside.text()
    check("only for red" not in outside_text, "account blue does not see messages of account red", outside_text)
    check("only for blue" not in inside_text, "account red does not see messages of account blue", inside_text)
    context.show("nsc push: " + next((line.strip() for line in said.splitlines() if "red" in line), ""))
    context.show("a message of account red reached red's subscriber and not blue's")

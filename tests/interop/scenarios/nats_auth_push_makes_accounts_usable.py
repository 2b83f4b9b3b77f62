"""accounts and users made by nats auth are pushed to the broker, talk only within their account, and can be read back"""

from harness import certificates, server
from harness.check import check
from harness.nats import Nats
from harness.nats_auth import NatsAuth

PEERS = ("nats",)
BROKERS = ("cordon", "nats-server")


def run(context):
    auth = NatsAuth(context).make_operator()
    broker = server.start(context, context.broker, auth.configuration(), certificates.make(context))
    red = auth.account("red")
    auth.account("blue")
    sender = Nats(context, broker, auth.user("red", "sender"))
    receiver = Nats(context, broker, auth.user("red", "receiver"))
    stranger = Nats(context, broker, auth.user("blue", "stranger"))

    before = sender.run("pub", "orders.early", "too early")
    refused = before.code != 0 and "Authorization Violation" in before.text
    check(refused, "a user of an account that was never pushed is refused", before.text)
    context.show("before the push: Authorization Violation")
    auth.push(broker, "red", "blue")

    inside = receiver.subscribe("orders.*", publisher=sender)
    outside = stranger.subscribe("orders.*")
    sender.publish("orders.one", "only for red")
    inside.wait_for("only for red")
    stranger.publish("orders.last", "only for blue")
    outside.wait_for("only for blue")
    inside_text, outside_text = inside.text(), outside.text()
    check("only for red" not in outside_text, "account blue does not see messages of account red", outside_text)
    check("only for blue" not in inside_text, "account red does not see messages of account blue", inside_text)
    context.show("a message of account red reached red's subscriber and not blue's")

    said, token = auth.query(broker, red)
    check(token == auth.token("red"), "nats auth account query brings back the same JWT")
    check(red in said, "nats auth account query shows the account", said)
    context.show("nats auth account query: the JWT that was pushed, byte for byte")

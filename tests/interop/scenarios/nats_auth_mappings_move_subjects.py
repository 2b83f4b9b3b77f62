"""a subject mapping that nats auth adds to an account moves messages, and its removal stops that"""

from harness import certificates, server
from harness.check import check
from harness.nats import Nats
from harness.nats_auth import NatsAuth

PEERS = ("nats",)
BROKERS = ("cordon", "nats-server")


def run(context):
    auth = NatsAuth(context).make_operator()
    broker = server.start(context, context.broker, auth.configuration(), certificates.make(context))
    auth.account("red")
    auth.do("account", "mappings", "add", "red", "orders.*.*", "moved.{{wildcard(2)}}.{{wildcard(1)}}", "100")
    app = Nats(context, broker, auth.user("red", "app"))
    auth.push(broker, "red")

    moved = app.subscribe("moved.>")
    still = app.subscribe("orders.>", probe="orders.probe")
    app.publish("orders.one.two", "mapped")
    moved.wait_for("mapped")
    check('"moved.two.one"' in moved.text(), "the wildcards changed places", moved.text())
    app.publish("orders.end", "not mapped")
    still.wait_for("not mapped")
    check("orders.one.two" not in still.text(), "the subject before the mapping gets nothing", still.text())
    context.show("orders.one.two arrived as moved.two.one, and not as orders.one.two")

    auth.do("account", "mappings", "rm", "red", "orders.*.*")
    auth.push(broker, "red")
    app.publish("orders.three.four", "as it was sent")
    still.wait_for("as it was sent")
    context.show("the mapping removed and pushed again: orders.three.four arrives under its own subject")

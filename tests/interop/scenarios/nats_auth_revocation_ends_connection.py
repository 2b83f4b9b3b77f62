"""a user removed and revoked by nats auth is disconnected by the push and refused afterwards; others stay"""

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
    leaver = Nats(context, broker, auth.user("red", "leaver"))
    stayer = Nats(context, broker, auth.user("red", "stayer"))
    auth.push(broker, "red")
    leaving = leaver.subscribe("work", publisher=stayer)
    staying = stayer.subscribe("work")

    auth.do("user", "rm", "leaver", "red", "--revoke", "--force")
    auth.push(broker, "red")
    leaving.wait_for("(?i)disconnected")
    back = leaver.run("pub", "work", "let me in")
    check(back.code != 0 and "Authorization Violation" in back.text, "the revoked user cannot come back", back.text)
    stayer.publish("work", "carry on")
    staying.wait_for("carry on")
    check("isconnected" not in staying.text(), "the other user was not disturbed", staying.text())
    context.show("the revoked user's connection ended; a new one: Authorization Violation; the other user stayed connected")

"""a user revoked by nsc is disconnected by the push and refused afterwards; others stay"""

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
    leaver = Nats(context, broker, nsc.user("red", "leaver"))
    stayer = Nats(context, broker, nsc.user("red", "stayer"))
    nsc.push("--all")
    leaving = leaver.subscribe("work", publisher=stayer)
    staying = stayer.subscribe("work")

    nsc.do("revocations", "add-user", "--account", "red", "--name", "leaver")
    nsc.push("--account", "red")
    leaving.wait_for("(?i)disconnected")
    back = leaver.run("pub", "work", "let me in")
    check(back.code != 0 and "Authorization Violation" in back.text, "the revoked user cannot come back", back.text)
    stayer.publish("work", "carry on")
    staying.wait_for("carry on")
    check("isconnected" not in staying.text(), "the other user was not disturbed", staying.text())
    context.show("the revoked user's connection ended; a new one: Authorization Violation; the other user stayed connected")

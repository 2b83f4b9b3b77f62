"""a broker that does not know its system account yet learns of it by nsc push"""

import re

from harness import certificates, server
from harness.check import check
from harness.nats import Nats
from harness.nsc import Nsc

PEERS = ("nsc", "nats")
BROKERS = ("cordon", "nats-server")


def run(context):
    nsc = Nsc(context)
    nsc.operator("interop")
    text = nsc.configuration()
    bare = re.sub(r"resolver_preload: \{.*?\}", "", text, flags=re.DOTALL)
    check("resolver_preload" not in bare and "resolver {" in bare, "nsc's configuration without its accounts", bare)
    broker = server.start(context, context.broker, bare, certificates.make(context))
    nsc.connect(broker)
    nsc.account("red")
    user = Nats(context, broker, nsc.user("red", "user"))
    system = Nats(context, broker, nsc.creds("SYS", "sys"))

    for who, name in ((user, "a user"), (system, "a system user that a signing key signed")):
        before = who.run("pub", "orders.early", "too early")
        refused = before.code != 0 and "Authorization Violation" in before.text
        check(refused, f"{name} is refused while its account is not known", before.text)

    said = nsc.push("--all")
    check("red" in said and "SYS" in said, "nsc push names both accounts", said)
    broker.process.wait_for("System account fetched and updated|the system account is known now")
    answer = system.run("request", "$SYS.REQ.SERVER.PING.VARZ", "")
    check(answer.code == 0 and "server_id" in answer.text, "and run the broker", answer.text)
    inside = user.subscribe("orders.*", publisher=user)
    user.publish("orders.one", "only for red")
    inside.wait_for("only for red")
    context.show("nsc push was accepted before any account was known; afterwards users of both accounts came in")

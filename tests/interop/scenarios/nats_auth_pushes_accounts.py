"""nats auth account push and query work, with creds of the system account"""

from harness import certificates, server
from harness.check import check
from harness.nats import Nats
from harness.nsc import Nsc

PEERS = ("nats", "nsc")
BROKERS = ("cordon", "nats-server")


def run(context):
    nsc = Nsc(context)
    nsc.operator("interop")
    broker = server.start(context, context.broker, nsc.configuration(), certificates.make(context))
    key = nsc.account("red")
    user = Nats(context, broker, nsc.user("red", "user"))
    system = Nats(context, broker, nsc.creds("SYS", "sys"))

    # The command reads the accounts from nsc's own store.
    pushed = context.succeed(system.command("auth", "account", "push", "red", "--operator", "interop"), nsc.env())
    check("error" not in pushed.lower(), "no server reports an error", pushed)
    user.publish("here", "the account is there")
    context.show("nats auth account push: the account's user can connect")

    token = context.folder / "queried.jwt"
    context.succeed(system.command("auth", "account", "query", key, token, "--operator", "interop"), nsc.env())
    made = nsc.do("describe", "account", "--name", "red", "--raw").strip()
    check(token.read_text().strip() == made, "the same JWT comes back")
    context.show("nats auth account query: the same JWT comes back")

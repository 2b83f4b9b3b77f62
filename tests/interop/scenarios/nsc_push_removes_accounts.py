"""nsc push --prune and --account-removal delete accounts where the broker allows it, and their users go"""

from harness import certificates, server
from harness.check import check
from harness.nats import Nats
from harness.nsc import Nsc

PEERS = ("nsc", "nats")
BROKERS = ("cordon", "nats-server")


def run(context):
    nsc = Nsc(context)
    nsc.operator("interop")
    configuration = nsc.configuration(allow_delete=True)
    broker = server.start(context, context.broker, configuration, certificates.make(context))
    nsc.connect(broker)
    users = {}
    for name in ("kept", "pruned", "removed"):
        nsc.account(name)
        users[name] = Nats(context, broker, nsc.user(name, "user"))
    nsc.push("--all")
    listening = {name: user.subscribe("here") for name, user in users.items()}

    said = nsc.push("--account-removal", "removed")
    check_gone(context, listening, users, "removed", said)
    nsc.do("delete", "account", "--name", "pruned", "--force", "--rm-creds=false", "--rm-nkey=false")
    said = nsc.push("--prune")
    check_gone(context, listening, users, "pruned", said)

    users["kept"].publish("here", "still here")
    listening["kept"].wait_for("still here")
    context.show("the account that was kept goes on undisturbed")


def check_gone(context, listening, users, name, said):
    """The connected user of the account ends, and cannot come back."""
    listening[name].wait_for("(?i)disconnected")
    again = users[name].run("pub", "here", "back again")
    check(again.code != 0 and "Authorization Violation" in again.text, f"{name} cannot connect again", again.text)
    context.show(f"{name}: " + " ".join(line.strip() for line in said.splitlines() if "deleted" in line.lower()))

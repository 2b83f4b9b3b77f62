"""nsc pull brings back, byte for byte, the account JWTs that nsc push sent"""

from harness import certificates, server
from harness.check import check
from harness.nsc import Nsc

PEERS = ("nsc",)
BROKERS = ("cordon", "nats-server")


def stored(nsc):
    """The account JWTs in nsc's own store, by path below the store."""
    return {str(file.relative_to(nsc.home)): file for file in nsc.home.rglob("*.jwt") if file.parent.parent.name == "accounts"}


def run(context):
    nsc = Nsc(context)
    nsc.operator("interop")
    broker = server.start(context, context.broker, nsc.configuration(), certificates.make(context))
    nsc.connect(broker)
    for name in ("red", "blue"):
        nsc.account(name)
    nsc.push("--all")

    before = {name: file.read_text().strip() for name, file in stored(nsc).items()}
    tenants = [name for name in before if "SYS" not in name]
    check(len(tenants) == 2, "nsc has the two accounts", str(list(before)))
    for name in tenants:
        (nsc.home / name).unlink()
    said = nsc.do("pull", "--all")
    after = {name: file.read_text().strip() for name, file in stored(nsc).items()}
    check(after == before, "every account JWT came back as it was", said)
    context.show(f"nsc pull --all: {len(after)} account JWTs, identical to those pushed")

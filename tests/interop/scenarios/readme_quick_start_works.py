"""the quick start of the README, line by line as it stands there, does what it says"""

import re

from harness.check import check, until
from harness.peers import INTEROP
from harness.serve import Serve

PEERS = ("nats",)
BROKERS = ("cordon",)


def run(context):
    readme = (INTEROP.parent.parent / "README.md").read_text()
    lines = re.search(r"## Quick start.*?```sh\n(.*?)```", readme, re.DOTALL).group(1)
    check(len(lines.splitlines()) <= 12, "the quick start has at most a dozen lines", lines)
    serve = Serve(context)
    # The scenario's own ports and places; everything else is run as it is printed.
    for shown, here in (
        ("tls://localhost:4222", f"tls://{serve.run['client_address']}"),
        ("$PWD/target/release", f"{context.cordon.parent}:{context.peers.bin}"),
    ):
        check(shown in lines, f"the quick start has `{shown}`", lines)
        lines = lines.replace(shown, here)
    script = f"set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{lines}"
    done = context.run(("bash", "-c", script))
    said = done.text
    check(done.code == 0, f"every line succeeds (exit status {done.code})", said)
    check("order taken" in said, "the request crosses, and the answer comes back", said)
    context.show("a request of partner is answered by shop")
    check(re.search(r"refused: entry `secret\.>` of the publish deny list", said), "the refusal is explained", said)
    context.show("the refused publish is explained by its rule")
    check(re.search(r"partner +buyer", said), "the buyer's connection is listed", said)
    check("revoked what was issued to buyer" in said, "the buyer is revoked", said)
    check("verified:" in said, "the audit log verifies", said)
    context.show(next(line for line in said.splitlines() if "verified:" in line))

    def told():
        entries = serve.admin.items("ledger/entries?kind=broker.security&outcome=refused")
        return [entry["reason"] for entry in entries if entry["reason"] == "revoked"]

    until(told, "the ledger has what became of the revoked user's connection")
    context.show("the revoked user's connection was ended for `revoked`")

"""the quick start of the README, line by line as it stands there, does what it says"""

import re

from harness.check import check
from harness.peers import INTEROP
from harness.serve import Serve

PEERS = ()
BROKERS = ("cordon",)


def run(context):
    readme = (INTEROP.parent.parent / "README.md").read_text()
    lines = re.search(r"## Quick start.*?```sh\n(.*?)```", readme, re.DOTALL).group(1)
    check(len(lines.splitlines()) <= 12, "the quick start has at most a dozen lines", lines)
    Serve(context)
    # The scenario's own binary; everything else is run as it is printed, in the folder of the data folder.
    shown = "$PWD/target/release"
    check(shown in lines, f"the quick start has `{shown}`", lines)
    lines = lines.replace(shown, str(context.cordon.parent))
    done = context.run(("bash", "-uc", f"{lines}status=$?\nwait\nexit $status"))
    said = done.text
    check(done.code == 0, f"the audit log verifies (exit status {done.code})", said)
    for statement, pattern in (
        ("a request of acme is answered by globex", r"(?m)^apple: 3 EUR$"),
        ("the publish is refused", r'Permissions Violation for Publish to "secret\.plans"'),
        ("the refusal is explained", r"refused: .*publish allow list"),
        ("the seller's connection is listed", r"globex +seller"),
        ("the dry run says whom it would disconnect", r"would disconnect seller"),
        ("the seller is revoked", r"revoked what was issued to seller"),
        ("the seller's client is told, and ends", r"(?i)authentication revoked|has ended the connection"),
        ("the audit log verifies", r"(?m)^verified: \d+ entries"),
    ):
        found = re.search(pattern, said)
        check(found, statement, said)
        context.show(f"{statement}: {found.group(0)}")

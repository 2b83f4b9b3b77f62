"""Running a client program and checking that it did everything it should."""

import json

from harness.check import check
from harness.peers import INTEROP


def run(context, site, program, user, expected, bad_creds=None):
    """Run `clients/<program>` as a user; every name in `expected` must have passed."""
    script = INTEROP / "clients" / program
    interpreter = "node" if program.endswith(".mjs") else context.peers.python
    env = {
        "NATS_URL": site.server.url,
        "NATS_CA": site.server.ca,
        "CREDS": site.creds[user],
        "BAD_CREDS": bad_creds or "",
        "CLIENT_PACKAGES": context.peers.node_folder,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    result = context.run((interpreter, script), {name: str(value) for name, value in env.items()})
    passed = {}
    for line in result.text.splitlines():
        if line.startswith('{"passed"'):
            fact = json.loads(line)
            passed[fact["passed"]] = fact["detail"]
    missing = [name for name in expected if name not in passed]
    check(not missing and result.code == 0, f"{program} exited with {result.code}; not done: {missing}", result.text)
    for name in expected:
        context.show(f"{name}: {passed[name]}" if passed[name] else name)

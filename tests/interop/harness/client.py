"""Running a client program and checking that it did everything it should."""

import json

from harness.check import check
from harness.peers import INTEROP


def go(context, site, program, user, expected, **more):
    """Run a program of the Go client as a user; `more` are further variables of its environment."""
    result = context.run((context.peers.go_client, program), go_env(site, user, **more))
    require(context, f"go-client {program}", result, expected)


def go_env(site, user, **more):
    """The environment of the Go client."""
    env = {"NATS_URL": site.server.url, "NATS_CA": site.server.ca, "CREDS": site.creds[user], **more}
    return {name: str(value) for name, value in env.items()}


def run(context, site, program, user, expected, bad_creds=None, trusted_by_node=False, owner=None):
    """Run `clients/<program>` as a user; every name in `expected` must have passed."""
    script = INTEROP / "clients" / program
    # Before its version 22, Node has WebSocket only when asked for.
    node = ("node", "--no-warnings", "--experimental-websocket")
    interpreter = node if program.endswith(".mjs") else (context.peers.python,)
    env = {
        "NATS_URL": site.server.url,
        "NATS_CA": site.server.ca,
        "CREDS": site.creds[user],
        "BAD_CREDS": bad_creds or "",
        "OWNER": owner or "",
        "CLIENT_PACKAGES": context.peers.node_folder,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if trusted_by_node:
        # Node's own WebSocket takes no authority from the program.
        env["NODE_EXTRA_CA_CERTS"] = site.server.ca
    result = context.run((*interpreter, script), {name: str(value) for name, value in env.items()})
    require(context, program, result, expected)


def require(context, program, result, expected):
    """Every name in `expected` must have passed."""
    passed = {}
    for line in result.text.splitlines():
        if line.startswith('{"passed"'):
            fact = json.loads(line)
            passed[fact["passed"]] = fact["detail"]
    missing = [name for name in expected if name not in passed]
    check(not missing and result.code == 0, f"{program} exited with {result.code}; not done: {missing}", result.text)
    for name in expected:
        context.show(f"{name}: {passed[name]}" if passed[name] else name)

"""`nats trace` follows a message over a leaf connection, in both directions, and a request to a service of another account there"""

import re

from harness import certificates, leaf, server
from harness.check import check, until

PEERS = ("nats-server", "nats")
BROKERS = ("cordon", "nats-server")

SUBJECT = "open.traced"

SERVICE = """
accounts {{
  A {{ users: [ {{ user: a, password: a }} ], exports: [ {{ service: svc, allow_trace: {allowed} }} ] }}
  B {{ users: [ {{ user: b, password: b }} ], imports: [ {{ service: {{ account: A, subject: svc }}, to: ask }} ] }}
}}
server_name: "hub"
leafnodes {{ listen: "127.0.0.1:-1", {tls} }}
"""

SIDE = """
accounts {{ A {{ users: [ {{ user: a, password: a }} ] }} }}
server_name: "site"
leafnodes {{ remotes: [ {{ url: "tls://a:a@localhost:{port}", account: A, tls {{ ca_file: "{made.ca}" }} }} ] }}
"""


def run(context):
    trust = leaf.Trust(context, certificates.make(context))
    for spoke, hub in ((context.broker, "nats-server"), ("nats-server", context.broker), (context.broker, context.broker)):
        far = leaf.hub(context, hub, trust, f"hub-of-{spoke}")
        near = leaf.leaf(context, spoke, trust, [far.leaf_port], f"leaf-of-{hub}")
        leaf.until_joined(far)
        for asking, hearing in ((near, far), (far, near)):
            watch = leaf.Watch(context, hearing, SUBJECT)
            watch.hears(asking, "before anything is traced")
            text = until(lambda: followed(context, watch, asking, hearing), f"a trace from {asking.name} to {hearing.name}")
            check("looked at" not in watch.process.text(), "what is only to be traced is not delivered", text)
            context.succeed(watch.command(asking, "trace", "--deliver", SUBJECT, "handed over"))
            watch.process.wait_for("handed over")
            watch.process.stop()
        near.stop()
        far.stop()
        context.show(f"{spoke} to {hub}: traced both ways")
        for allowed in (True, False):
            across(context, trust.made, spoke, hub, allowed)
        context.show(f"{spoke} to {hub}: a request to another account's service there is followed where its export allows it")


def followed(context, watch, asking, hearing):
    """What `nats trace` says, once it has the reports of both sides: who got it on this side, and what became of it."""
    text = context.succeed(watch.command(asking, "trace", SUBJECT, "looked at"))
    ways = (
        rf'~~> Leafnode "{hearing.name}"',
        rf'Leafnode "{asking.name}" .*server:"{hearing.name}"',
        rf'--C Client .*subject:"{SUBJECT}"',
        r"Leafnode: 1\n\s+Client: 1",
    )
    return text if all(re.search(way, text) for way in ways) else None


def across(context, made, spoke, hub, allowed):
    """A request of B to a service of A that is beyond A's leaf connection: the report of that side comes back to B."""
    tls = leaf.TLS.format(made=made, more="")
    far = server.start(context, hub, SERVICE.format(allowed=str(allowed).lower(), tls=tls), made)
    port = far.process.wait_for(r"(?i)listening for leafnode connections on \S+:(\d+)").group(1)
    near = server.start(context, spoke, SIDE.format(port=port, made=made), made)

    def command(at, user, *arguments):
        place = ("--no-context", "--server", at.url, "--tlsca", at.ca, "--user", user, "--password", user)
        return (context.peers.nats, *arguments, *place)

    service = context.start("service", command(near, "a", "reply", "svc", "the answer"))
    asked = lambda: "the answer" in context.run(command(far, "b", "request", "ask", "a question")).text
    until(asked, "the service beyond the leaf connection answers")
    text = context.succeed(command(far, "b", "trace", "ask", "looked at"))
    crossed = re.search(r'Service Import from:"ask" to:"svc" account:"A"', text)
    followed_there = re.search(r'Leafnode "hub" .*server:"site"', text) and re.search(r'--C Client .*subject:"svc"', text)
    check(crossed and bool(followed_there) == allowed, f"followed beyond the leaf connection: {allowed}", text)
    service.stop()
    near.process.stop()
    far.process.stop()

"""a callout service lets a leaf node in, and one that is beyond a leaf connection lets clients in, with a stock server on either side"""

from harness import certificates, curve, leaf, server
from harness.check import check
from harness.nats import Nats
from harness.peers import INTEROP

PEERS = ("nats-server", "python", "nats")
BROKERS = ("cordon", "nats-server")

# The key of the account role over the bytes 0 to 31, a published vector.
ISSUER = "AAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QPZV"
SEED = "SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI"

ASKING = """
server_name: "{name}"
accounts {{
  AUTH {{ users: [ {{ user: auth, password: pwd }} ] }}
  APP {{ }}
}}
authorization {{
  timeout: 5
  auth_callout {{ issuer: {issuer}, account: AUTH, auth_users: [ auth ] {xkey} }}
}}
leafnodes {{ {leafnodes} }}
"""

# Somebody who is joined, and asks nobody.
SIDE = """
server_name: "{name}"
accounts {{ A {{ users: [ {{ user: a, password: a }} ] }} }}
leafnodes {{ {leafnodes} }}
"""


class As(Nats):
    """The `nats` command with a name and a password."""

    def __init__(self, context, broker, name, password):
        super().__init__(context, broker, None)
        self.login = ("--user", name, "--password", password)

    def command(self, *arguments):
        return (*super().command(*arguments), *self.login)


def run(context):
    made = certificates.make(context)
    for keys in (curve.Curve(), curve.make(context)):
        for own, other in ((context.broker, "nats-server"), ("nats-server", context.broker)):
            decides_about_a_leaf(context, made, keys, own, other)
            is_beyond_a_leaf(context, made, keys, own, other)
            done = "a leaf node, a service beyond one"
            # In plain text, Cordon does not put questions to a hub that it dialled.
            if keys.public or own == "nats-server":
                is_at_the_hub(context, made, keys, own, other)
                done += ", a service at the hub"
            context.show(f"{own} asks, {other} is joined, {'sealed' if keys.public else 'plain'}: {done}")
    refused(context, made)


def listening(made):
    return f'listen: "127.0.0.1:-1", {leaf.TLS.format(made=made, more="")}'


def dialling(made, port, who, account):
    url = f"tls://{who}@localhost:{port}" if who else f"tls://localhost:{port}"
    return f'reconnect: 1, remotes: [ {{ url: "{url}", account: {account}, tls {{ ca_file: "{made.ca}" }} }} ]'


def begin(context, kind, made, text):
    started = server.start(context, kind, text, made)
    place = started.process.wait_for(r"(?i)listening for leafnode connections on \S+:(\d+)") if "listen:" in text else None
    return leaf.Side(kind, started, int(place.group(1)) if place else 0)


def asking(context, made, keys, kind, name, leafnodes):
    return begin(context, kind, made, ASKING.format(name=name, issuer=ISSUER, xkey=f", xkey: {keys.public}" if keys.public else "", leafnodes=leafnodes))


def side(context, made, kind, name, leafnodes):
    return begin(context, kind, made, SIDE.format(name=name, leafnodes=leafnodes))


def service(context, keys, at, user, password):
    env = {
        "NATS_URL": at.url(), "NATS_CA": at.server.ca, "ISSUER": SEED, "XKEY": keys.seed,
        "AUTH_USER": user, "AUTH_PASSWORD": password, "PYTHONDONTWRITEBYTECODE": "1",
    }
    script = INTEROP / "clients" / "python_callout_service.py"
    process = context.start("callout service", (context.peers.python, script), {k: str(v) for k, v in env.items()})
    process.wait_for("service is ready")
    return process


def decides_about_a_leaf(context, made, keys, own, other):
    """The service of the hub puts the leaf node into APP, where it may use `app.>`."""
    far = asking(context, made, keys, own, "hub", listening(made))
    deciding = service(context, keys, far, "auth", "pwd")
    near = side(context, made, other, "site", dialling(made, far.leaf_port, "site:open%20sesame", "A"))
    leaf.until_joined(near)
    deciding.wait_for('"answered": "site", "kind": "Leafnode"')
    check(leaf.joined(far)[0]["account"] == "APP", "the leaf node is in the account that the service said")
    here, there = As(context, near.server, "a", "a"), As(context, far.server, "alice", "open sesame")
    there.subscribe("app.up", publisher=here)
    here.subscribe("app.down", publisher=there)
    for one in (near, far):
        one.stop()
    deciding.stop()


def is_beyond_a_leaf(context, made, keys, own, other):
    """The leaf node joins as an auth user; the service is a client of its server."""
    far = asking(context, made, keys, own, "hub", listening(made))
    near = side(context, made, other, "site", dialling(made, far.leaf_port, "auth:pwd", "A"))
    leaf.until_joined(near)
    lets_clients_in(context, keys, service(context, keys, near, "a", "a"), far)
    near.stop()
    far.stop()


def is_at_the_hub(context, made, keys, own, other):
    """The server that asks has dialled; the service is a client of its hub."""
    far = side(context, made, other, "hub", f'{listening(made)}, authorization {{ user: site, password: word, account: A }}')
    near = asking(context, made, keys, own, "site", dialling(made, far.leaf_port, "site:word", "AUTH"))
    leaf.until_joined(near)
    lets_clients_in(context, keys, service(context, keys, far, "a", "a"), near)
    near.stop()
    far.stop()


def lets_clients_in(context, keys, deciding, broker):
    alice = As(context, broker.server, "alice", "open sesame")
    receiver = alice.subscribe("app.*")
    alice.publish("app.hello", "let in")
    receiver.wait_for("let in")
    refused = As(context, broker.server, "mallory", "wrong").run("pub", "app.hello", "x")
    check(refused.code != 0 and "Authorization Violation" in refused.text, "a wrong password is refused", refused.text)
    for process in (receiver, deciding):
        process.stop()


def refused(context, made):
    """A leaf node with a wrong password is not let in, and goes on trying."""
    far = asking(context, made, curve.Curve(), context.broker, "hub", listening(made))
    deciding = service(context, curve.Curve(), far, "auth", "pwd")
    near = side(context, made, "nats-server", "site", dialling(made, far.leaf_port, "site:wrong", "A"))
    near.server.process.wait_for("Authorization Violation")
    deciding.wait_for('"answered": "site", "kind": "Leafnode", "with": "error"')
    check(not leaf.joined(far), "nobody is joined")

"""Two sides joined by a leaf node: hubs, leafs, what passes between them, and who is connected.

The hub trusts an operator and knows the accounts `red` and `blue`. Users of red there: `app` may do everything, `joiner`
is who the leaf node is, and may send and receive `open.>` and its inboxes. The leaf has configured accounts of the same
names, with the users `red-app` and `blue-app`.
"""

import json
import re
from dataclasses import dataclass, field

from harness import client, monitor, server
from harness.check import check, until
from harness.control import free_port
from harness.nats_auth import NatsAuth

ALLOWED = ("open.>", "_INBOX.>")
PASSED = [f"{what} {way}" for way in ("outward", "inward") for what in (
    "messages", "queue groups", "requests", "permissions", "no responders"
)] + ["isolation"]

# The certificate is for both ways: a server of a cluster is a client of the others.
TLS = 'tls {{ cert_file: "{made.server}", key_file: "{made.key}", ca_file: "{made.ca}", timeout: 5 {more} }}'

HUB = """
server_name: "{name}"
operator: {operator}
system_account: {system}
resolver: MEMORY
resolver_preload {{ {preload} }}
leafnodes {{
  listen: "127.0.0.1:{port}"
  {tls}
  {more}
}}
"""

LEAF = """
server_name: "{name}"
accounts {{
  red {{ users: [ {{ user: "red-app", password: "red-secret" }} ] }}
  blue {{ users: [ {{ user: "blue-app", password: "blue-secret" }} ] }}
}}
leafnodes {{
  reconnect: 1
  remotes: [ {{
    urls: [ {urls} ], account: red, credentials: "{creds}"
    tls {{ ca_file: "{made.ca}" }}
    {more}
  }} ]
}}
"""


class Trust:
    """The operator of the hub, its accounts, and the creds of their users."""

    def __init__(self, context, made):
        self.made = made
        self.auth = NatsAuth(context).make_operator()
        self.keys = {name: self.auth.account(name) for name in ("red", "blue")}
        allowed = [f"--{way}-allow={subject}" for way in ("pub", "sub") for subject in ALLOWED]
        self.creds = {
            "app": self.auth.user("red", "app"),
            "joiner": self.auth.user("red", "joiner", *allowed),
            "other": self.auth.user("blue", "other"),
        }

    def preload(self):
        tokens = {self.auth.key(self.auth.system): self.auth.token(self.auth.system)}
        tokens |= {key: self.auth.token(name) for name, key in self.keys.items()}
        return ", ".join(f"{key}: {token}" for key, token in tokens.items())


@dataclass
class Side:
    """A running broker, and the port on which leaf nodes join it."""

    name: str
    server: server.Server
    leaf_port: int = 0
    users: dict = field(default_factory=dict)

    def url(self):
        return self.server.url

    def stop(self):
        self.server.process.stop()


def hub(context, kind, trust, name="hub", more="", cluster="", port=-1, websocket=False):
    """A hub that serves leaf nodes over TLS; `more` are further lines of its `leafnodes` block."""
    tls = TLS.format(made=trust.made, more="")
    text = HUB.format(
        name=name, operator=trust.auth.operator_token(), system=trust.auth.key(trust.auth.system),
        preload=trust.preload(), port=port, tls=tls, more=more,
    )
    started = server.start(context, kind, text + cluster, trust.made, websocket=websocket)
    place = started.process.wait_for(r"(?i)listening for leafnode connections on (\S+):(\d+)")
    users = {name: {"creds": str(creds)} for name, creds in trust.creds.items()}
    return Side(name, started, int(place.group(2)), users)


def cluster(context, trust, count):
    """Stock servers joined by routes over TLS, each with a listener for leaf nodes."""
    ports = [free_port() for _ in range(count)]
    routes = ", ".join(f'"tls://127.0.0.1:{port}"' for port in ports)
    hubs = []
    for number, port in enumerate(ports):
        tls = TLS.format(made=trust.made, more="")
        lines = f'cluster {{ name: "hubs", listen: "127.0.0.1:{port}", routes: [ {routes} ], {tls} }}'
        hubs.append(hub(context, "nats-server", trust, f"hub-{number}", cluster=lines))
    for one in hubs:
        until(lambda one=one: routed(one.server) >= count - 1, f"{one.name} has routes to the others")
    return hubs


def routed(broker):
    """To how many other servers there are routes."""
    return len({route["remote_id"] for route in monitor.page(broker, "routez")["routes"]})


def leaf(context, kind, trust, ports, name="leaf", more="", scheme="tls"):
    """A broker that joins its account red to those listening at `ports`."""
    urls = ", ".join(f'"{scheme}://localhost:{port}"' for port in ports)
    text = LEAF.format(name=name, urls=urls, creds=trust.creds["joiner"], made=trust.made, more=more)
    started = server.start(context, kind, text, trust.made)
    users = {
        "app": {"user": "red-app", "password": "red-secret"},
        "other": {"user": "blue-app", "password": "blue-secret"},
    }
    return Side(name, started, 0, users)


def joined(side):
    """The leaf connections of a broker, as its monitoring page tells of them."""
    return monitor.page(side.server, "leafz").get("leafs") or []


def until_joined(side, count=1, seconds=40):
    """Waits until a broker has that many leaf connections, and gives them."""
    return until(lambda: len(found := joined(side)) == count and (found or True), f"{side.name} has {count} leaf connections", seconds)


def crossing(context, title, near, far):
    """Runs the client that checks what passes between both sides and what does not."""
    def place(side, user):
        return {"url": side.url(), **side.users[user]}

    plan = {"near": place(near, "app"), "far": place(far, "app"), "strangers": [place(near, "other"), place(far, "other")]}
    env = {"PLAN": json.dumps(plan), "NATS_CA": str(near.server.ca), "PYTHONDONTWRITEBYTECODE": "1"}
    result = context.run((context.peers.python, client.INTEROP / "clients" / "python_leaf.py"), env, 120)
    facts = [json.loads(line) for line in result.text.splitlines() if line.startswith('{"passed"')]
    got = {fact["passed"]: fact["detail"] for fact in facts}
    missing = [name for name in PASSED if name not in got]
    check(not missing and result.code == 0, f"{title}: exited with {result.code}; not done: {missing}", result.text)
    context.show(f"{title}: {', '.join(PASSED)}")


class Watch:
    """One who subscribed before the link was cut, and is still there after it."""

    def __init__(self, context, side, subject):
        self.context, self.side, self.subject, self.sent = context, side, subject, 0
        self.process = context.start(f"watch at {side.name}", self.command(side, "sub", subject))
        self.process.wait_for("Subscribing on")

    def command(self, side, *arguments):
        user = side.users["app"]
        who = ("--creds", user["creds"]) if "creds" in user else ("--user", user["user"], "--password", user["password"])
        place = ("--server", side.url(), "--tlsca", side.server.ca)
        return (self.context.peers.nats, *arguments, "--no-context", *place, *who)

    def hears(self, sender, why):
        """What is published at the other side arrives, and each message once."""
        def arrived():
            self.sent += 1
            self.context.succeed(self.command(sender, "pub", self.subject, f"number-{self.sent};"))
            return f"number-{self.sent};" in self.process.text() or None

        until(arrived, f"{why}: what {sender.name} publishes on {self.subject} arrives at {self.side.name}", 40)
        self.nothing_twice()

    def nothing_twice(self):
        heard = re.findall(r"number-\d+;", self.process.text())
        check(len(heard) == len(set(heard)), f"{self.side.name} hears nothing twice", "\n".join(heard))


def cut_and_restore(context, near, far, link):
    """Cuts the link between both sides three times; whoever subscribed before hears again, and nothing twice."""
    until_joined(near)
    here, there = Watch(context, near, "open.watch.here"), Watch(context, far, "open.watch.there")
    here.hears(far, "before")
    there.hears(near, "before")
    for _ in range(3):
        link.cut()
        until_joined(near, 0)
        link.restore()
        until_joined(near)
        here.hears(far, "after the link was restored")
        there.hears(near, "after the link was restored")
    for watch in (here, there):
        watch.process.stop()
    context.show(f"the link was cut and restored 3 times ({link.passed} connections): who subscribed before hears, nothing twice")

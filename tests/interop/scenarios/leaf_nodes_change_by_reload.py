"""remotes and users of leaf nodes change by SIGHUP while the others stay joined, with a stock server on the other side"""

import os
import signal

from harness import leaf, server
from harness.certificates import make
from harness.check import check, until

PEERS = ("nats-server", "nats")
BROKERS = ("cordon",)

HUB = """
server_name: "{name}"
accounts {{ A {{ users: [ {{ user: a, password: a }} ] }}, B {{ users: [ {{ user: b, password: b }} ] }} }}
leafnodes {{
  listen: "127.0.0.1:-1"
  authorization {{ users: [ {users} ] }}
}}
"""

SPOKE = """
server_name: "{name}"
accounts {{ A {{ users: [ {{ user: a, password: a }} ] }}, B {{ users: [ {{ user: b, password: b }} ] }} }}
leafnodes {{
  reconnect: 1
  remotes: [ {remotes} ]
}}
"""


class Broker:
    """A broker whose file is written anew."""

    def __init__(self, context, kind, text):
        self.context, self.kind = context, kind
        self.side = leaf.Side(kind, server.start(context, kind, text, context.made))
        self.file = max(context.folder.glob(f"{kind}-*.conf"), key=lambda path: path.stat().st_mtime_ns)
        # What the harness added stays.
        self.rest = self.file.read_text().removeprefix(text)
        self.reloads = 0

    def port(self):
        return int(self.side.server.process.wait_for(r"(?i)listening for leafnode connections on \S+:(\d+)").group(1))

    def reload(self, text):
        self.file.write_text(text + self.rest)
        os.kill(self.side.server.process.pid, signal.SIGHUP)
        self.reloads += 1
        until(self.reloaded, f"{self.kind} has read its file again")

    def reloaded(self):
        return self.side.server.process.text().count("Reloaded server configuration") == self.reloads or None

    def joined(self):
        """Each account that is joined, with the id of its connection."""
        return {row["account"]: row["id"] for row in leaf.joined(self.side)}

    def has(self, accounts):
        return until(lambda: sorted(now := self.joined()) == sorted(accounts) and (now or True), f"{self.kind} has {accounts} joined", 40)


def user(name, account, password=None):
    return f"{{ user: {name}, password: {password or name}, account: {account} }}"


def remote(port, name, account, more=""):
    return f'{{ url: "nats-leaf://{name}:{name}@127.0.0.1:{port}", account: {account} {more} }}'


def passes(context, sender, receiver, name, subject):
    """A request of a client at one side is answered at the other."""
    def place(one):
        return ("--no-context", "--server", one.side.url(), "--tlsca", one.side.server.ca, "--user", name, "--password", name)

    answering = context.start(f"reply {subject}", (context.peers.nats, "reply", subject, "there", *place(receiver)))
    answering.wait_for("Listening")

    def answered():
        ask = (context.peers.nats, "request", subject, "x", "--raw", "--timeout", "1s", *place(sender))
        return "there" in context.run(ask).text or None

    until(answered, f"a request on {subject} crosses", 20)
    answering.stop()


def run(context):
    context.made = make(context)
    for hub_kind, spoke_kind in (("nats-server", "cordon"), ("cordon", "nats-server"), ("cordon", "cordon")):
        change_remotes(context, hub_kind, spoke_kind)
    change_users(context)


def change_remotes(context, hub_kind, spoke_kind):
    users = ", ".join((user("a", "A"), user("b", "B")))
    far = Broker(context, hub_kind, HUB.format(name=f"far-{hub_kind}", users=users))
    port = far.port()
    a, b = remote(port, "a", "A"), remote(port, "b", "B")
    text = lambda *remotes: SPOKE.format(name=f"near-{spoke_kind}", remotes=", ".join(remotes))  # noqa: E731
    near = Broker(context, spoke_kind, text(a))
    before, there = near.has("A"), far.has("A")
    near.reload(text(b, a))
    now = near.has("AB")
    check(now["A"] == before["A"] and far.has("AB")["A"] == there["A"], "the remote that was there stays", (before, now))
    passes(context, near, far, "a", "up.a")
    passes(context, far, near, "b", "down.b")
    if spoke_kind == "cordon":
        near.reload(text(b, remote(port, "a", "A", ', deny_exports: "x.>"')))
        until(lambda: near.joined().get("A", before["A"]) != before["A"] or None, "the changed remote is joined anew", 20)
        check(near.has("AB")["B"] == now["B"], "the other stays", now)
    near.reload(text(b))
    check(near.has("B")["B"] == now["B"], "the one that is left stays", now)
    far.has("B")
    near.side.stop()
    far.side.stop()
    context.show(f"{spoke_kind} at {hub_kind}: a remote came, changed and went; the other stayed joined throughout")


def change_users(context):
    """The broker as hub of a stock spoke with two remotes."""
    users = [user("a", "A"), user("b", "B")]
    text = lambda *users: HUB.format(name="far", users=", ".join(users))  # noqa: E731
    far = Broker(context, "cordon", text(*users))
    port = far.port()
    near = Broker(context, "nats-server", SPOKE.format(name="near", remotes=", ".join((remote(port, "a", "A"), remote(port, "b", "B")))))
    before = far.has("AB")
    far.reload(text(users[0]))
    check(far.has("A")["A"] == before["A"], "who is still a user stays", before)
    far.reload(text(*users))
    now = far.has("AB")
    check(now["A"] == before["A"], "who is still a user stays", (before, now))
    passes(context, near, far, "b", "up.b")
    context.show("a user of the listener went and came back: its stock leaf node ended and joined again, the other stayed")

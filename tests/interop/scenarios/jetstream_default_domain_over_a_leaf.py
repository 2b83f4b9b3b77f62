"""clients of a leaf node without streams use those of the hub by `default_js_domain`, with a stock server on either side"""

import json
import socket

from harness import certificates, server
from harness.check import check, until
from harness.nats import Nats

PEERS = ("nats", "nats-server")
BROKERS = ("cordon", "nats-server")

HUB = """
server_name: "hub"
jetstream {{ store_dir: "{store}", domain: "hub" }}
accounts {{ app {{ jetstream: enabled, users: [ {{ user: "app", password: "secret" }} ] }} }}
leafnodes {{ listen: "127.0.0.1:-1", tls {{ cert_file: "{made.server}", key_file: "{made.key}", timeout: 5 }} }}
"""
LEAF = """
server_name: "leaf"
accounts {{
  app {{ users: [
    {{ user: "app", password: "secret" }}
    {{ user: "few", password: "secret", permissions {{ publish {{ deny: ["$JS.API.STREAM.DELETE.>"] }} }} }}
  ] }}
}}
default_js_domain {{ app: "hub" }}
leafnodes {{
  reconnect: 1
  remotes: [ {{ url: "nats-leaf://app:secret@localhost:{port}", account: app, tls {{ ca_file: "{made.ca}" }} }} ]
}}
"""


JOINS_PLAIN = """
server_name: "spoke"
jetstream {{ store_dir: "{store}", domain: "spoke" }}
accounts {{
  app {{ jetstream: enabled, users: [ {{ user: "app", password: "secret" }} ] }}
  bare {{ users: [ {{ user: "bare", password: "secret" }} ] }}
}}
leafnodes {{ reconnect: 1, remotes: [ {{ url: "nats-leaf://app:secret@127.0.0.1:{port}", account: {account} }} ] }}
"""
HELLO = {
    "server_id": "X", "server_name": "x", "version": "2.15.0", "proto": 3, "headers": True, "auth_required": True,
    "max_payload": 1048576, "client_id": 5, "leafnode_urls": [], "info_on_connect": True, "nonce": "abc",
}
TOLD = ("jetstream", "domain", "api_lvl")


class User(Nats):
    """A user of the account."""

    def __init__(self, context, broker, name):
        super().__init__(context, broker, None)
        self.name = name

    def command(self, *arguments):
        return (*super().command(*arguments), "--user", self.name, "--password", "secret")


def line(connection):
    """The JSON of the next line that comes."""
    connection.settimeout(30)
    got = b""
    while not got.endswith(b"\r\n"):
        got += connection.recv(1)
    return json.loads(got[got.index(b"{"):])


def introduced(context, made, kind):
    """What a hub says in INFO, and a leaf of accounts with and without streams in CONNECT."""
    store = context.folder / f"store-{len(context.processes)}"
    hub = server.start(context, kind, HUB.format(made=made, store=store), made)
    port = int(hub.process.wait_for(r"(?i)listening for leafnode connections on (\S+):(\d+)").group(2))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        told = [line(connection)]
    hub.process.stop()
    for account in ("app", "bare"):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            store = context.folder / f"store-{len(context.processes)}"
            text = JOINS_PLAIN.format(store=store, port=listener.getsockname()[1], account=account)
            leaf = server.start(context, kind, text, made)
            listener.settimeout(30)
            connection, _ = listener.accept()
            connection.sendall(b"INFO " + json.dumps(HELLO).encode() + b"\r\n")
            told.append(line(connection))
            connection.close()
        leaf.process.stop()
    return [{field: one.get(field) for field in TOLD} for one in told]


def run(context):
    made = certificates.make(context)
    ours, theirs = (introduced(context, made, kind) for kind in (context.broker, "nats-server"))
    check(ours == theirs, "INFO and CONNECT of leaf connections tell of JetStream alike", f"{ours}\n{theirs}")
    context.show(f"INFO of a hub, CONNECT of a leaf with and without streams: {ours}")
    for leaf_kind, hub_kind in ((context.broker, "nats-server"), ("nats-server", context.broker), (context.broker, context.broker)):
        joined(context, made, leaf_kind, hub_kind)


def joined(context, made, leaf_kind, hub_kind):
    title = f"a leaf of {leaf_kind} at a hub of {hub_kind}"
    store = context.folder / f"store-{len(context.processes)}"
    hub = server.start(context, hub_kind, HUB.format(made=made, store=store), made)
    port = hub.process.wait_for(r"(?i)listening for leafnode connections on (\S+):(\d+)").group(2)
    leaf = server.start(context, leaf_kind, LEAF.format(made=made, port=port), made)
    app, few = User(context, leaf, "app"), User(context, leaf, "few")
    told = lambda: app.run("request", "$JS.API.INFO", "", "--raw").text
    until(lambda: '"domain":"hub"' in told(), f"{title}: the hub answers", 40)
    app.do("stream", "add", "S", "--subjects", "s.>", "--defaults")
    app.do("pub", "s.a", "one", "--jetstream")
    app.do("kv", "add", "B")
    app.do("consumer", "add", "S", "c", "--pull", "--defaults", "--ack", "explicit")
    got = app.do("consumer", "next", "S", "c", "--ack")
    check("one" in got, f"{title}: a message is pulled", got)
    info = json.loads(User(context, hub, "app").do("stream", "info", "S", "--json"))
    check(info["state"]["messages"] == 1, f"{title}: the stream is the hub's", info)
    if leaf_kind == "cordon":
        # A stock server asks for permission to publish to what the request is mapped to.
        few.run("stream", "rm", "S", "--force")
        names = User(context, hub, "app").do("stream", "ls", "--names")
        check("S" in names.split(), f"{title}: a permission of the leaf holds for `$JS.API`", names)
    context.show(f"{title}: streams, consumers and buckets of the hub by `$JS.API`")
    leaf.process.stop()
    hub.process.stop()

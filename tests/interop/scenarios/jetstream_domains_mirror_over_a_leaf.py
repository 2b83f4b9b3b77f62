"""streams of a stock server and of the broker, joined by a leaf node, mirror and source each other"""

import json
import re

from harness import certificates, server
from harness.check import Failure, check, until
from harness.nats import Nats

PEERS = ("nats", "nats-server")
BROKERS = ("cordon", "nats-server")

SIDE = """
server_name: "{name}"
jetstream {{ store_dir: "{store}", domain: "{name}" }}
accounts {{ app {{ jetstream: enabled, users: [ {{ user: "app", password: "secret" }} ] }} }}
leafnodes {{ {leafnodes} }}
"""
LISTENS = 'listen: "127.0.0.1:{port}", tls {{ cert_file: "{made.server}", key_file: "{made.key}", timeout: 5 }}'
JOINS = """
reconnect: 1
remotes: [ {{ url: "nats-leaf://app:secret@localhost:{port}", account: app, tls {{ ca_file: "{made.ca}" }} }} ]
"""


class User(Nats):
    """The user of one side."""

    def command(self, *arguments):
        return (*super().command(*arguments), "--user", "app", "--password", "secret")


class Side:
    """One side: its configuration, the broker while it runs, its user."""

    def __init__(self, context, kind, name, made, leafnodes):
        self.context, self.kind, self.name, self.made = context, kind, name, made
        store = context.folder / f"store-{len(context.processes)}-{name}"
        self.text = SIDE.format(name=name, store=store, leafnodes=leafnodes)

    def start(self):
        self.broker = server.start(self.context, self.kind, self.text, self.made)
        self.user = User(self.context, self.broker, None)
        return self

    def stop(self):
        self.broker.process.stop()

    def api(self, subject, body):
        return json.loads(self.user.do("request", f"$JS.API.{subject}", json.dumps(body), "--raw"))

    def make(self, name, **config):
        told = self.api(f"STREAM.CREATE.{name}", {"name": name, "storage": "file", **config})
        check("error" not in told, f"{self.name} makes {name}", told)

    def publish(self, subject, count):
        self.user.do("pub", subject, "message {{Count}}", "--count", str(count), "--jetstream")

    def has(self, name, count, seconds=60):
        told = {}

        def arrived():
            told.update(self.api(f"STREAM.INFO.{name}", {}))
            return told["state"]["messages"] == count

        try:
            until(arrived, f"{name} at {self.name} has {count} messages", seconds, 0.3)
        except Failure as error:
            raise Failure(f"{error}\n{json.dumps({part: told.get(part) for part in ('state', 'mirror', 'sources')})}") from None
        return told

    def subjects(self, name):
        return self.user.do("stream", "subjects", name, "--json")


def from_other(name, side, **more):
    return {"name": name, "external": {"api": f"$JS.{side.name}.API"}, **more}


def run(context):
    made = certificates.make(context)
    for near_kind, far_kind in ((context.broker, "nats-server"), ("nats-server", context.broker)):
        both(context, made, near_kind, far_kind)


def both(context, made, near_kind, far_kind):
    title = f"a leaf of {near_kind} at a hub of {far_kind}"
    hub = Side(context, far_kind, "hub", made, LISTENS.format(made=made, port=-1)).start()
    port = hub.broker.process.wait_for(r"(?i)listening for leafnode connections on (\S+):(\d+)").group(2)
    hub.text = hub.text.replace("127.0.0.1:-1", f"127.0.0.1:{port}")
    leaf = Side(context, near_kind, "leaf", made, JOINS.format(made=made, port=port)).start()
    for one, other in ((hub, leaf), (leaf, hub)):
        told = lambda: one.user.run("account", "info", "--js-domain", other.name).text
        until(lambda: f"Domain: {other.name}" in re.sub(r" +", " ", told()), f"{other.name} answers at {one.name}", 40)
        one.make("OWN", subjects=[f"{one.name}.>"])
        one.make("WORK", subjects=[f"work.{one.name}"], retention="workqueue")
        one.publish(f"{one.name}.a", 30)
    for one, other in ((hub, leaf), (leaf, hub)):
        one.user.do("stream", "info", "OWN", "--js-domain", other.name)
        one.make("MIRROR", mirror=from_other("OWN", other))
        one.make("ALL", sources=[from_other("OWN", other, filter_subject=f"{other.name}.*"), {"name": "OWN"}])
        one.make("QUEUE", sources=[from_other("WORK", other)])
        one.make("MISSING", mirror=from_other("NONE", other))
    context.show(f"{title}: nats --js-domain reaches either side")
    for side in (hub, leaf):
        side.has("MIRROR", 30)
        side.has("ALL", 60)
        check(f"{'leaf' if side is hub else 'hub'}.a" in side.subjects("MIRROR"), "a mirror keeps subjects", side.subjects("MIRROR"))
        side.publish(f"work.{side.name}", 20)
    for side in (hub, leaf):
        side.has("QUEUE", 20)
        side.has("WORK", 0)
    until(lambda: "error" in leaf.api("STREAM.INFO.MISSING", {})["mirror"], "an origin that is not there is told of")
    context.show(f"{title}: mirrors, filtered sources and work queues, both ways")
    for restarted, other in ((leaf, hub), (hub, leaf)):
        restarted.stop()
        other.publish(f"{other.name}.b", 15)
        restarted.start()
        restarted.publish(f"{restarted.name}.b", 15)
        restarted.has("MIRROR", 45 if restarted is leaf else 60)
        other.has("MIRROR", 45 if restarted is leaf else 60)
    for side in (hub, leaf):
        told = side.has("ALL", 120)
        check(told["state"]["last_seq"] == 120, "nothing came twice", told)
    context.show(f"{title}: each side was restarted, nothing is lost, nothing came twice")
    again(context, title, hub, leaf)
    leaf.stop()
    hub.stop()


def again(context, title, hub, leaf):
    """An origin that is deleted and made anew is sourced from its start."""
    for one, other in ((hub, leaf), (leaf, hub)):
        one.make("BRIEF", subjects=["brief." + one.name])
        one.publish(f"brief.{one.name}", 5)
        other.make("TAKES", sources=[from_other("BRIEF", one)])
    for one, other in ((hub, leaf), (leaf, hub)):
        other.has("TAKES", 5)
        one.user.do("stream", "rm", "BRIEF", "--force")
        one.make("BRIEF", subjects=["brief." + one.name])
        one.publish(f"brief.{one.name}", 3)
    for side in (hub, leaf):
        side.has("TAKES", 8, 120)
    context.show(f"{title}: an origin made anew is read from its start")

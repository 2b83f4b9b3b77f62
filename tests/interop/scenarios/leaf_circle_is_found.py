"""three servers in a circle of leaf nodes, one of them the broker: the loop is found, and nothing arrives twice"""

from harness import certificates, leaf, server
from harness.check import until

PEERS = ("nats-server", "nats")
BROKERS = ("cordon", "nats-server")

SERVER = """
server_name: "{name}"
accounts {{ red {{ users: [ {{ user: "app", password: "secret" }} ] }} }}
leafnodes {{
  listen: "127.0.0.1:-1"
  tls {{ cert_file: "{made.server}", key_file: "{made.key}", timeout: 5 }}
  remotes: [ {remotes} ]
}}
"""
REMOTE = '{{ url: "tls://app:secret@localhost:{port}", account: red, tls {{ ca_file: "{made.ca}" }}, ignore_discovered_servers: true }}'


def start(context, kind, made, name, *hubs):
    """A server that joins each of the hubs."""
    remotes = ", ".join(REMOTE.format(port=hub.leaf_port, made=made) for hub in hubs)
    started = server.start(context, kind, SERVER.format(name=name, made=made, remotes=remotes), made)
    place = started.process.wait_for(r"(?i)listening for leafnode connections on \S+:(\d+)")
    return leaf.Side(name, started, int(place.group(1)), {"app": {"user": "app", "password": "secret"}})


def run(context):
    made = certificates.make(context)
    for order in ((context.broker, "nats-server", "nats-server"), ("nats-server", context.broker, "nats-server"),
                  ("nats-server", "nats-server", context.broker)):
        circle(context, made, order)


def circle(context, made, kinds):
    first = start(context, kinds[0], made, "first")
    second = start(context, kinds[1], made, "second", first)
    leaf.until_joined(second)
    third = start(context, kinds[2], made, "third", first, second)
    sides = (first, second, third)
    until(lambda: any("Loop detected" in side.server.process.text() for side in sides), "one of them finds the loop")
    # Any part of it may end: each server sees the circle by itself, and comes back after half a minute.
    until(lambda: len(leaf.joined(third)) <= 1, "the circle is open")
    watches = [leaf.Watch(context, side, "open.news") for side in sides]
    for number, side in enumerate(sides):
        context.succeed(watches[0].command(side, "pub", "open.news", f"number-{number};"))
        watches[number].process.wait_for(f"number-{number};")
    for watch in watches:
        watch.nothing_twice()
        watch.process.stop()
    names = ", ".join(f"{side.name} {kind}" for side, kind in zip(sides, kinds))
    context.show(f"{names}: the loop is found, and nothing arrives twice")
    for side in sides:
        side.stop()

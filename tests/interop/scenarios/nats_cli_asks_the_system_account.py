"""nats server list, info, ping, report and kick, and nats events, are answered"""

import json
import re

from harness import site
from harness.check import check, until

PEERS = ("nats",)
BROKERS = ("cordon", "nats-server")


def run(context):
    here = site.make(context)
    system = here.nats(context, "system")
    app = here.nats(context, "app")

    ping = system.do("server", "ping", "1")
    check(re.search(r"rtt=", ping), "nats server ping hears from the server", ping)
    listed = json.loads(system.do("server", "list", "1", "--json"))
    identity = listed[0]["server"]
    context.show(f"nats server list: {identity['name']} {identity['ver']}")
    info = system.do("server", "info", identity["id"])
    check(identity["id"] in info, "nats server info shows the server", info)

    events = system.start("events")
    events.wait_for("Listening for Client Connection events")
    listener = app.subscribe("kicked.out")
    events.wait_for("Client Connection")
    context.show("nats events shows a client's connection")

    red = here.accounts["red"]

    def listed_of_red():
        # The clients that published the probes may still be closing.
        report = json.loads(system.do("server", "report", "connections", "--account", red, "--json"))
        rows = rows_of(report)
        check(all(row["account"] == red for row in rows), "the report has no other account's connections", str(rows))
        return rows if len(rows) == 1 else None

    rows = until(listed_of_red, "the report has the subscriber's connection alone")
    context.show(f"nats server report connections --account: cid {rows[0]['cid']}, {rows[0]['lang']} {rows[0]['version']}")

    system.do("server", "request", "kick", str(rows[0]["cid"]), identity["id"])
    listener.wait_for("(?i)disconnected")
    context.show("nats server request kick: the client says that it was disconnected")

    who = app.do("account", "info")
    check(red in who, "nats account info names the account", who)
    context.show("nats account info names the account")


def rows_of(report):
    """The connections in whatever layers the command prints them."""
    if isinstance(report, list):
        return [row for part in report for row in rows_of(part)]
    if "cid" in report:
        return [report]
    return [row for part in report.values() if isinstance(part, (dict, list)) for row in rows_of(part)]

"""cordon control makes accounts and users on a stock nats-server, revokes and kicks them"""

import re

from harness import certificates, stock
from harness.check import check, until
from harness.control import Control, free_port
from harness.nats import Nats

PEERS = ("nats-server", "nats")
BROKERS = ("cordon",)
# A stock server can be told to turn an account away in either of these ways.
REFUSED = re.compile("(?i)authorization violation|maximum account active connections exceeded")


def run(context):
    made = certificates.make(context)
    port = free_port()
    control = Control(context, f"tls://127.0.0.1:{port}", made.ca)
    admin = control.admin
    server = stock.start(context, stock.trust(admin), made, port)
    control.wait_until_connected()
    brokers = until(lambda: admin.get("brokers")["items"], "the control plane knows its broker")
    check(brokers[0]["version"].startswith("2."), "it is the stock server", str(brokers))
    context.show(f"connected to nats-server {brokers[0]['version']}")

    account = admin.post("accounts", {"name": "driven"})["key"]
    users = {name: admin.issue(context, account, {"name": name}) for name in ("stayer", "leaver")}
    admin.wait_until_pushed(account)
    stayer, leaver = (Nats(context, server, users[name]) for name in ("stayer", "leaver"))
    staying = stayer.subscribe("here", publisher=stayer)
    leaving = leaver.subscribe("here", publisher=stayer)
    context.show("an account and two users made by the admin API are in use on the stock server")

    kick(context, admin, account, staying)
    revoke(context, admin, account, leaver, leaving)
    carries_on(stayer, staying)
    context.show("the other user's `nats sub` came back after the kick, and stayed")

    admin.post(f"accounts/{account}/suspend")
    told = until(lambda: REFUSED.search(stayer.run("pub", "here", "x").text), "a suspended account cannot connect")
    context.show(f"a suspended account cannot connect: {told.group(0)}")


def connections(admin, account, user):
    """The connections of one user, as the admin API lists them."""
    return [row for row in admin.items(f"accounts/{account}/connections") if row["user_name"] == user]


def carries_on(publisher, listener):
    """The listener receives what is published from now on, as soon as it has reconnected."""

    def arrived():
        publisher.publish("here", "carry on")
        return "carry on" in listener.text()

    until(arrived, "the listener receives again")


def kick(context, admin, account, staying):
    """Kick the stayer's connection; its client comes back by itself."""
    rows = until(lambda: connections(admin, account, "stayer"), "the stayer's connection is listed")
    for row in rows:
        admin.delete(f"connections/{row['cid']}")
    staying.wait_for("(?i)disconnected")
    context.show(f"kick: connection {rows[0]['cid']} ended")


def revoke(context, admin, account, leaver, leaving):
    """Revoke the leaver; its connection ends for good."""
    key = next(user["key"] for user in admin.items(f"accounts/{account}/users") if user["name"] == "leaver")
    admin.post(f"accounts/{account}/revocations", {"user": key})
    leaving.wait_for("(?i)disconnected")
    back = leaver.run("pub", "here", "let me in")
    check(back.code != 0 and "Authorization Violation" in back.text, "the revoked user cannot come back", back.text)
    context.show("revoke: the connection ended, and the creds are refused afterwards")

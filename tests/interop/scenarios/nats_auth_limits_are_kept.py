"""limits that nats auth sets on an account or a user hold: connections, payload, subscriptions, life of the creds"""

import re

from harness import certificates, server
from harness.check import check, until
from harness.nats import Nats
from harness.nats_auth import NatsAuth

PEERS = ("nats",)
BROKERS = ("cordon", "nats-server")


def run(context):
    auth = NatsAuth(context).make_operator()
    broker = server.start(context, context.broker, auth.configuration(), certificates.make(context))
    auth.account("narrow", "--connections", "2", "--payload", "2048")
    auth.account("wide")
    narrow = Nats(context, broker, auth.user("narrow", "app"))
    few = Nats(context, broker, auth.user("wide", "few", "--subscriptions", "1"))
    wide = Nats(context, broker, auth.user("wide", "app"))
    auth.push(broker, "narrow", "wide")

    large = narrow.run("pub", "here", "x" * 2049)
    # Told by the client if it has heard of the limit already, else by the broker.
    check(re.search("(?i)maximum payload (exceeded|violation)", large.text), "the account's payload limit holds", large.text)
    context.show("account payload limit: 2,049 bytes refused")

    first = narrow.start("sub", "here")
    first.wait_for("Subscribing on")
    second = narrow.start("sub", "here")
    second.wait_for("Subscribing on")
    third = narrow.run("pub", "here", "one too many")
    check("maximum account active connections exceeded" in third.text.lower(), "the third connection is refused", third.text)
    context.show("account connection limit of 2: the third is told `maximum account active connections exceeded`")

    full = few.start("sub", "one", "two")
    full.wait_for("(?i)maximum subscriptions exceeded")
    context.show("user subscription limit of 1: the second is told `maximum subscriptions exceeded`")

    brief(context, auth, broker, wide)


def brief(context, auth, broker, publisher):
    """Creds with an end: the connection is told so, and ends."""
    file = auth.home / "brief.creds"
    auth.do("user", "credential", file, "app", "wide", "--expire", "6s")
    user = Nats(context, broker, file)
    listening = user.subscribe("here", publisher=publisher)
    told = listening.wait_for("(?i)authentication expired").group(0)
    until(lambda: "Authorization Violation" in user.run("pub", "here", "once more").text, "the expired creds are refused")
    context.show(f"creds that end after 6 s: the connection was told `{told}`; afterwards: Authorization Violation")

"""the Go client comes back to a broker that was stopped and started again, with its subscriptions"""

import re

from harness import certificates, client, server
from harness.check import check
from harness.nats_auth import NatsAuth
from harness.site import Site

PEERS = ("go", "nats")
BROKERS = ("cordon", "nats-server")


def run(context):
    auth = NatsAuth(context).make_operator()
    made = certificates.make(context)
    broker = server.start(context, context.broker, auth.configuration(), made)
    here = Site(broker, {"red": auth.account("red")})
    here.creds["app"] = auth.user("red", "app")
    auth.push(broker, "red")
    port = re.search(r":(\d+)$", broker.url).group(1)
    running = context.start("go-client", (context.peers.go_client, "reconnect"), client.go_env(here, "app"))
    running.wait_for('"connected"')
    broker.process.stop()
    running.wait_for('"disconnected"')
    # The account's JWT was stored: nobody pushes it again.
    server.start(context, context.broker, auth.configuration(), made, port=port)
    running.wait_for('"reconnected"')
    running.wait_for('"subscriptions are there again"')
    code = running.wait_exit()
    check(code == 0, f"go-client ended with {code}", running.text())
    context.show("the connection came back, with its subscriptions, and what was published meanwhile arrived")

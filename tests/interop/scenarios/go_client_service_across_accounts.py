"""the Go client asks a service, and hears a stream, of another account"""

from harness import certificates, client, server
from harness.nats_auth import NatsAuth
from harness.site import Site

PEERS = ("go", "nats")
BROKERS = ("cordon", "nats-server")
EXPECTED = (
    "a request reaches the service and its answer the requester", "the service is told which account asks",
    "a single answer is all there is", "no responders across accounts",
    "a stream arrives under the importer's subject",
)


def run(context):
    auth = NatsAuth(context).make_operator()
    broker = server.start(context, context.broker, auth.configuration(), certificates.make(context))
    shop, partner = auth.account("shop"), auth.account("partner")
    auth.do("account", "exports", "add", "prices", "prices.*", "shop")
    auth.do("account", "exports", "add", "order", "order.place", "shop", "--service")
    source = ("--source", shop)
    auth.do("account", "imports", "add", "prices", "prices.*", "partner", *source, "--local", "shop.prices.*")
    auth.do("account", "imports", "add", "order", "order.place", "partner", *source, "--local", "shop.order", "--service")
    here = Site(broker, {"shop": shop, "partner": partner})
    here.creds["buyer"] = auth.user("partner", "buyer")
    seller = auth.user("shop", "seller")
    auth.push(broker, "shop", "partner")
    client.go(context, here, "across", "buyer", EXPECTED, ANSWERS=seller, BUYER=partner)

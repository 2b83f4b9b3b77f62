"""streams and a service that nats auth exports from one account are used by another that imports them"""

from harness import certificates, server
from harness.check import check
from harness.nats import Nats
from harness.nats_auth import NatsAuth

PEERS = ("nats",)
BROKERS = ("cordon", "nats-server")


def run(context):
    auth = NatsAuth(context).make_operator()
    broker = server.start(context, context.broker, auth.configuration(), certificates.make(context))
    shop, partner, outsider = (auth.account(name) for name in ("shop", "partner", "outsider"))
    share(auth, shop, partner)
    seller = Nats(context, broker, auth.user("shop", "seller"))
    buyer = Nats(context, broker, auth.user("partner", "buyer"))
    someone = Nats(context, broker, auth.user("outsider", "someone"))
    auth.push(broker, "shop", "partner", "outsider")

    prices = buyer.subscribe("shop.prices.*", publisher=seller, probe="prices.probe")
    seller.publish("prices.apple", "three")
    prices.wait_for("three")
    check('"shop.prices.apple"' in prices.text(), "the importer sees its own local subject", prices.text())
    context.show("stream: prices.apple of shop arrives at partner as shop.prices.apple")

    offers = buyer.subscribe("shop.offers", publisher=seller, probe=f"offers.{partner}")
    seller.publish(f"offers.{outsider}", "not for partner")
    seller.publish(f"offers.{partner}", "for partner alone")
    offers.wait_for("for partner alone")
    check("not for partner" not in offers.text(), "a subject with another account's key stays away", offers.text())
    context.show("stream with the importer's key at a token position: only the importer's own part arrives")

    seller.start("reply", "order.place", "order taken")
    answer = buyer.request("shop.order", "one apple")
    check(answer == "order taken", "the service answers across accounts", answer)
    context.show("service: shop.order of partner is answered by order.place of shop")

    nobody = someone.run("request", "shop.order", "one apple")
    check("no responders" in nobody.text.lower(), "an account without the import reaches nothing", nobody.text)
    reverse = seller.run("request", "shop.order", "one apple")
    check("no responders" in reverse.text.lower(), "the local subject means nothing in the exporter", reverse.text)
    context.show("an account without the import gets: no responders")

    auth.do("account", "imports", "rm", "shop.order", "partner", "--force")
    auth.push(broker, "partner")
    gone = buyer.run("request", "shop.order", "one apple")
    check("no responders" in gone.text.lower(), "the removed import is gone without reconnecting", gone.text)
    context.show("the import removed and pushed again: no responders")


def share(auth, shop, partner):
    """The exports of shop, and partner's imports of them."""
    auth.do("account", "exports", "add", "prices", "prices.*", "shop")
    auth.do("account", "exports", "add", "offers", "offers.*", "shop", "--token-position", "2")
    auth.do("account", "exports", "add", "order", "order.place", "shop", "--service")
    source = ("--source", shop)
    auth.do("account", "imports", "add", "prices", "prices.*", "partner", *source, "--local", "shop.prices.*")
    auth.do("account", "imports", "add", "offers", f"offers.{partner}", "partner", *source, "--local", "shop.offers")
    auth.do("account", "imports", "add", "order", "order.place", "partner", *source, "--local", "shop.order", "--service")

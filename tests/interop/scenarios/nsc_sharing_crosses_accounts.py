"""a stream and a service that nsc exports from one account are used by another that imports them"""

from harness import certificates, server
from harness.check import check
from harness.nats import Nats
from harness.nsc import Nsc

PEERS = ("nsc", "nats")
BROKERS = ("cordon", "nats-server")


def run(context):
    nsc = Nsc(context)
    nsc.operator("interop")
    broker = server.start(context, context.broker, nsc.configuration(), certificates.make(context))
    nsc.connect(broker)
    shop = nsc.account("shop")
    partner = nsc.account("partner")
    nsc.account("outsider")
    share(nsc, shop, partner)
    seller = Nats(context, broker, nsc.user("shop", "seller"))
    buyer = Nats(context, broker, nsc.user("partner", "buyer"))
    outsider = Nats(context, broker, nsc.user("outsider", "someone"))
    nsc.push("--all")

    public = buyer.subscribe("shop.prices.*", publisher=seller, probe="prices.probe")
    seller.publish("prices.apple", "three")
    public.wait_for("three")
    check('"shop.prices.apple"' in public.text(), "the importer sees its own local subject", public.text())
    context.show("public stream: prices.apple of shop arrives at partner as shop.prices.apple")

    private = buyer.subscribe("shop.stock.>", publisher=seller, probe="stock.probe")
    seller.publish("stock.apple", "seven left")
    private.wait_for("seven left")
    context.show("private stream with an activation token made by nsc")

    seller.start("reply", "order.place", "order taken")
    answer = buyer.request("shop.order", "one apple")
    check(answer == "order taken", "the service answers across accounts", answer)
    context.show("service: shop.order of partner is answered by order.place of shop")

    nobody = outsider.run("request", "shop.order", "one apple")
    check("no responders" in nobody.text.lower(), "an account without the import reaches nothing", nobody.text)
    reverse = seller.run("request", "shop.order", "one apple")
    check("no responders" in reverse.text.lower(), "the local subject means nothing in the exporter", reverse.text)
    context.show("an account without the import gets: no responders")


def share(nsc, shop, partner):
    """The exports of shop, and partner's imports of them."""
    nsc.do("add", "export", "--account", "shop", "--name", "prices", "--subject", "prices.*")
    nsc.do("add", "export", "--account", "shop", "--name", "stock", "--subject", "stock.>", "--private")
    nsc.do("add", "export", "--account", "shop", "--name", "order", "--subject", "order.place", "--service")
    token = nsc.home / "activation.jwt"
    nsc.do("generate", "activation", "--account", "shop", "--subject", "stock.>", "--target-account", partner,
           "--output-file", token)
    nsc.do("add", "import", "--account", "partner", "--name", "prices", "--src-account", shop,
           "--remote-subject", "prices.*", "--local-subject", "shop.prices.*")
    nsc.do("add", "import", "--account", "partner", "--name", "stock", "--token", token, "--local-subject", "shop.stock.>")
    nsc.do("add", "import", "--account", "partner", "--name", "order", "--service", "--src-account", shop,
           "--remote-subject", "order.place", "--local-subject", "shop.order")

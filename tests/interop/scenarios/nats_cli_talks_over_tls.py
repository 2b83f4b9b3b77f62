"""nats pub, sub, request, reply and rtt work over TLS with our creds"""

from harness import site
from harness.check import check

PEERS = ("nats",)
BROKERS = ("cordon", "nats-server")


def run(context):
    here = site.make(context)
    app = here.nats(context, "app")

    listener = app.subscribe("news.>")
    app.publish("news.today", "with a header", "-H", "Kind:weather")
    listener.wait_for(r"Kind: ?weather")
    listener.wait_for("with a header")
    context.show("nats pub -> nats sub, with a header")

    app.start("reply", "service.echo", "--echo")
    answer = app.request("service.echo", "are you there")
    check(answer == "are you there", "the reply echoes the request", answer)
    context.show("nats request -> nats reply")

    rtt = app.do("rtt")
    check("tls://" in rtt and "failed" not in rtt, "nats rtt measures the round trip", rtt)
    context.show("nats rtt: " + " ".join(rtt.split()))

    nobody = app.run("request", "service.nobody", "hello")
    check("no responders" in nobody.text.lower(), "a request that nobody serves ends at once", nobody.text)
    context.show("a request that nobody serves: no responders")

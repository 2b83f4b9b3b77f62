"""nats pub, sub, request, reply and rtt, which are the Go client, work over WebSocket with TLS"""

from harness import site
from harness.check import check

PEERS = ("nats",)
BROKERS = ("cordon", "nats-server")


def run(context):
    here = site.over_websocket(context)
    app = here.nats(context, "app")

    listener = app.subscribe("news.>")
    app.publish("news.today", "with a header", "-H", "Kind:weather")
    listener.wait_for(r"Kind: ?weather")
    listener.wait_for("with a header")
    context.show("nats pub -> nats sub, with a header")

    app.start("reply", "service.echo", "--echo")
    body = "x" * 100_000
    answer = app.request("service.echo", body)
    check(answer == body, "the reply echoes the request", answer[:100])
    context.show("nats request -> nats reply")

    rtt = app.do("rtt")
    check("wss://" in rtt and "failed" not in rtt, "nats rtt measures the round trip", rtt)
    context.show("nats rtt: " + " ".join(rtt.split()))

    limited = here.nats(context, "limited")
    refused = limited.run("pub", "closed.to.it", "hello")
    check("Permissions Violation" in refused.text, "what a user may not publish is refused", refused.text)
    context.show("a publish that is not permitted is refused")

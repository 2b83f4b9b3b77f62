"""a connection whose user JWT expires is told so and ends"""

from harness.check import until
from harness.nats import Nats
from harness.serve import Serve

PEERS = ("nats",)
# nsc's shortest life is a minute, so only our own issuing makes these creds.
BROKERS = ("cordon",)


def run(context):
    serve = Serve(context)
    account = serve.admin.post("accounts", {"name": "brief"})["key"]
    app = Nats(context, serve.server, serve.admin.issue(context, account, {"name": "app"}))
    serve.admin.wait_until_pushed(account)
    short = serve.admin.issue(context, account, {"name": "short", "expires_in_seconds": 6})
    brief = Nats(context, serve.server, short)
    listening = brief.subscribe("here", publisher=app)
    told = listening.wait_for("authentication expired").group(0)
    until(lambda: "Authorization Violation" in brief.run("pub", "here", "once more").text, "the expired creds are refused")
    context.show(f"when its JWT expired the connection was told `{told}` and ended; afterwards: Authorization Violation")

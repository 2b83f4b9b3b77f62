"""a stock nats-server trusts our operator, takes our account JWTs over NATS, and admits our creds"""

import json

from harness import stock
from harness.check import check
from harness.nats import Nats
from harness.serve import Serve

PEERS = ("nats-server", "nats")
BROKERS = ("cordon",)


def run(context):
    serve = Serve(context)
    admin = serve.admin
    account = admin.post("accounts", {"name": "exported"})["key"]
    allowed = {"publish": {"allow": ["open.>"]}, "subscribe": {"allow": ["open.>", "_INBOX.>"]}}
    app = admin.issue(context, account, {"name": "app"})
    limited = admin.issue(context, account, {"name": "limited", "permissions": allowed})

    server = stock.start(context, stock.trust(admin))
    system = Nats(context, server, serve.data / "creds" / "system.creds")
    token = admin.get(f"accounts/{account}")["jwt"]
    answer = json.loads(system.do("request", "$SYS.REQ.CLAIMS.UPDATE", token, "--raw"))
    check(answer.get("data", {}).get("code") == 200, "the stock server takes the account JWT", json.dumps(answer))
    context.show(f"$SYS.REQ.CLAIMS.UPDATE with our system creds: {answer['data']['message']} ({answer['server']['ver']})")

    sender = Nats(context, server, app)
    receiver = Nats(context, server, limited)
    listening = receiver.subscribe("open.news", publisher=sender)
    sender.publish("open.news", "from a stock server")
    listening.wait_for("from a stock server")
    denied = receiver.run("pub", "closed.news", "not for me")
    check('Permissions Violation for Publish to "closed.news"' in denied.text, "our permissions are applied", denied.text)
    context.show("our creds: pub and sub work, permissions are applied")

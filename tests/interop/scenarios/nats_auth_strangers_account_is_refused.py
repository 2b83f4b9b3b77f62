"""an account JWT signed by another operator is refused and replaces nothing"""

import json

from harness import certificates, server
from harness.check import check
from harness.nats import Nats
from harness.nats_auth import NatsAuth

PEERS = ("nats",)
# A stock server stores such a JWT and answers 200; Cordon must not.
BROKERS = ("cordon",)


def run(context):
    auth = NatsAuth(context).make_operator()
    broker = server.start(context, context.broker, auth.configuration(), certificates.make(context))
    key = auth.account("red")
    user = Nats(context, broker, auth.user("red", "user"))
    auth.push(broker, "red")
    system = Nats(context, broker, auth.creds(auth.system, "system"))
    before = auth.query(broker, key)[1]

    stranger = NatsAuth(context, "stranger").make_operator()
    theirs = stranger.account("theirs")
    answer = json.loads(system.do("request", "$SYS.REQ.CLAIMS.UPDATE", stranger.token("theirs"), "--raw"))
    check(answer.get("error", {}).get("code") == 500, "the update is answered with an error", json.dumps(answer))
    context.show("$SYS.REQ.CLAIMS.UPDATE: " + answer["error"]["description"])

    listed = json.loads(system.do("request", "$SYS.REQ.CLAIMS.LIST", "", "--raw"))["data"]
    check(theirs not in listed and key in listed, "the stranger's account is not listed", str(listed))
    check(auth.query(broker, key)[1] == before, "the account that is in use is unchanged")
    user.publish("here", "still works")

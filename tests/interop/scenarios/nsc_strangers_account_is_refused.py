"""an account JWT signed by another operator is refused and replaces nothing"""

import json

from harness import certificates, server
from harness.check import check
from harness.nats import Nats
from harness.nsc import Nsc

PEERS = ("nsc", "nats")
# A stock server stores such a JWT and answers 200; Cordon must not.
BROKERS = ("cordon",)


def run(context):
    nsc = Nsc(context)
    nsc.operator("interop")
    broker = server.start(context, context.broker, nsc.configuration(), certificates.make(context))
    nsc.connect(broker)
    key = nsc.account("red")
    user = Nats(context, broker, nsc.user("red", "user"))
    nsc.push("--all")
    system = Nats(context, broker, nsc.creds("SYS", "sys"))
    before = system.do("request", f"$SYS.REQ.ACCOUNT.{key}.CLAIMS.LOOKUP", "", "--raw").strip()

    stranger = Nsc(context, "stranger")
    stranger.operator("stranger")
    stranger.account("theirs")
    forged = stranger.do("describe", "account", "--name", "theirs", "--raw").strip()
    answer = json.loads(system.do("request", "$SYS.REQ.CLAIMS.UPDATE", forged, "--raw"))
    check(answer.get("error", {}).get("code") == 500, "the update is answered with an error", json.dumps(answer))
    context.show("$SYS.REQ.CLAIMS.UPDATE: " + answer["error"]["description"])

    listed = json.loads(system.do("request", "$SYS.REQ.CLAIMS.LIST", "", "--raw"))["data"]
    check(stranger.key("theirs") not in listed and key in listed, "the stranger's account is not listed", str(listed))
    after = system.do("request", f"$SYS.REQ.ACCOUNT.{key}.CLAIMS.LOOKUP", "", "--raw").strip()
    check(before == after, "the account that is in use is unchanged")
    user.publish("here", "still works")

"""every configuration that nsc generates for a resolver starts the broker as it is, and users connect"""

from harness import certificates, server
from harness.check import check
from harness.nats import Nats
from harness.nsc import Nsc

PEERS = ("nsc", "nats")
BROKERS = ("cordon", "nats-server")


def written(nsc, form):
    """What `nsc generate config` writes, without what it says besides."""
    text = nsc.do("generate", "config", form, "--config-file", "--")
    mark = next((mark for mark in ("# Operator named", "// Operator") if mark in text), None)
    return text[text.index(mark) :] if mark else text


def run(context):
    nsc = Nsc(context)
    nsc.operator("interop")
    nsc.account("red")
    made = certificates.make(context)
    creds = nsc.user("red", "someone")

    broker = server.start(context, context.broker, written(nsc, "--mem-resolver"), made)
    Nats(context, broker, creds).publish("orders.one", "by a memory resolver")
    context.show("--mem-resolver: a user of a preloaded account connects")

    for form in ("--nats-resolver", "--nats-resolver-cache"):
        text = written(nsc, form)
        check("resolver" in text, f"nsc writes a configuration for {form}", text)
        folder = form.strip("-")
        broker = server.start(context, context.broker, text.replace("./jwt", f"./{folder}"), made)
        user = Nats(context, broker, creds)
        refused = user.run("pub", "orders.one", "too early")
        check(refused.code != 0, f"{form}: an account that was not pushed is not known", refused.text)
        if form == "--nats-resolver":
            nsc.connect(broker)
            nsc.push("--all")
            user.publish("orders.one", "after the push")
        context.show(f"{form}: the broker starts, and knows only what it has")

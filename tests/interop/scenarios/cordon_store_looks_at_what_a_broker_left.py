"""cordon store: refuses while a broker has the folder, then shows streams, finds damage, mends what a crash left"""

import json

from harness import certificates, server
from harness.check import check
from harness.nats import Nats

PEERS = ("nats",)
# The command is Cordon's own.
BROKERS = ("cordon",)
MESSAGES = 100


def run(context):
    store = context.folder / "store"
    configuration = f'jetstream {{ store_dir: "{store}" }}\n'
    keys = certificates.make(context)
    broker = server.start(context, "cordon", configuration, keys)
    app = Nats(context, broker, None)
    app.do("stream", "add", "ORDERS", "--subjects", "orders.>", "--storage", "file", "--defaults")
    app.do("pub", "orders.{{Count}}", "payload payload payload payload", "--count", str(MESSAGES), "--jetstream")

    def run_store(act):
        result = context.run((context.cordon, "store", act, "-sd", store, "--json"))
        return result, (json.loads(result.text) if result.text.startswith("{") else None)

    held, _ = run_store("repair")
    check(held.code == 1 and "stop that one first" in held.text, "a folder in use is refused", held.text)
    broker.process.stop()

    good, report = run_store("check")
    stream = report["accounts"][0]["streams"][0]
    check(good.code == 0 and stream["messages"] == MESSAGES and stream["subjects"] == MESSAGES, "all is there", report)
    context.show(f"cordon store check: {MESSAGES} messages, nothing damaged")

    segment = max((store / "jetstream" / "$G" / "streams" / "ORDERS").glob("*.seg"))
    whole = segment.read_bytes()
    segment.write_bytes(whole + b"torn")
    torn, report = run_store("repair")
    stream = report["accounts"][0]["streams"][0]
    check(torn.code == 0 and stream["torn"] and stream["done"], "a torn end is cut off", report)
    check(segment.read_bytes() == whole, "and nothing else")
    middle = whole.index(b"payload", len(whole) // 2)
    segment.write_bytes(whole[:middle] + b"PAYLOAD" + whole[middle + 7 :])
    bad, report = run_store("check")
    stream = report["accounts"][0]["streams"][0]
    check(bad.code == 1 and stream["lost"] == 1 and stream["messages"] == MESSAGES - 1, "damage is found", report)
    bad, report = run_store("repair")
    copies = list((store / "jetstream" / ".quarantine").rglob("*@*"))
    check(bad.code == 1 and len(copies) == 1, "what is damaged is kept apart", report)
    again = Nats(context, server.start(context, "cordon", configuration, keys), None)
    state = json.loads(again.do("stream", "info", "ORDERS", "--json"))["state"]
    check(state["messages"] == MESSAGES - 1 and state["lost"]["msgs"], "the broker goes on and says what is lost", state)
    context.show("a torn end is mended; one damaged message is found, copied aside, and told of")

"""nats stream, consumer, kv and object work, and what was stored is there after a restart"""

from harness import certificates, server
from harness.check import check
from harness.nats import Nats

PEERS = ("nats",)
BROKERS = ("cordon", "nats-server")
MESSAGES = 200


def run(context):
    store = context.folder / "store"
    configuration = f'jetstream {{ store_dir: "{store}" }}\n'
    keys = certificates.make(context)
    broker = server.start(context, context.broker, configuration, keys)
    app = Nats(context, broker, None)

    app.do("stream", "add", "ORDERS", "--subjects", "orders.>", "--storage", "file", "--defaults")
    app.do("pub", "orders.{{Count}}", "order {{Count}}", "--count", str(MESSAGES), "--jetstream")
    info = app.do("stream", "info", "ORDERS", "--json")
    check(f'"messages": {MESSAGES}' in info, "the stream has every message", info)
    context.show(f"nats stream add, nats pub --jetstream: {MESSAGES} messages stored")

    app.do("consumer", "add", "ORDERS", "worker", "--pull", "--ack", "explicit", "--defaults")
    first = app.do("consumer", "next", "ORDERS", "worker", "--count", "3", "--ack")
    check("order 1" in first and "order 3" in first, "the consumer gets the first three", first)
    got = app.do("stream", "get", "ORDERS", "17")
    check("order 17" in got, "a message is read by its sequence", got)
    context.show("nats consumer add, next; nats stream get")

    app.do("kv", "add", "settings", "--history", "5")
    app.do("kv", "put", "settings", "colour", "red")
    app.do("kv", "put", "settings", "colour", "green")
    value = app.do("kv", "get", "settings", "colour", "--raw").strip()
    check(value == "green", "the last value of a key is read", value)
    refused = app.run("kv", "create", "settings", "colour", "blue")
    check(refused.code != 0, "a key that is there is not created", refused.text)
    history = app.do("kv", "history", "settings", "colour")
    check("red" in history and "green" in history, "the history of a key is kept", history)
    app.do("kv", "del", "settings", "colour", "--force")
    check(app.run("kv", "get", "settings", "colour", "--raw").code != 0, "a deleted key has no value")
    app.do("kv", "put", "settings", "size", "42")
    context.show("nats kv add, put, get, create, history, del")

    file = context.folder / "object.bin"
    file.write_bytes(bytes(range(256)) * 4096)
    app.do("object", "add", "files")
    app.do("object", "put", "files", str(file), "--name", "object.bin", "--force", "--no-progress")
    app.do("object", "get", "files", "object.bin", "--output", str(context.folder / "back.bin"), "--force", "--no-progress")
    check((context.folder / "back.bin").read_bytes() == file.read_bytes(), "an object comes back as it was")
    context.show("nats object add, put, get: 1 MiB")

    broker.process.stop()
    again = Nats(context, server.start(context, context.broker, configuration, keys), None)
    info = again.do("stream", "info", "ORDERS", "--json")
    check(f'"messages": {MESSAGES}' in info, "the stream is there after a restart", info)
    following = again.do("consumer", "next", "ORDERS", "worker", "--count", "1", "--ack")
    check("order 4" in following, "the consumer goes on where it was", following)
    check(again.do("kv", "get", "settings", "size", "--raw").strip() == "42", "the bucket is there after a restart")
    again.do("stream", "purge", "ORDERS", "--force")
    again.do("stream", "rm", "ORDERS", "--force")
    names = again.do("stream", "ls", "--names", "--all")
    check("ORDERS" not in names and "KV_settings" in names, "a removed stream is gone", names)
    report = again.do("account", "info")
    check("JetStream" in report, "the account has JetStream", report)
    context.show("after a restart: stream, consumer and bucket go on; purge, rm, ls, account info")

"""jsz, healthz, varz and account information have the fields, status codes and figures of a stock server, page by page"""

import json
import urllib.error
import urllib.request

from harness import certificates, server
from harness.check import check, until
from harness.nats import Nats

PEERS = ("nats", "nats-server")
BROKERS = ("cordon",)

SIDE = """
server_name: "same"
jetstream {{ store_dir: "{store}", max_mem: 64MB, max_file: 64MB }}
accounts {{
  app {{ jetstream {{ max_mem: 16MB, max_file: 32MB, max_streams: 10, max_consumers: 10 }}, users: [ {{ user: "app", password: "secret" }} ] }}
  other {{ jetstream: enabled, users: [ {{ user: "other", password: "secret" }} ] }}
  none {{ users: [ {{ user: "none", password: "secret" }} ] }}
  SYS {{ users: [ {{ user: "sys", password: "secret" }} ] }}
}}
system_account: SYS
"""
WITHOUT = 'server_name: "same"\naccounts { app { users: [ { user: "app", password: "secret" } ] } }\n'

JSZ = [
    "", "accounts=1", "streams=1", "consumers=1", "consumers=1&config=1", "acc=app", "acc=app&streams=1",
    "acc=app&consumers=1&config=1", "acc=nobody", "accounts=1&limit=1", "accounts=1&offset=1", "accounts=1&offset=9",
    "accounts=1&limit=1&offset=1", "direct-consumers=1&consumers=1", "raft=1", "streams=1&leader-only=0", "accounts=x",
    "limit=x", "offset=x",
]
HEALTHZ = [
    "", "js-enabled-only=1", "js-server-only=1", "js-meta-only=1", "account=app", "account=nobody", "account=none",
    "account=app&stream=S", "account=app&stream=NONE", "account=app&stream=S&consumer=pull",
    "account=app&stream=S&consumer=NONE", "stream=S", "account=app&consumer=pull", "js-enabled-only=x", "details=1",
    "account=nobody&details=1", "account=app&stream=NONE&details=1", "account=app&stream=S&consumer=NONE&details=1",
]
# Figures that must be the same; names and times are each server's own.
SAME = {
    "streams", "consumers", "messages", "bytes", "accounts", "total", "memory", "storage", "reserved_memory",
    "reserved_storage", "max_memory", "max_storage", "first_seq", "last_seq", "num_subjects", "consumer_count",
    "num_ack_pending", "num_pending", "num_waiting", "num_redelivered", "push_bound", "name", "id", "strict", "compress_ok", "ha_assets",
    "max_streams", "max_consumers", "max_ack_pending", "status", "level",
}
# Cordon syncs before it answers, searches its files for damage, and shows the consumers of a stream that has none as an
# empty list.
EXTRA = {"sync_always", "consumer_detail", "scrub"}
# It has no default for consumers of a stream, no groups of replicas, and no consumers of its own for
# mirrors in the same account.
MISSING = {
    "sync_interval", "default_max_consumers", "streams_leader", "consumers_leader", "direct_consumer_detail",
}


class Side:
    """One of both, and what was made there."""

    def __init__(self, context, kind, made, text=SIDE):
        self.kind = kind
        self.broker = server.start(context, kind, text.format(store=context.folder / f"store-{kind}") if text is SIDE else text, made)
        self.user = User(context, self.broker, None)

    def api(self, subject, body):
        told = json.loads(self.user.do("request", f"$JS.API.{subject}", json.dumps(body) if body else "", "--raw"))
        check("error" not in told, f"{self.kind} answers {subject}", told)
        return told

    def fill(self):
        self.api("STREAM.CREATE.S", {"name": "S", "subjects": ["s.>"], "max_bytes": 1 << 20})
        self.api("STREAM.CREATE.M", {"name": "M", "subjects": ["m"], "storage": "memory"})
        self.api("STREAM.CREATE.COPY", {"name": "COPY", "mirror": {"name": "S"}, "storage": "memory"})
        self.api("CONSUMER.CREATE.S.pull", {"stream_name": "S", "config": {"name": "pull", "durable_name": "pull", "ack_policy": "explicit"}})
        for subject in ("s.a", "s.b", "m"):
            self.user.do("pub", subject, "twelve bytes", "--count", "5", "--jetstream")
        self.user.do("consumer", "next", "S", "pull", "--count", "3", "--ack")
        until(lambda: self.api("STREAM.INFO.COPY", None)["state"]["messages"] == 10, f"{self.kind} mirrors")
        self.api("STREAM.PURGE.S", {"filter": "s.b", "keep": 2})

    def page(self, path):
        """Status code and body."""
        try:
            with urllib.request.urlopen(f"{self.broker.monitor}/{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class User(Nats):
    """The user of the account with streams."""

    def command(self, *arguments):
        return (*super().command(*arguments), "--user", "app", "--password", "secret")


def parsed(body):
    try:
        return json.loads(body)
    except ValueError:
        return body.strip()


def differences(where, ours, theirs):
    """Fields that only one has, and figures that are not the same."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = [f"{where}.{field}: more" for field in sorted(ours.keys() - theirs.keys()) if field not in EXTRA]
        found += [f"{where}.{field}: missing ({theirs[field]})" for field in sorted(theirs.keys() - ours.keys()) if field not in MISSING]
        for field in sorted(ours.keys() & theirs.keys()):
            found += differences(f"{where}.{field}", ours[field], theirs[field])
        return found
    if isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return [f"{where}: {len(ours)} and not {len(theirs)}"]
        key = lambda row: str(row.get("name", "")) if isinstance(row, dict) else str(row)
        pairs = zip(sorted(ours, key=key), sorted(theirs, key=key))
        return [line for at, (one, other) in enumerate(pairs) for line in differences(f"{where}[{at}]", one, other)]
    if type(ours) is not type(theirs):
        return [f"{where}: {ours!r} and not {theirs!r}"]
    if where.rsplit(".", 1)[-1] in SAME and not where.endswith(".api.total") and ours != theirs:
        return [f"{where}: {ours!r} and not {theirs!r}"]
    return []


def compare(context, ours, theirs, title, pages):
    found = []
    for path in pages:
        one, other = ours.page(path), theirs.page(path)
        if one[0] != other[0]:
            found.append(f"/{path}: {one[0]} {one[1][:150]} and not {other[0]} {other[1][:150]}")
        found += differences(f"/{path} ", parsed(one[1]), parsed(other[1]))
    check(not found, f"{title} differ", "\n".join(found))
    context.show(f"{title}: {len(pages)} pages have the same fields")


def run(context):
    made = certificates.make(context)
    ours, theirs = (Side(context, kind, made) for kind in (context.broker, "nats-server"))
    for side in (ours, theirs):
        side.fill()
    compare(context, ours, theirs, "jsz", [f"jsz?{query}" for query in JSZ])
    compare(context, ours, theirs, "healthz", [f"healthz?{query}" for query in HEALTHZ])
    found = differences("varz", parsed(ours.page("varz")[1])["jetstream"], parsed(theirs.page("varz")[1])["jetstream"])
    check(not found, "the jetstream of varz differs", "\n".join(found))
    one, other = ours.api("INFO", None), theirs.api("INFO", None)
    # A stock server counts the consumer of the mirror here, and not in jsz.
    other["consumers"] -= 1
    found = differences("info", one, other)
    check(not found, "account information differs", "\n".join(found))
    context.show("varz and account information have the same fields and figures")
    ours, theirs = (Side(context, kind, made, WITHOUT) for kind in (context.broker, "nats-server"))
    compare(context, ours, theirs, "without streams", ["jsz", "jsz?accounts=1", "healthz", "healthz?js-enabled-only=1", "healthz?account=app"])

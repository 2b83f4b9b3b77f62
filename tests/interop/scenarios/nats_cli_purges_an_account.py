"""an operator has everything of an account deleted by $JS.API.ACCOUNT.PURGE; others keep theirs"""

import json

from harness import certificates, server
from harness.check import check, until
from harness.nats import Nats

PEERS = ("nats",)
BROKERS = ("cordon", "nats-server")

ACCOUNTS = """
accounts {{
  A {{ jetstream: enabled, users: [{{ user: a, password: a }}] }}
  B {{ jetstream: enabled, users: [{{ user: b, password: b }}] }}
  SYS {{ users: [{{ user: s, password: s }}] }}
}}
system_account: SYS
jetstream {{ store_dir: "{store}" }}
"""


class User(Nats):
    def __init__(self, context, broker, name):
        super().__init__(context, broker, None)
        self.name = name

    def command(self, *arguments):
        return super().command(*arguments, "--user", self.name, "--password", self.name)


def run(context):
    store = context.folder / "store"
    broker = server.start(context, context.broker, ACCOUNTS.format(store=store), certificates.make(context))
    one, other, operator = (User(context, broker, name) for name in "abs")
    for user in (one, other):
        user.do("stream", "add", "S", "--subjects", "s.>", "--storage", "file", "--defaults")
        user.do("pub", "s.x", "hello", "--count", "10", "--jetstream")

    refused = one.run("request", "$JS.API.ACCOUNT.PURGE.B", "", "--raw", "--timeout", "1s")
    check("initiated" not in refused.text, "an account does not purge another", refused.text)
    answer = json.loads(operator.do("request", "$JS.API.ACCOUNT.PURGE.A", "", "--raw"))
    check(answer.get("initiated") is True, "the operator is told that it begins", answer)
    until(lambda: "S" not in one.run("stream", "ls", "--names").text.split(), "the stream is gone")
    until(lambda: not list((store / "jetstream").glob("*A*/streams/S")), "its files are gone")
    kept = other.do("stream", "info", "S", "--json")
    check(json.loads(kept)["state"]["messages"] == 10, "another account keeps its stream", kept)
    # A stock server may want its account told again before it has streams.
    if context.broker == "cordon":
        one.do("stream", "add", "S", "--subjects", "s.>", "--storage", "file", "--defaults")
        one.do("pub", "s.x", "again", "--jetstream")
        info = json.loads(one.do("stream", "info", "S", "--json"))
        check(info["state"]["last_seq"] == 1, "a new stream begins anew", info)
    context.show("ACCOUNT.PURGE: streams and files of one account are gone, the other's are there")

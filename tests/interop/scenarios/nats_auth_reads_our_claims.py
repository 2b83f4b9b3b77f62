"""nats auth reads the operator, account and user JWTs that we issue, with keys, limits, exports and imports"""

import re

from harness.check import check
from harness.nats_auth import NatsAuth
from harness.serve import Serve

PEERS = ("nats",)
BROKERS = ("cordon",)


def run(context):
    admin = Serve(context).admin
    operator = admin.items("operators")[0]
    other = admin.post("accounts", {"name": "other"})["key"]
    admin.post(f"accounts/{other}/exports", {"kind": "stream", "name": "news", "subject": "news.>"})
    account, issued = make_account(admin, other)

    auth = NatsAuth(context, "cordon")
    user = re.search(r"eyJ\S+", issued["creds"]).group(0)
    auth.place(operator["jwt"], {"readable": account["jwt"]}, {("readable", "ada"): user})
    shown = auth.run("operator", "info", "cordon").text
    check(operator["key"] in shown, "the operator is read", shown)
    signing = operator["signing_keys"]
    check(all(key["key"] in shown for key in signing), "the operator's signing keys are read", shown)
    context.show(f"nats auth operator info: the operator and its {len(signing)} signing keys")

    shown = auth.do("account", "info", "readable")
    expect(shown, account["key"], r"Connections: 7\b", r"Maximum Payload: 4.0 KiB", r"Service Exports: 1\b", r"Stream Imports: 1\b")
    exports = auth.do("account", "exports", "info", "echo.*", "readable")
    expect(exports, "echo.*", r"Kind: Service", r"Activation Required: true")
    imports = auth.run("account", "imports", "ls", "readable", "cordon").text
    expect(imports, "news.eu.>", "others.news.>")
    keys = auth.do("account", "keys", "ls", "readable")
    expect(keys, account["signing_keys"][0]["key"], "reader")
    context.show("nats auth account info, exports, imports, keys: limits, a private service, an import, a scoped key")

    shown = auth.do("user", "info", "ada", "readable")
    expect(shown, issued["user"]["key"], account["key"], r"no\.>", r"Max Payload: 512\b")
    context.show("nats auth user info: the user with permissions and limits")


def make_account(admin, other):
    """An account with something of every kind, and a user of it."""
    body = {"name": "readable", "limits": {"connections": 7, "payload_bytes": 4096}}
    path = f"accounts/{admin.post('accounts', body)['key']}"
    admin.post(f"{path}/exports", {"kind": "service", "name": "echo", "subject": "echo.*", "token_required": True})
    taken = {"kind": "stream", "name": "news", "account": other, "subject": "news.eu.>", "local_subject": "others.news.>"}
    admin.post(f"{path}/imports", taken)
    scope = {"role": "reader", "template": {"permissions": {"publish": {"deny": [">"]}}}}
    admin.post(f"{path}/signing-keys", {"scope": scope})
    user = {"name": "ada", "permissions": {"publish": {"deny": ["no.>"]}}, "limits": {"payload_bytes": 512}}
    issued = admin.post(f"{path}/users", user)
    return admin.get(path), issued


def expect(shown, *patterns):
    """Every pattern must be in what was shown; keys and subjects are plain text."""
    for pattern in patterns:
        found = pattern in shown or re.search(pattern, shown)
        check(found, f"nats auth shows {pattern}", shown)

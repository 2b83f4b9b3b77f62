"""nsc imports our operator and account JWTs and reads a user JWT that we issued"""

import json
import re

from harness.check import check
from harness.nsc import Nsc
from harness.serve import Serve

PEERS = ("nsc",)
BROKERS = ("cordon",)


def run(context):
    admin = Serve(context).admin
    operator = admin.items("operators")[0]
    account = admin.post("accounts", {"name": "readable", "limits": {"connections": 7}})
    export = {"kind": "service", "name": "echo", "subject": "echo.*", "response_type": "singleton"}
    admin.post(f"accounts/{account['key']}/exports", export)
    account = admin.get(f"accounts/{account['key']}")
    issued = admin.post(f"accounts/{account['key']}/users", {"name": "ada", "permissions": {"publish": {"deny": ["no.>"]}}})

    nsc = Nsc(context)
    file = context.folder / "operator.jwt"
    file.write_text(operator["jwt"])
    nsc.do("add", "operator", "--url", file)
    check(nsc.describe("operator")["sub"] == operator["key"], "nsc has our operator")
    file = context.folder / "account.jwt"
    file.write_text(account["jwt"])
    nsc.do("import", "account", "--file", file)
    read = nsc.describe("account", "--name", "readable")
    check(read["sub"] == account["key"] and read["nats"]["limits"]["conn"] == 7, "nsc reads the account", json.dumps(read))
    check(read["nats"]["exports"][0]["subject"] == "echo.*", "nsc reads the export", json.dumps(read))
    context.show("nsc add operator --url, nsc import account: operator and account with limits and export")

    file = context.folder / "user.jwt"
    file.write_text(re.search(r"eyJ\S+", issued["creds"]).group(0))
    user = json.loads(nsc.do("describe", "jwt", "--file", file, "--json"))
    check(user["name"] == "ada" and user["nats"]["pub"]["deny"] == ["no.>"], "nsc reads the user", json.dumps(user))
    check(user["sub"] == issued["user"]["key"], "the user's key is the subject")
    context.show("nsc describe jwt: the user with its permissions")

"""cordon control, given only a signing key of an operator that nats auth made, issues accounts for its stock server"""

from harness import certificates, jwt, server
from harness.check import check
from harness.control import Control
from harness.nats import Nats
from harness.nats_auth import NatsAuth

PEERS = ("nats-server", "nats")
BROKERS = ("cordon",)


def run(context):
    auth = NatsAuth(context).make_operator()
    broker = server.start(context, "nats-server", auth.configuration(), certificates.make(context))
    operator = jwt.claims(auth.operator_token())
    signing_key = operator["nats"]["signing_keys"][0]

    control = Control(context, broker.url, broker.ca, "--no-operator", "--nats-creds", auth.creds(auth.system, "system"))
    imported = {"jwt": auth.operator_token(), "signing_seed": auth.seed(signing_key)}
    made = control.admin.post("operators", {"name": "interop", "import": imported})
    check(made["key"] == operator["sub"] and made["custody"] == "signing_key", "the operator is imported", str(made["key"]))
    control.wait_until_connected()
    context.show("POST operators with its JWT and the seed of a signing key: custody signing_key")

    account = control.admin.post("accounts", {"name": "theirs"})["key"]
    creds = control.admin.issue(context, account, {"name": "app"})
    control.admin.wait_until_pushed(account)
    app = Nats(context, broker, creds)
    app.subscribe("here", publisher=app)
    context.show("an account and a user made with it are in use on the stock server")

    system = Nats(context, broker, auth.creds(auth.system, "system"))
    token = system.do("request", f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP", "", "--raw").strip()
    issuer = jwt.claims(token)["iss"]
    check(issuer == signing_key, "the account is signed by the signing key", issuer)
    auth.place(auth.operator_token(), {"theirs": token}, {})
    shown = auth.do("account", "info", "theirs")
    check(account in shown and signing_key in shown, "nats auth reads the account and its issuer", shown)
    context.show("nats auth reads the account that the server has: its issuer is the signing key; the identity key stayed away")

"""a callout service on the Python client lets users in, with permissions, and keeps others out"""

from harness import certificates, server
from harness.check import check
from harness.nats import Nats
from harness.peers import INTEROP

PEERS = ("python", "nats")
BROKERS = ("cordon", "nats-server")

# The key of the account role over the bytes 0 to 31, a published vector.
ISSUER = "AAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QPZV"
SEED = "SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI"

CONFIGURATION = f"""
accounts {{
  AUTH {{ users = [ {{ user: auth, password: pwd }} ] }}
  APP {{ }}
}}
authorization {{
  timeout: 5
  auth_callout {{
    issuer: {ISSUER}
    account: AUTH
    auth_users: [ auth ]
  }}
}}
"""


class Named(Nats):
    """The `nats` command with a name and a password."""

    def __init__(self, context, broker, name, password):
        super().__init__(context, broker, None)
        self.login = ("--user", name, "--password", password)

    def command(self, *arguments):
        return (*super().command(*arguments), *self.login)


def run(context):
    broker = server.start(context, context.broker, CONFIGURATION, certificates.make(context))
    env = {
        "NATS_URL": broker.url, "NATS_CA": broker.ca, "ISSUER": SEED, "AUTH_USER": "auth", "AUTH_PASSWORD": "pwd",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    script = INTEROP / "clients" / "python_callout_service.py"
    service = context.start("callout service", (context.peers.python, script), {k: str(v) for k, v in env.items()})
    service.wait_for("service is ready")

    alice = Named(context, broker, "alice", "open sesame")
    receiver = alice.subscribe("app.*")
    alice.publish("app.hello", "let in")
    receiver.wait_for("let in")
    denied = alice.run("pub", "other.subject", "x")
    check("Permissions Violation" in denied.text, "what the service did not allow is refused", denied.text)

    for name, password in (("mallory", "wrong"), ("auth", "wrong"), ("alice", "")):
        refused = Named(context, broker, name, password).run("pub", "app.hello", "x")
        said = refused.code != 0 and "Authorization Violation" in refused.text
        check(said, f"`{name}` with a wrong password is refused", refused.text)
    check('"answered": "auth"' not in service.text(), "the service is not asked about its own user", service.text())
    context.show(f"questions answered: {service.text().count('answered')}")

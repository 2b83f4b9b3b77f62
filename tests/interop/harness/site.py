"""A broker with two tenants ready to use, however the broker under test gets them.

Accounts `red` and `blue`; users:
  app      account red, may do everything
  limited  account red, may use `open.>` and its inbox, and nothing else
  other    account blue, may do everything
  system   the system account
"""

from dataclasses import dataclass, field
from pathlib import Path

from harness import certificates, server
from harness.nats import Nats
from harness.nsc import Nsc
from harness.serve import Serve
from harness.server import Server

OPEN = ("open.>",)
INBOX = ("_INBOX.>",)


@dataclass
class Site:
    """The broker, its accounts' keys and its users' creds files."""

    server: Server
    accounts: dict
    creds: dict = field(default_factory=dict)

    def nats(self, context, user):
        return Nats(context, self.server, self.creds[user])


def make(context):
    """A site of the kind of broker that is under test."""
    return by_serve(context) if context.broker == "cordon" else by_nsc(context)


def by_nsc(context):
    """Operator, accounts and users made and pushed by nsc."""
    nsc = Nsc(context)
    nsc.operator("interop")
    started = server.start(context, context.broker, nsc.configuration(), certificates.make(context))
    nsc.connect(started)
    site = Site(started, {name: nsc.account(name) for name in ("red", "blue")})
    allowed = ("--allow-pub", ",".join(OPEN), "--allow-sub", ",".join(OPEN + INBOX))
    site.creds["app"] = nsc.user("red", "app")
    site.creds["limited"] = nsc.user("red", "limited", *allowed)
    site.creds["other"] = nsc.user("blue", "other")
    site.creds["system"] = nsc.creds("SYS", "sys")
    nsc.push()
    return site


def by_serve(context):
    """Accounts and users made by the admin API of `cordon serve`."""
    serve = Serve(context)
    admin = serve.admin
    site = Site(serve.server, {name: admin.post("accounts", {"name": name})["key"] for name in ("red", "blue")})
    permissions = {"publish": {"allow": [*OPEN]}, "subscribe": {"allow": [*OPEN, *INBOX]}}
    site.creds["app"] = admin.issue(context, site.accounts["red"], {"name": "app"})
    site.creds["limited"] = admin.issue(context, site.accounts["red"], {"name": "limited", "permissions": permissions})
    site.creds["other"] = admin.issue(context, site.accounts["blue"], {"name": "other"})
    site.creds["system"] = Path(serve.data / "creds" / "system.creds")
    for account in site.accounts.values():
        admin.wait_until_pushed(account)
    return site

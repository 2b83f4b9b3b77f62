"""A broker with two tenants ready to use, however the broker under test gets them.

Accounts `red` and `blue`; users:
  app      account red, may do everything
  limited  account red, may use `open.>` and its inbox, and nothing else
  other    account blue, may do everything
  system   the system account
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import certificates, server
from harness.nats import Nats
from harness.nats_auth import NatsAuth
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
    return by_serve(context) if context.broker == "cordon" else by_nats_auth(context)


def by_nats_auth(context, websocket=False):
    """Operator, accounts and users made and pushed by the `nats auth` commands."""
    auth = NatsAuth(context).make_operator()
    made = certificates.make(context)
    started = server.start(context, context.broker, auth.configuration(), made, websocket=websocket)
    site = Site(started, {name: auth.account(name) for name in ("red", "blue")})
    allowed = [f"--pub-allow={subject}" for subject in OPEN] + [f"--sub-allow={subject}" for subject in OPEN + INBOX]
    site.creds["app"] = auth.user("red", "app")
    site.creds["limited"] = auth.user("red", "limited", *allowed)
    site.creds["other"] = auth.user("blue", "other")
    site.creds["system"] = auth.creds(auth.system, "system")
    auth.push(started, "red", "blue")
    return site


def over_websocket(context):
    """A site whose clients come by WebSocket."""
    site = by_nats_auth(context, websocket=True)
    site.server = replace(site.server, url=site.server.websocket)
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

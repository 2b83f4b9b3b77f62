"""`nats auth` with a store of its own: an operator and what it issues, by the Go JWT library."""

import json

from harness import jwt, server
from harness.check import check

class NatsAuth:
    """One isolated store of the `nats auth` commands; several may live in one scenario."""

    def __init__(self, context, operator="interop"):
        self.context = context
        self.operator = operator
        self.home = context.folder / f"auth-{operator}"
        self.home.mkdir()
        self.store = self.home / "data" / "nats" / "nsc" / "stores" / operator

    def env(self):
        """The environment in which the command finds this store and its keys."""
        return {"XDG_CONFIG_HOME": str(self.home / "config"), "XDG_DATA_HOME": str(self.home / "data")}

    def run(self, *arguments):
        """Run `nats auth ..`; the result may be a failure."""
        return self.context.run((self.context.peers.nats, "auth", *arguments, "--no-context"), self.env())

    def do(self, *arguments):
        """Run `nats auth ..` on this operator; it must succeed."""
        result = self.run(*arguments, "--operator", self.operator)
        check(result.code == 0, f"`nats auth {' '.join(map(str, arguments[:4]))} ..` exited with {result.code}", result.text)
        return result.text

    def make_operator(self):
        """A new operator with a signing key, and a system account with one user."""
        result = self.run("operator", "add", self.operator, "--signing-key")
        check(result.code == 0, "`nats auth operator add` makes an operator", result.text)
        self.system = next(folder.name for folder in (self.store / "accounts").iterdir())
        self.user(self.system, "system")
        return self

    def account(self, name, *flags):
        """A new account; returns its public key."""
        self.do("account", "add", name, "--defaults", *flags)
        return self.key(name)

    def token(self, account):
        """The JWT of an account as it stands in the store."""
        return (self.store / "accounts" / account / f"{account}.jwt").read_text().strip()

    def operator_token(self):
        """The operator's own JWT."""
        return (self.store / f"{self.operator}.jwt").read_text().strip()

    def key(self, account):
        """The public key of an account."""
        return jwt.claims(self.token(account))["sub"]

    def seed(self, key):
        """The seed of a key that this store made, from its key store."""
        return (self.store.parent.parent / "keys" / "keys" / key[0] / key[1:3] / f"{key}.nk").read_text().strip()

    def creds(self, account, name):
        """Where the creds of a user are."""
        return self.home / f"{account}-{name}.creds"

    def user(self, account, name, *flags):
        """A new user; returns the path of its creds."""
        file = self.creds(account, name)
        self.do("user", "add", name, account, "--defaults", "--credential", file, *flags)
        return file

    def configuration(self, allow_delete=False):
        """The server configuration for a full NATS resolver that trusts this operator."""
        token = self.token(self.system)
        return server.trusting(self.operator_token(), self.key(self.system), token, allow_delete)

    def push(self, broker, *accounts):
        """`nats auth account push` of each account; returns what the command says."""
        return "".join(self._at(broker, "push", account) for account in accounts)

    def query(self, broker, key):
        """`nats auth account query`: the JWT that the broker has, and what the command reads in it."""
        file = self.home / f"{key}.jwt"
        return self._at(broker, "query", key, file), file.read_text().strip()

    def _at(self, broker, verb, *arguments):
        """`nats auth account <verb>` as the user of the system account."""
        connection = ("--server", broker.url, "--tlsca", broker.ca, "--creds", self.creds(self.system, "system"))
        said = self.do("account", verb, *arguments, *connection)
        check("error" not in said.lower(), f"nats auth account {verb}: no server reports an error", said)
        return said

    def place(self, operator_token, accounts, users):
        """Put JWTs that somebody else made into the store, where the command reads them.

        `accounts` maps names to JWTs, `users` maps (account, user) names to JWTs.
        """
        marker = {"managed": False, "name": self.operator, "kind": "operator", "version": "1"}
        files = {self.store / ".nsc": json.dumps(marker), self.store / f"{self.operator}.jwt": operator_token}
        for name, token in accounts.items():
            files[self.store / "accounts" / name / f"{name}.jwt"] = token
        for (account, name), token in users.items():
            files[self.store / "accounts" / account / "users" / f"{name}.jwt"] = token
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

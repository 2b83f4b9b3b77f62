"""An `nsc` with a home of its own: an operator and what it issues."""

import json

from harness.check import check


class Nsc:
    """One isolated nsc store; several may live in one scenario."""

    def __init__(self, context, name="nsc"):
        self.context = context
        self.home = context.folder / name
        self.home.mkdir()
        self.ca = None

    def env(self):
        """The environment in which programs find this store and its keys."""
        data = self.home / "data"
        places = {
            "NSC_HOME": self.home / "config",
            "NKEYS_PATH": data / "nats" / "nsc" / "keys",
            "XDG_CONFIG_HOME": self.home / "config",
            "XDG_DATA_HOME": data,
            "NSC_NO_GIT_IGNORE": "true",
        }
        if self.ca:
            places["NATS_CA"] = self.ca
        return {name: str(value) for name, value in places.items()}

    def run(self, *arguments):
        """Run nsc without prompts; the result may be a failure."""
        return self.context.run((self.context.peers.nsc, *arguments), self.env())

    def do(self, *arguments):
        """Run nsc; it must succeed."""
        result = self.run(*arguments)
        check(result.code == 0, f"`nsc {' '.join(map(str, arguments[:4]))} ..` exited with {result.code}", result.text.split("Usage:")[0])
        return result.text

    def operator(self, name):
        """A new operator with a system account, which signs by a signing key."""
        self.do("add", "operator", "--name", name, "--sys", "--generate-signing-key")

    def account(self, name, *flags):
        """A new account; returns its public key."""
        self.do("add", "account", "--name", name, *flags)
        return self.key(name)

    def key(self, account):
        """The public key of an account."""
        return self.describe("account", "--name", account)["sub"]

    def describe(self, *what):
        """The claims of something, as JSON."""
        return json.loads(self.do("describe", *what, "--json"))

    def user(self, account, name, *flags):
        """A new user; returns the path of its creds."""
        self.do("add", "user", "--account", account, "--name", name, *flags)
        return self.creds(account, name)

    def creds(self, account, name):
        """Write the creds of a user to a file and return its path."""
        file = self.home / f"{account}-{name}.creds"
        self.do("generate", "creds", "--account", account, "--name", name, "--output-file", file)
        return file

    def configuration(self, allow_delete=False):
        """The server configuration for a full NATS resolver, as nsc writes it."""
        text = self.do("generate", "config", "--nats-resolver", "--config-file", "--")
        check("resolver_preload" in text, "nsc writes a resolver configuration", text)
        text = text[text.index("# Operator named") :] if "# Operator named" in text else text
        return text.replace("allow_delete: false", f"allow_delete: {str(allow_delete).lower()}")

    def connect(self, server):
        """Make the operator know the server, so that push and pull find it."""
        self.ca = server.ca
        # nsc push knows no `tls://`; with `nats://` it still uses TLS, since the server demands it.
        url = server.url.replace("tls://", "nats://")
        self.do("edit", "operator", "--account-jwt-server-url", url, "--service-url", url)

    def push(self, *flags):
        """`nsc push`; must succeed, and returns what nsc says."""
        return self.do("push", *(flags or ("--all",)))

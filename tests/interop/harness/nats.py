"""The `nats` command, connected as one user."""

import secrets

from harness.check import check, until


class Nats:
    """The `nats` command with a server, its authority and one user's creds."""

    def __init__(self, context, server, creds):
        self.context = context
        self.server = server
        self.creds = creds

    def command(self, *arguments):
        shared = ("--no-context", "--server", self.server.url, "--tlsca", self.server.ca)
        return (self.context.peers.nats, *arguments, *shared, *(("--creds", self.creds) if self.creds else ()))

    def run(self, *arguments):
        """Run to the end; the result may be a failure."""
        return self.context.run(self.command(*arguments), {"NATS_TIMEOUT": "5s"})

    def do(self, *arguments):
        """Run to the end; must succeed, and returns what was printed."""
        result = self.run(*arguments)
        shown = " ".join(str(part) for part in arguments[:4])
        check(result.code == 0, f"`nats {shown}` exited with {result.code}", result.text)
        return result.text

    def start(self, *arguments):
        """Start one that runs until the scenario ends, such as `reply`."""
        return self.context.start("nats " + " ".join(arguments[:2]), self.command(*arguments))

    def publish(self, subject, body, *flags):
        self.do("pub", subject, body, *flags)

    def subscribe(self, subject, *flags, publisher=None, probe=None):
        """`nats sub`, returned once a message published by `publisher` got to it."""
        process = self.start("sub", subject, *flags)
        process.wait_for("Subscribing on")
        sent = f"probe-{secrets.token_hex(4)}"
        probe = probe or subject.replace(">", "probe").replace("*", "probe")

        def arrived():
            (publisher or self).publish(probe, sent)
            return sent in process.text()

        until(arrived, f"`nats sub {subject}` receives what is published on {probe}")
        return process

    def request(self, subject, body, *flags):
        """`nats request`, asked again while nobody answers; returns the answer."""

        def answered():
            result = self.run("request", subject, body, "--raw", *flags)
            missing = "no responders" in result.text.lower() or not result.text.strip()
            return None if missing or result.code != 0 else result.text.strip()

        return until(answered, f"a request on {subject} is answered")

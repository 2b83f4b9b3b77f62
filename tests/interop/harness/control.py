"""`cordon control`: the control plane alone, for brokers that somebody else runs."""

import json
import socket

from harness.admin import Admin
from harness.check import check, until


def free_port():
    """A port that the system has just found free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Control:
    """A running `cordon control` with a data folder of its own, used as its owner.

    It can start before there is a broker, since the broker is to trust its operator.
    """

    def __init__(self, context, broker_url, broker_ca, *flags):
        self.data = context.folder / "control-data"
        command = ("control", "--data", self.data, "--nats", broker_url, "--nats-ca", broker_ca, "--admin-port", "0", *flags)
        self.process = context.start("cordon control", (context.cordon, *command))
        run = until(self._ready, "`cordon control` writes run.json", 60)
        token = (self.data / "admin-token").read_text().strip()
        self.admin = Admin(run["admin_address"], self.data / "ca" / "ca.pem", token)

    def _ready(self):
        check(self.process.running(), "`cordon control` keeps running", self.process.text())
        try:
            return json.loads((self.data / "run.json").read_text())
        except (OSError, ValueError):
            return None

    def wait_until_connected(self):
        """Wait until the control plane has found its broker."""
        until(lambda: self.admin.get("health")["broker"] == "connected", "the control plane is connected to the broker", 60)

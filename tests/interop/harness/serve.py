"""`cordon serve` on a data folder of its own and ports that the system chooses."""

import json

from harness.admin import Admin
from harness.check import check, until
from harness.server import Server


class Serve:
    """A running `cordon serve`: its broker, and its admin API as the owner."""

    def __init__(self, context):
        self.data = context.folder / "cordon-data"
        ports = ("--port", "0", "--admin-port", "0", "--monitor-port", "0")
        self.process = context.start("cordon serve", (context.cordon, "serve", "--data", self.data, *ports))
        self.run = until(self._ready, "`cordon serve` writes run.json", 60)
        ca = self.data / "ca" / "ca.pem"
        self.server = Server(
            f"tls://{self.run['client_address']}", f"http://{self.run['monitor_address']}", ca, self.process
        )
        token = (self.data / "admin-token").read_text().strip()
        self.admin = Admin(self.run["admin_address"], ca, token)

    def _ready(self):
        check(self.process.running(), "`cordon serve` keeps running", self.process.text())
        try:
            return json.loads((self.data / "run.json").read_text())
        except (OSError, ValueError):
            return None

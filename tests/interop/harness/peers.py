"""Where the peers are installed, and which versions they are."""

import os
import shutil
import subprocess
from pathlib import Path

INTEROP = Path(__file__).resolve().parent.parent


class Peers:
    """Paths of the peers below one folder: `.peers/` or $CORDON_PEERS."""

    def __init__(self):
        self.root = Path(os.environ.get("CORDON_PEERS") or INTEROP / ".peers").resolve()
        self.bin = self.root / "bin"
        self.server = self.bin / "nats-server"
        self.nats = self.bin / "nats"
        self.nsc = self.bin / "nsc"
        self.venv = self.root / "python"
        self.python = self.venv / "bin" / "python"
        self.node_folder = self.root / "node"

    def version(self, name):
        """The version of the named peer, or None when it is not there."""
        client = self.node_folder / "node_modules/@nats-io/transport-node/package.json"
        command = {
            "venv": (self.python, "-m", "pip", "--version"),
            "nats-server": (self.server, "--version"),
            "nats": (self.nats, "--version"),
            "nsc": ("go", "version", "-m", self.nsc),
            "python": (self.python, "-c", "import nkeys; from importlib.metadata import version; "
                       "print('nats-py ' + version('nats-py'))"),
            "javascript": ("node", "-p", f"'transport-node ' + require({str(client)!r}).version"),
            "openssl": ("openssl", "version"),
        }[name]
        if shutil.which(str(command[0])) is None:
            return None
        if name == "nsc" and not self.nsc.exists():
            return None
        done = subprocess.run(
            [str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode != 0:
            return None
        if name == "nsc":
            # The program names a release only when its release process built it.
            mods = [line.split() for line in done.stdout.splitlines()]
            return next((f"nsc {mod[2]}" for mod in mods if mod[1:2] == ["github.com/nats-io/nsc/v2"] and len(mod) > 2), None)
        return done.stdout.strip().splitlines()[0]

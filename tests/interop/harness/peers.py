"""Where the peers are installed, and which versions they are."""

import os
import shutil
import subprocess
from pathlib import Path

INTEROP = Path(__file__).resolve().parent.parent


# Peers that `install_peers.py` does not install: scenarios that need one which is not there are skipped, and say so.
OPTIONAL = {"nsc": "give one by CORDON_NSC"}


class Peers:
    """Paths of the peers below one folder: `.peers/` or $CORDON_PEERS; nsc is $CORDON_NSC or in PATH."""

    def __init__(self):
        self.root = Path(os.environ.get("CORDON_PEERS") or INTEROP / ".peers").resolve()
        self.bin = self.root / "bin"
        self.server = self.bin / "nats-server"
        self.nats = self.bin / "nats"
        self.nsc = Path(os.environ.get("CORDON_NSC") or shutil.which("nsc") or "nsc-is-not-there")
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
            "nsc": (self.nsc, "--version"),
            "python": (self.python, "-c", "import nkeys; from importlib.metadata import version; "
                       "print('nats-py ' + version('nats-py'))"),
            "javascript": ("node", "-p", f"'transport-node ' + require({str(client)!r}).version"),
            "openssl": ("openssl", "version"),
        }[name]
        if shutil.which(str(command[0])) is None:
            return None
        done = subprocess.run(
            [str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode != 0:
            return None
        return done.stdout.strip().splitlines()[0]

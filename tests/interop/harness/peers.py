"""Where the peers are installed, and which versions they are."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

INTEROP = Path(__file__).resolve().parent.parent
GO_CLIENT = INTEROP / "clients" / "go"

# Of the JavaScript client: all are there, or it is not.
NODE_PACKAGES = ("transport-node", "jetstream", "kv")

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
        self.go_client = self.bin / "go-client"

    def version(self, name):
        """The version of the named peer, or None when it is not there."""
        packages = [str(self.node_folder / "node_modules/@nats-io" / name / "package.json") for name in NODE_PACKAGES]
        command = {
            "venv": (self.python, "-m", "pip", "--version"),
            "nats-server": (self.server, "--version"),
            "nats": (self.nats, "--version"),
            "nsc": (self.nsc, "--version"),
            "python": (self.python, "-c", "import aiohttp, nkeys; from importlib.metadata import version; "
                       "print('nats-py ' + version('nats-py'))"),
            "javascript": ("node", "-p", f"'transport-node ' + {packages}.map((path) => require(path).version)[0]"),
            "go": (self.go_client, "version"),
            "openssl": ("openssl", "version"),
        }[name]
        if shutil.which(str(command[0])) is None or (name == "go" and self.go_client_is_old()):
            return None
        done = subprocess.run(
            [str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode != 0:
            return None
        return done.stdout.strip().splitlines()[0]

    def go_client_is_old(self):
        """Whether the Go client's program has changed since it was built."""
        built = self.go_client.with_suffix(".sources")
        return not built.is_file() or built.read_text() != go_sources()


def go_sources():
    """What the Go client's program is built from, as a digest."""
    contents = hashlib.sha256()
    for file in sorted(GO_CLIENT.iterdir()):
        contents.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return contents.hexdigest()

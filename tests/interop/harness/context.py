"""What one scenario is given: a folder of its own, the peers, the broker to test."""

import os
import subprocess
from dataclasses import dataclass

from harness.check import Failure, check, redact
from harness.process import Process


@dataclass
class Result:
    """A command that has ended."""

    code: int
    text: str


class Context:
    """One run of one scenario; ends every process that it started."""

    def __init__(self, folder, peers, broker, cordon):
        self.folder = folder
        self.peers = peers
        self.broker = broker
        self.cordon = cordon
        self.evidence = []
        self.processes = []

    def show(self, text):
        """Keep a line that shows why the scenario passed."""
        self.evidence.append(redact(str(text)))

    def env(self, extra=None):
        """The environment of every child: nothing of the user's own NATS set-up."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR", "RUST_BACKTRACE")}
        own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "XDG_DATA_HOME": str(home / "data")}
        return {**kept, **own, "NO_COLOR": "1", **(extra or {})}

    def start(self, name, command, env=None):
        """Start a program that runs until the scenario ends."""
        process = Process(name, command, self.folder, self.env(env))
        self.processes.append(process)
        return process

    def run(self, command, env=None, seconds=60):
        """Run a program to its end, whatever its exit status."""
        try:
            done = subprocess.run(
                [str(part) for part in command],
                cwd=self.folder,
                env=self.env(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=seconds,
            )
        except subprocess.TimeoutExpired as late:
            shown = " ".join(str(part) for part in command[:4])
            raise Failure(f"`{shown} ..` did not end within {seconds} s\n{late.stdout or ''}") from late
        return Result(done.returncode, done.stdout)

    def succeed(self, command, env=None, seconds=60):
        """Run a program that must succeed; return what it printed."""
        result = self.run(command, env, seconds)
        shown = " ".join(str(part) for part in command[:6])
        check(result.code == 0, f"`{shown} ..` exited with {result.code}", result.text)
        return result.text

    def close(self):
        for process in reversed(self.processes):
            process.stop()

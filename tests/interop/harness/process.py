"""A child process whose output is kept, and can be waited on line by line."""

import os
import re
import signal
import subprocess
import threading
import time

from harness.check import Failure


class Process:
    """A running program; stdout and stderr are collected together."""

    def __init__(self, name, command, cwd, env):
        self.name = name
        self._lines = []
        self._changed = threading.Condition()
        self._child = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self):
        for line in self._child.stdout:
            with self._changed:
                self._lines.append(re.sub(r"\x1b\[[0-9;]*m", "", line.rstrip("\n")))
                self._changed.notify_all()
        self._child.wait()
        with self._changed:
            self._changed.notify_all()

    @property
    def pid(self):
        return self._child.pid

    def lines(self):
        with self._changed:
            return list(self._lines)

    def text(self):
        return "\n".join(self.lines())

    def running(self):
        return self._child.poll() is None

    def wait_for(self, pattern, seconds=20):
        """Wait for an output line that matches; return the match."""
        expression = re.compile(pattern)
        deadline = time.monotonic() + seconds
        seen = 0
        while True:
            with self._changed:
                # Asked before the lines are read, so that the last ones count.
                ended = not self._reader.is_alive() or not self.running()
                for line in self._lines[seen:]:
                    found = expression.search(line)
                    if found:
                        return found
                seen = len(self._lines)
                left = deadline - time.monotonic()
                if ended and not self._reader.is_alive():
                    raise Failure(f"{self.name} ended ({self._child.poll()}) without a line like `{pattern}`\n{self.text()}")
                if left <= 0:
                    raise Failure(f"{self.name} printed no line like `{pattern}` within {seconds} s\n{self.text()}")
                self._changed.wait(min(left, 0.2))

    def wait_exit(self, seconds=20):
        """Wait for the program to end by itself; return its exit status."""
        try:
            code = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {seconds} s\n{self.text()}") from None
        self._reader.join(5)
        return code

    def stop(self):
        """End the program: SIGTERM, then SIGKILL after five seconds."""
        if self.running():
            os.kill(self.pid, signal.SIGTERM)
            try:
                self._child.wait(5)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._reader.join(5)

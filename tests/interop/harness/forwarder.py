"""A link that can be cut: a TCP forwarder whose connections are dropped and let through again at will."""

import selectors
import socket
import threading


class Forwarder:
    """Passes bytes between those who connect to its port and `target`, while it is whole."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self._target = (host.strip("[]"), int(port))
        self._lock = threading.Lock()
        self._whole = True
        self._pairs = set()
        # How many connections were let through since the start: tells that somebody came back.
        self.passed = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Drop what is open, and whoever connects, until `restore`."""
        with self._lock:
            self._whole = False
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for end in pair:
                close(end)

    def restore(self):
        """Let connections through again."""
        with self._lock:
            self._whole = True

    def stop(self):
        self.cut()
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        try:
            far = socket.create_connection(self._target, timeout=5)
        except OSError:
            close(near)
            return
        far.settimeout(None)
        pair = (near, far)
        with self._lock:
            whole = self._whole
            if whole:
                self._pairs.add(pair)
                self.passed += 1
        if whole:
            pump(near, far)
        with self._lock:
            self._pairs.discard(pair)
        close(near)
        close(far)


def pump(near, far):
    """Pass bytes in both directions until either end has none."""
    other = {near: far, far: near}
    with selectors.DefaultSelector() as ready:
        try:
            for end in other:
                ready.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    other[key.fileobj].sendall(data)
        except (OSError, ValueError):
            return


def close(end):
    """End a socket so that whoever waits on it wakes up."""
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()

"""Reading a broker's monitoring pages."""

import json
import urllib.request

from harness.check import Failure


def page(server, path):
    """The JSON of one page, such as `varz`."""
    return json.loads(text(server, path))


def text(server, path):
    """A page as text."""
    try:
        with urllib.request.urlopen(f"{server.monitor}/{path}", timeout=10) as answer:
            return answer.read().decode()
    except OSError as error:
        raise Failure(f"monitoring page /{path}: {error}") from error

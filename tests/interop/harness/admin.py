"""A client of the admin API, with a bearer token."""

import json
import ssl
import urllib.error
import urllib.request

from harness.check import Failure, until


class Admin:
    """Requests below /api/v1; answers other than 2xx fail the scenario."""

    def __init__(self, address, ca, token):
        self.base = f"https://{address}/api/v1"
        self.tls = ssl.create_default_context(cafile=str(ca))
        self.token = token

    def call(self, method, path, body=None):
        """One request; returns the JSON of the answer, or None without a body."""
        headers = {"Authorization": f"Bearer {self.token}"}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}/{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.tls) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as refused:
            raise Failure(f"{method} {path}: {refused.code}\n{refused.read().decode(errors='replace')}") from refused
        except OSError as error:
            raise Failure(f"{method} {path}: {error}") from error
        return json.loads(text) if text else None

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body=None):
        return self.call("POST", path, body)

    def delete(self, path):
        return self.call("DELETE", path)

    def items(self, path):
        """All items of a list that fits one page."""
        return self.get(path)["items"]

    def issue(self, context, account, user):
        """Create a user; returns the path of its creds, which are shown once."""
        issued = self.post(f"accounts/{account}/users", user)
        file = context.folder / f"{user['name']}-{account[:8]}.creds"
        file.write_text(issued["creds"])
        file.chmod(0o600)
        return file

    def wait_until_pushed(self, account):
        """Wait until the brokers have confirmed the account's current JWT."""
        until(lambda: self.get(f"accounts/{account}")["push"] == "confirmed", f"account {account} is pushed")

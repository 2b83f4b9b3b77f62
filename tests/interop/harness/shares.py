"""Two tenants of `cordon serve`: `buyer` uses the bucket CONFIG and a part of the stream ORDERS of `maker`."""

from harness.serve import Serve
from harness.site import Site


def make(context):
    """The site; creds of a user of each account are its `maker` and `buyer`."""
    serve = Serve(context)
    admin = serve.admin
    accounts = {
        "maker": admin.post("accounts", {"name": "maker", "limits": {"jetstream": {}}})["key"],
        "buyer": admin.post("accounts", {"name": "buyer"})["key"],
    }
    site = Site(serve.server, accounts)
    for name, key in accounts.items():
        site.creds[name] = admin.issue(context, key, {"name": name})
    shares = f"accounts/{accounts['maker']}/shares"
    to_buyer = {"importer": accounts["buyer"]}
    admin.post(shares, {**to_buyer, "kind": "bucket", "name": "CONFIG", "mode": "read_write", "accept": {}})
    part = {"kind": "stream", "name": "ORDERS", "subjects": ["eu.>"], "accept": {"prefix": "acme.API"}}
    admin.post(shares, {**to_buyer, **part})
    for key in accounts.values():
        admin.wait_until_pushed(key)
    return site

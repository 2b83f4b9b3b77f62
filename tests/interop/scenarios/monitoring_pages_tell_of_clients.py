"""the monitoring pages show a client that is there, and healthz says ok"""

from harness import monitor, site
from harness.check import check, until

PEERS = ("nats",)
BROKERS = ("cordon", "nats-server")


def run(context):
    here = site.make(context)
    app = here.nats(context, "app")
    app.subscribe("watched.subject")

    health = monitor.page(here.server, "healthz")
    check(health.get("status") == "ok", "healthz says ok", str(health))
    varz = monitor.page(here.server, "varz")
    check(varz["connections"] >= 1 and varz["tls_required"], "varz counts connections and says that TLS is required", str(varz))

    def ours():
        # The clients that published the probes may still be closing.
        rows = monitor.page(here.server, "connz?subs=1&auth=1")["connections"]
        return [row for row in rows if "watched.subject" in row.get("subscriptions_list", [])]

    row = until(lambda: len(ours()) == 1 and ours()[0], "connz shows the subscriber")
    check(row["account"] == here.accounts["red"] and row["lang"] == "go", "connz names account and client", str(row))
    check(row.get("tls_version"), "connz names the TLS version", str(row))
    context.show(f"varz: version {varz['version']}, {varz['connections']} connections")
    context.show(f"connz: cid {row['cid']}, {row['lang']} {row['version']}, TLS {row['tls_version']}, subscription watched.subject")

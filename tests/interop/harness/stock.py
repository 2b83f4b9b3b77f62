"""A stock nats-server that trusts an operator of Cordon's control plane."""

from harness import certificates, server

def trust(admin):
    """The configuration that makes a server trust the only operator of the control plane."""
    operator = admin.items("operators")[0]
    system = operator["system_account"]
    token = admin.get(f"accounts/{system}")["jwt"]
    return server.trusting(operator["jwt"], system, token, allow_delete=True)


def start(context, configuration, made=None, port=-1):
    """Start the stock server with that configuration."""
    return server.start(context, "nats-server", configuration, made or certificates.make(context), port)

"""A stock nats-server that trusts an operator of Cordon's control plane."""

from harness import certificates, server

CONFIGURATION = """
operator: {operator}
system_account: {system}
resolver {{
  type: full
  dir: "./stock-jwt"
  allow_delete: true
}}
resolver_preload: {{
  {system}: {token}
}}
"""


def trust(admin):
    """The configuration that makes a server trust the only operator of the control plane."""
    operator = admin.items("operators")[0]
    system = operator["system_account"]
    token = admin.get(f"accounts/{system}")["jwt"]
    return CONFIGURATION.format(operator=operator["jwt"], system=system, token=token)


def start(context, configuration, made=None, port=-1):
    """Start the stock server with that configuration."""
    return server.start(context, "nats-server", configuration, made or certificates.make(context), port)

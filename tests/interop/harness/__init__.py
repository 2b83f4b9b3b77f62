"""What the interop scenarios share: processes, peers, brokers and checks."""

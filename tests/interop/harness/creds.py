"""Creds files that should not work."""

import re


def mismatched(context, jwt_from, seed_from):
    """A creds file with the JWT of one user and the seed of another."""
    block = r"-----BEGIN USER NKEY SEED-----.*?------END USER NKEY SEED------"
    seed = re.search(block, seed_from.read_text(), re.DOTALL).group(0)
    file = context.folder / "mismatched.creds"
    file.write_text(re.sub(block, lambda _: seed, jwt_from.read_text(), flags=re.DOTALL))
    file.chmod(0o600)
    return file

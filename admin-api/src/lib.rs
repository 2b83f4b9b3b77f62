//! The control plane of Cordon: admin API, issuing, vault, ledger and store.

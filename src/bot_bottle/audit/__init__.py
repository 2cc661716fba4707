"""Every decision, tamper-evident: records, Merkle log, signed checkpoints, proofs, verify, export."""

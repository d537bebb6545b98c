"""The tamper-evident log: leaves get places, heads are signed, proofs given, alterations named."""

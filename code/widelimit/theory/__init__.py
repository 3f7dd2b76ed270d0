"""What the papers predict. Deterministic: no network is ever sampled here."""

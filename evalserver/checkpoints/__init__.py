"""Local checkpoints: readiness, fingerprints, and merging of shards."""

"""Local checkpoints: whether they can be loaded, what they were, and merging their shards."""

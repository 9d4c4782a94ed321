"""What reacts to the audit log: each follower reads it in order, from a durable cursor."""

"""A storm of messages to webhooks whose receivers fail, are slow, hang or vanish."""

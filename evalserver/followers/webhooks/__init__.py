"""Webhooks by the Standard Webhooks specification: messages, signed, sent, and tried again."""

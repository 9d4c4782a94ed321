"""The GPUs of this machine: which there are, their readings, and which must not be used now."""

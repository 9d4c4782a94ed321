"""A stand-in for lmms-eval that misbehaves on request; see the README beside it."""

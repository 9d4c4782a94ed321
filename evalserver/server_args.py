"""The settings under the name by which users of lmms-eval import them."""

from evalserver.settings.server_args import ServerArgs

__all__ = ["ServerArgs"]

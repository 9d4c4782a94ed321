"""The one name of lmms-eval's utils that evalserver's launcher needs."""


def handle_arg_string(text: str) -> object:
    """Texts stay texts here."""
    return text

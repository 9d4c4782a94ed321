"""Arguments that reach lmms-eval with their types.

lmms-eval reads an argument's value with ``lmms_eval.utils.handle_arg_string``. Here a decoder is
put before it: a value that begins with ``evalserver-json:`` is percent-encoded JSON and is read as
just that; every other value is left to lmms-eval. The encoding has no comma, quote or bracket, so
it passes lmms-eval's splitting whole.

lmms-eval also finds the model's name in the text of all arguments, and names a folder by it; that
name is decoded, too.
"""

import json
from typing import Any
from urllib.parse import quote, unquote

PREFIX = "evalserver-json:"


def encode(value: object) -> str:
    """The text from which ``decode`` reads the value back. Raises TypeError if JSON cannot."""
    return PREFIX + quote(json.dumps(value, ensure_ascii=False), safe="")


def decode(text: str) -> object:
    """The value of an encoded text."""
    return json.loads(unquote(text.removeprefix(PREFIX)))


def teach_parser() -> None:
    """Have lmms-eval decode what ``encode`` made.

    Raises ImportError or AttributeError if this lmms-eval reads arguments in another way.
    """
    from lmms_eval import utils  # type: ignore[import-not-found]

    guess = utils.handle_arg_string

    def handle_arg_string(text: str) -> object:
        return decode(text) if text.startswith(PREFIX) else guess(text)

    utils.handle_arg_string = handle_arg_string


def name_models() -> None:
    """Have lmms-eval take the decoded name of a model.

    Raises ImportError or AttributeError where it does not find the name as known here.
    """
    from lmms_eval.loggers import evaluation_tracker  # type: ignore[import-not-found]

    config = evaluation_tracker.GeneralConfigTracker
    find = config._get_model_name

    def model_name(*args: Any, **options: Any) -> Any:
        name = find(*args, **options)
        encoded = isinstance(name, str) and name.startswith(PREFIX)
        return str(decode(name)) if encoded else name

    config._get_model_name = staticmethod(model_name)

"""Runs lmms-eval as ``python -m lmms_eval`` does, with arguments that keep their types.

lmms-eval reads an argument's value with ``lmms_eval.utils.handle_arg_string``. This launcher puts a
decoder before it: a value that begins with ``evalserver-json:`` is percent-encoded JSON and is read
as just that; every other value is left to lmms-eval. The encoding has no comma, quote or bracket,
so it passes lmms-eval's splitting whole.
"""

import json
import os
import runpy
import sys
from urllib.parse import quote, unquote

PREFIX = "evalserver-json:"


def encode(value: object) -> str:
    """The text from which ``decode`` reads the value back. Raises TypeError if JSON cannot."""
    return PREFIX + quote(json.dumps(value, ensure_ascii=False), safe="")


def decode(text: str) -> object:
    """The value of an encoded text."""
    return json.loads(unquote(text.removeprefix(PREFIX)))


def main() -> None:
    """Teach lmms-eval to decode, then become it."""
    # As with -m: modules of the working directory come first, not those of this folder.
    sys.path[0] = os.getcwd()  # noqa: PTH109 - sys.path holds texts
    from lmms_eval import utils  # type: ignore[import-not-found]

    guess = utils.handle_arg_string

    def handle_arg_string(text: str) -> object:
        return decode(text) if text.startswith(PREFIX) else guess(text)

    utils.handle_arg_string = handle_arg_string
    runpy.run_module("lmms_eval", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

"""What is said of a field of a request: its row in the table of all fields (``core/request.py``).

The HTTP schema, both clients, the command line, the engines and the documentation read the rows.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from enum import Enum, auto
from typing import Any

ROW = "request_field"
"""The key of a row in the ``metadata`` of a dataclass field."""


class Kind(Enum):
    """What values a field takes. The HTTP schema checks them, the command line parses them."""

    NAME = auto()
    NAMES = auto()
    TEXT = auto()
    INTEGER = auto()
    BOOLEAN = auto()
    CHOICE = auto()
    SECONDS = auto()
    TIME_LIMIT = auto()
    ARGUMENTS = auto()
    GENERATION_ARGUMENTS = auto()
    HARNESS_ARGUMENTS = auto()
    SEED = auto()
    BATCH_SIZE = auto()
    LIMIT = auto()
    OUTPUT_DIRECTORY = auto()
    ENGINE = auto()
    LABELS = auto()
    MERGE = auto()


class Addressee(Enum):
    """Who acts on a field."""

    HARNESS = auto()
    """The evaluation program: an engine passes the field on, or rejects it."""
    SERVER = auto()
    """evalserver itself, whichever engine evaluates."""


@dataclass(frozen=True)
class RequestField:
    """A field of a request.

    ``help`` is Markdown. ``listed_by`` is the command that lists the names that it takes, which is
    also the path of the route that does. ``minimum`` and ``maximum`` are inclusive, ``max_length``
    is in characters, ``choices`` are the values of a choice. ``neutral`` are values that ask for no
    more than leaving the field out does.
    An engine's table may have a default for a field with ``engine_default``.
    """

    kind: Kind
    addressee: Addressee
    help: str
    example: Any
    minimum: int = 0
    maximum: int = 0
    max_length: int = 0
    choices: tuple[str, ...] = ()
    option: str = ""
    short_option: str = ""
    listed_by: str = ""
    neutral: tuple[Any, ...] = ()
    engine_default: bool = False
    name: str = ""
    default: Any = None
    required: bool = False

    @property
    def description(self) -> str:
        """The help text for users of HTTP, Markdown."""
        listed = f" `GET /{self.listed_by}` lists them." if self.listed_by else ""
        return f"{self.help}{listed}"

    @property
    def option_help(self) -> str:
        """The help text for users of the command line, plain text."""
        listed = f" 'evalserver {self.listed_by}' lists them." if self.listed_by else ""
        return f"{self.help.replace('`', '')}{listed}{self._option_default}"

    def is_neutral(self, value: Any) -> bool:
        """Whether a value asks for no more than leaving the field out does."""
        return value is None or value == self.default or value in self.neutral

    @property
    def _option_default(self) -> str:
        if self.default in (None, False, {}):
            return ""
        default = self.option.removeprefix("--") if self.default is True else self.default
        return f" [default: {default}]"


def row(
    kind: Kind,
    help_text: str,
    *,
    example: Any,
    addressee: Addressee = Addressee.HARNESS,
    **options: Any,
) -> dict[str, RequestField]:
    """The ``metadata`` that makes a dataclass field a field of requests."""
    return {ROW: RequestField(kind, addressee, help_text, example, **options)}


def rows_of(request: type) -> Mapping[str, RequestField]:
    """The rows of a request's dataclass, by the fields' names."""
    return {each.name: _named(each) for each in fields(request)}


def _named(field: Field[Any]) -> RequestField:
    found: RequestField = field.metadata[ROW]
    default = field.default if field.default_factory is MISSING else field.default_factory()
    required = default is MISSING
    return replace(
        found,
        name=field.name,
        option=found.option or f"--{field.name.replace('_', '-')}",
        default=None if required else default,
        required=required,
    )

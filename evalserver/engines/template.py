"""Command lines with placeholders, as in an operator's TOML file.

Each item stays one argument, whatever its values; an item with a placeholder that has no value is
left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter


class TemplateError(ValueError):
    """A template is invalid, or a value does not fit into it; the text says why."""


@dataclass(frozen=True)
class Template:
    """One item: pairs of a text and the name of the placeholder after it."""

    text: str
    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Parse a text such as ``--steps={steps}``; literal braces are doubled.

        Raises TemplateError.
        """
        try:
            parts = tuple(_parse_part(text, part) for part in Formatter().parse(text))
        except ValueError as error:
            raise TemplateError(f"{text!r}: {error}") from None
        return cls(text, parts)

    @property
    def places(self) -> tuple[str, ...]:
        """The names of the placeholders."""
        return tuple(name for _, name in self.parts if name is not None)

    def fill(self, values: Mapping[str, str]) -> str | None:
        """Return the argument with these values; None when a value is missing.

        Raises TemplateError, with the name of the placeholder as its first argument, when a value
        would turn the argument into a flag.
        """
        if any(name not in values for name in self.places):
            return None
        filled = "".join(text + (values[name] if name else "") for text, name in self.parts)
        if filled.startswith("-") and not self.text.startswith("-"):
            raise TemplateError(self.places[0])
        return filled


def fill_all(templates: Sequence[Template], values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the arguments, without those that lack a value. Raises TemplateError."""
    filled = (template.fill(values) for template in templates)
    return tuple(each for each in filled if each is not None)


def _parse_part(
    text: str, part: tuple[str, str | None, str | None, str | None]
) -> tuple[str, str | None]:
    literal, name, form, conversion = part
    if name is not None and (form or conversion or not name.isidentifier()):
        raise TemplateError(f"{text!r}: a placeholder is a name in braces, such as {{steps}}")
    return literal, name

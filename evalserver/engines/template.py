"""A command line with places in it, as the TOML file of an operator has it.

Each item of it stays one argument, whatever is put into its places; an item of which a place has no
value is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter


class TemplateError(ValueError):
    """A template cannot be read, or a value does not fit into it; says why."""


@dataclass(frozen=True)
class Template:
    """One item: texts, and names of places, by turns."""

    text: str
    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """The template in a text such as ``--steps={steps}``; braces are written twice.

        Raises TemplateError.
        """
        try:
            parts = tuple(_parse_part(text, part) for part in Formatter().parse(text))
        except ValueError as error:
            raise TemplateError(f"{text!r}: {error}") from None
        return cls(text, parts)

    @property
    def places(self) -> tuple[str, ...]:
        """The names of the places."""
        return tuple(name for _, name in self.parts if name is not None)

    def fill(self, values: Mapping[str, str]) -> str | None:
        """The argument with these values; None when a place has none.

        Raises TemplateError, whose first argument is the name of the place, when a value would make
        a flag of an argument that begins with it.
        """
        if any(name not in values for name in self.places):
            return None
        filled = "".join(text + (values[name] if name else "") for text, name in self.parts)
        if filled.startswith("-") and not self.text.startswith("-"):
            raise TemplateError(self.places[0])
        return filled


def fill_all(templates: Sequence[Template], values: Mapping[str, str]) -> tuple[str, ...]:
    """The arguments; those of which a place has no value are left out. Raises TemplateError."""
    filled = (template.fill(values) for template in templates)
    return tuple(each for each in filled if each is not None)


def _parse_part(
    text: str, part: tuple[str, str | None, str | None, str | None]
) -> tuple[str, str | None]:
    literal, name, form, conversion = part
    if name is not None and (form or conversion or not name.isidentifier()):
        raise TemplateError(f"{text!r}: a place is a name in braces, such as {{steps}}")
    return literal, name

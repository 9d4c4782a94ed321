"""The clients' types and signatures, and that both clients have the same methods.

mypy checks the type assertions when ``./scripts/check`` runs it.
"""

import inspect
import pydoc
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any, assert_type

import pytest

import evalserver
from evalserver.client import AsyncEvalClient, EvalClient, Event
from evalserver.core.request import REQUEST_FIELDS

if TYPE_CHECKING:

    def plain_calls(client: EvalClient) -> None:
        """The plain client returns results."""
        assert_type(client.get_job("j1"), dict[str, Any])
        assert_type(client.is_healthy(), bool)
        assert_type(client.list_tasks(), list[str])
        assert_type(client.results("j1"), list[dict[str, Any]])
        assert_type(client.jobs(), Generator[dict[str, Any], None, None])
        assert_type(client.events(), Generator[Event, None, None])
        assert_type(client.logs("j1"), Generator[str, None, None])
        assert_type(client.completed_since(), tuple[list[dict[str, Any]], str])
        with client as entered:
            assert_type(entered, EvalClient)

    async def asynchronous_calls(client: AsyncEvalClient) -> None:
        """The asynchronous client returns awaitables or asynchronous iterators."""
        assert_type(await client.get_job("j1"), dict[str, Any])
        assert_type(await client.is_healthy(), bool)
        assert_type(client.jobs(), AsyncGenerator[dict[str, Any], None])
        assert_type(client.logs("j1"), AsyncGenerator[str, None])
        async for event in client.events():
            assert_type(event, Event)
        async with client as entered:
            assert_type(entered, AsyncEvalClient)

    def arguments_are_checked(client: EvalClient, other: AsyncEvalClient) -> None:
        """Each call is a type error; otherwise mypy would report an unused ignore."""
        client.get_job(1)  # type: ignore[arg-type]
        client.evaluate("m")  # type: ignore[call-arg]
        client.evaluate("m", ["t"], limt=8)  # type: ignore[call-arg]
        client.evaluate("m", ["t"], limit="8")  # type: ignore[arg-type]
        client.samples("j1", "t", only="bad")  # type: ignore[arg-type]
        client.logs("j1", tail="all")  # type: ignore[arg-type]
        _ = other.get_job(1)  # type: ignore[arg-type]

    def the_package_exports_them(url: str) -> None:
        """The names are imported lazily, and type checkers know them nevertheless."""
        assert_type(evalserver.EvalClient(url), EvalClient)


def public_methods(kind: type) -> set[str]:
    """Return the public methods of a client."""
    return {
        name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))
    }


def test_both_clients_have_the_same_methods() -> None:
    assert public_methods(EvalClient) == public_methods(AsyncEvalClient)


@pytest.mark.parametrize("name", sorted(public_methods(EvalClient)))
def test_a_method_has_the_same_parameters_in_both_clients(name: str) -> None:
    plain, other = (
        inspect.signature(getattr(kind, name)).parameters for kind in (EvalClient, AsyncEvalClient)
    )

    assert list(plain.values()) == list(other.values())


@pytest.mark.parametrize("name", sorted(public_methods(EvalClient)))
def test_every_method_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(EvalClient, name))


@pytest.mark.parametrize("name", evalserver.__all__)
def test_every_public_name_is_exported(name: str) -> None:
    assert getattr(evalserver, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'EvalCleint'"):
        _ = evalserver.EvalCleint


@pytest.mark.parametrize("client", [EvalClient, AsyncEvalClient])
@pytest.mark.parametrize("name", REQUEST_FIELDS)
def test_evaluate_has_a_parameter_for_every_field_of_a_request(client: Any, name: str) -> None:
    row, parameter = REQUEST_FIELDS[name], inspect.signature(client.evaluate).parameters[name]

    allowed = (parameter.empty,) if row.required else (None, row.default)
    assert parameter.default in allowed


def test_evaluate_has_no_other_parameters() -> None:
    parameters = set(inspect.signature(AsyncEvalClient.evaluate).parameters)

    assert parameters - set(REQUEST_FIELDS) == {"self", "validate", "dry_run", "idempotency_key"}


@pytest.mark.parametrize("name", ["jobs", "samples", "logs", "events"])
def test_help_shows_that_a_blocking_call_returns_a_generator(name: str) -> None:
    shown = pydoc.render_doc(getattr(EvalClient, name))

    assert "Generator[" in shown
    assert "Async" not in shown

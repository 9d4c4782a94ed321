"""Cursors: decoding what was encoded, and rejecting everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalserver.store import Place
from evalserver.web.http.cursors import (
    MAX_POSITION,
    InvalidCursor,
    read_cursor,
    read_place,
    write_cursor,
    write_place,
)

POSITIONS = st.integers(0, MAX_POSITION - 1)
VALUES = (
    st.none() | st.integers(-MAX_POSITION, MAX_POSITION - 1) | st.text(st.characters(codec="utf-8"))
)
PLACES = st.builds(Place, VALUES, POSITIONS)


@given(POSITIONS, st.binary())
def test_a_cursor_is_decoded_for_its_query(position: int, query: bytes) -> None:
    assert read_cursor(write_cursor(position, query), query) == position


@given(POSITIONS, st.binary(), st.binary())
def test_a_cursor_of_another_query_is_rejected(position: int, query: bytes, other: bytes) -> None:
    if query != other:
        with pytest.raises(InvalidCursor):
            read_cursor(write_cursor(position, query), other)


@given(st.text() | st.text("abcXYZ019-_=+/", min_size=18, max_size=26))
def test_a_malformed_cursor_is_rejected(text: str) -> None:
    with pytest.raises(InvalidCursor):
        read_cursor(text, b"query")


def test_a_well_formed_cursor_with_an_impossible_position_is_rejected() -> None:
    with pytest.raises(InvalidCursor):
        read_cursor(write_cursor(MAX_POSITION, b"query"), b"query")


@given(PLACES, st.binary())
def test_a_place_is_decoded_for_its_query(place: Place, query: bytes) -> None:
    assert read_place(write_place(place, query), query) == place


@given(PLACES, st.binary(), st.binary())
def test_a_place_of_another_query_is_rejected(place: Place, query: bytes, other: bytes) -> None:
    if query != other:
        with pytest.raises(InvalidCursor):
            read_place(write_place(place, query), other)


@given(st.text() | st.text("abcXYZ019-_=+/", min_size=18, max_size=26))
def test_a_malformed_place_is_rejected(text: str) -> None:
    with pytest.raises(InvalidCursor):
        read_place(text, b"query")


@pytest.mark.parametrize("place", [Place(1, MAX_POSITION), Place(MAX_POSITION, 1), Place(True, 1)])
def test_a_well_formed_cursor_with_an_impossible_place_is_rejected(place: Place) -> None:
    with pytest.raises(InvalidCursor):
        read_place(write_place(place, b"query"), b"query")

"""Job ids: UUIDs of version 7, in the order in which they are created."""

import time
import uuid

from evalserver.core.job_id import new_job_id, short_job_id, short_job_ids


def test_an_id_is_a_uuid_of_version_7() -> None:
    made = uuid.UUID(new_job_id())

    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_an_id_has_the_canonical_uuid_format() -> None:
    made = new_job_id()

    assert made == str(uuid.UUID(made))


def test_ids_are_unique() -> None:
    assert len({new_job_id() for _ in range(10_000)}) == 10_000


def test_an_id_begins_with_the_time_in_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(new_job_id())
    after = time.time_ns() // 1_000_000

    assert before <= made.int >> 80 <= after


def test_ids_of_the_same_moment_differ_in_their_short_form() -> None:
    made = [new_job_id() for _ in range(30)]

    assert len({short_job_id(each) for each in made}) == 30


def test_a_list_shows_the_last_8_characters_of_ids() -> None:
    ids = ["019ac2f4-6a1b-7c3d-8e5f-9a0b1c2d3e4f", "019ac2f4-6a1b-7c3d-8e5f-9a0b00000000"]

    assert [short_job_ids(ids)[each] for each in ids] == ["1c2d3e4f", "00000000"]


def test_a_list_shows_longer_ends_of_ids_that_end_alike() -> None:
    ids = ["019ac2f4-6a1b-7c3d-8e5f-9a0b1c2d3e4f", "019ac2f4-6a1b-7c3d-8e5f-00001c2d3e4f"]

    assert [short_job_ids(ids)[each] for each in ids] == ["9a0b1c2d3e4f", "00001c2d3e4f"]


def test_a_list_shows_whole_ids_where_even_longer_ends_are_alike() -> None:
    ids = ["019ac2f4-6a1b-7c3d-8e5f-9a0b1c2d3e4f", "019ac2f4-6a1b-7c3d-0000-9a0b1c2d3e4f"]

    assert short_job_ids(ids) == {each: each for each in ids}


def test_a_list_may_have_an_id_twice() -> None:
    assert short_job_ids(["019ac2f4-6a1b-7c3d-8e5f-9a0b1c2d3e4f"] * 2).popitem()[1] == "1c2d3e4f"

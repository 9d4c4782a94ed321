"""The id of a data directory."""

from pathlib import Path

import pytest

from evalserver.system.instance_id import INSTANCE_ID_NAME, load_instance_id


def test_the_id_stays_the_same(tmp_path: Path) -> None:
    assert load_instance_id(tmp_path) == load_instance_id(tmp_path)


def test_every_directory_has_its_own(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("a", "b")]
    for place in places:
        place.mkdir()

    assert len({load_instance_id(place) for place in places}) == 2


def test_only_the_servers_user_can_change_it(tmp_path: Path) -> None:
    load_instance_id(tmp_path)

    assert (tmp_path / INSTANCE_ID_NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [INSTANCE_ID_NAME]


@pytest.mark.parametrize("content", [b"", b"..", b"\xff" * 32])
def test_a_damaged_one_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / INSTANCE_ID_NAME
    path.write_bytes(content)

    with pytest.raises(ValueError, match="must have 32 hexadecimal digits"):
        load_instance_id(tmp_path)

    assert path.read_bytes() == content

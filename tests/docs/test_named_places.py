"""Files and folders that the front pages name are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACE = re.compile(r"(?<![\w./-])(?:rlvr|tests|conf|examples|requirements)/[\w./-]*\w")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_places_named_on_a_page_exist(page: str):
    places = set(PLACE.findall((ROOT / page).read_text()))
    assert places
    assert sorted(place for place in places if not (ROOT / place).exists()) == []


def test_every_room_is_on_the_map():
    rooms = {f"rlvr/{path.parent.name}" for path in (ROOT / "rlvr").glob("*/__init__.py")}
    listing = (ROOT / "CONTRIBUTING.md").read_text().split("## Reading the code")[1]
    assert sorted(rooms - set(PLACE.findall(listing))) == []

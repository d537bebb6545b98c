"""Whose it is what was said is found wherever it stands in the bytes, and these are read in pieces."""

import base64
import json
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db

PIECE = 1024 * 1024
CASE = UUID(int=7)
SAID = json.dumps({"body": {"case_id": str(CASE), "text": "停"}}, ensure_ascii=False).encode()
NAMED = sa.text("SELECT ids_named(:said || coalesce(sealed_in(:said), ''))")


def named(said: bytes) -> list[UUID]:
    return db.session.execute(NAMED, {"said": said}).scalar_one()


@pytest.mark.parametrize("before", [0, PIECE - len(SAID), PIECE - 40, PIECE - 1, PIECE, 2 * PIECE + 7])
@pytest.mark.parametrize("filling", [b"\x00", b"\xff", b"\\", b"a"], ids=["nul", "high", "slash", "letter"])
def test_a_name_is_found_at_the_end_of_a_piece_and_across_it(app: Flask, before: int, filling: bytes) -> None:
    assert named(filling * before + SAID + filling * 99) == [CASE]


@pytest.mark.parametrize("before", [0, PIECE - 5, PIECE + 1])
@pytest.mark.parametrize("within", [0, PIECE - len(SAID) // 2, 3 * PIECE])
def test_a_name_is_found_in_what_was_sealed(app: Flask, before: int, within: int) -> None:
    sealed = base64.b64encode(b"\xff" * within + SAID)

    assert named(b"\x00" * before + b'{"payload" :"' + sealed + b'"}') == [CASE]
    assert named(b"\x00" * before + b'{"payload":"' + sealed[:-3]) == [CASE]

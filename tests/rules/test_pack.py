"""Packs: layered, the strictest value wins, drafts never count, clients only tighten."""

from datetime import date, time

import pytest

from server.rules import pack as packs
from server.rules.pack import PackError, combine, read_pack

DAY = date(2026, 11, 24)
HEAD = """
id = "{id}"
version = 3
layer = "{layer}"
timezone = "Asia/Shanghai"
instrument = "a contract"
effective_from = 2026-01-01
[parameters]
"""


def an_overlay(parameters: str, *, layer: str = "client", id: str = "client.bank"):
    return read_pack(HEAD.format(id=id, layer=layer) + parameters, origin="overlay.toml")


def house():
    return packs.available()["cn.house"]


def test_the_house_pack_is_complete_and_every_value_has_its_source():
    pack = packs.load("cn.house@1", DAY)

    assert (pack.window_opens, pack.window_closes, pack.latest_start) == (time(8), time(21), time(20))
    assert (pack.visits_per_day, pack.visits_per_day_ceiling, pack.hardship_period_days) == (2, 3, 7)
    for parameter in house().parameters:
        assert parameter.instrument and parameter.article and parameter.grade in ("P", "own")


def test_a_client_tightens():
    overlay = an_overlay('window_closes = { value = 19:00:00, rule = "A11", article = "3", grade = "P" }')

    pack = combine([house(), overlay], on=DAY)

    assert pack.window_closes == time(19)
    assert pack.ident == "cn.house@1+client.bank@3"


@pytest.mark.parametrize(
    "parameter",
    [
        'window_closes = { value = 22:00:00, rule = "A11", article = "3", grade = "P" }',
        'visits_per_day = { value = 3, rule = "A3", article = "3", grade = "P" }',
        'ban_holidays = { value = false, rule = "A12", article = "3", grade = "P" }',
        'hardship_period_days = { value = 6, rule = "A9", article = "3", grade = "P" }',
    ],
)
def test_a_client_that_loosens_is_refused(parameter: str):
    with pytest.raises(PackError, match="may only tighten"):
        combine([house(), an_overlay(parameter)], on=DAY)


def test_a_looser_law_changes_nothing():
    law = an_overlay(
        'window_closes = { value = 22:00:00, rule = "T1", article = "1", grade = "S" }',
        layer="law",
        id="cn.law",
    )

    assert combine([law, house()], on=DAY).window_closes == time(21)


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(', status = "draft"', id="draft"),
        pytest.param(", effective_from = 2026-11-25", id="not begun"),
        pytest.param(", effective_to = 2026-11-24", id="ended"),
    ],
)
def test_a_value_that_does_not_count_yet_or_any_more_never_blocks(extra: str):
    overlay = an_overlay(
        f'team_min = {{ value = 2, rule = "X4", article = "3", grade = "S"{extra} }}', layer="association"
    )

    assert combine([house(), overlay], on=DAY).team_min == 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ('teem_max = { value = 2, rule = "A10", article = "3", grade = "P" }', "parameters.teem_max"),
        ('team_max = { value = "two", rule = "A10", article = "3", grade = "P" }', "whole number"),
        ('team_max = { value = 2, rule = "Z9", article = "3", grade = "P" }', "not in the catalogue"),
        ('team_max = { value = 2, rule = "A10", grade = "P" }', "'article' is missing"),
        ('team_max = { value = 2, rule = "A10", article = "3", grade = "?" }', "must be a draft"),
        ("team_max = 2", "parameters.team_max"),
        ("team_max = {", "not valid TOML"),
    ],
)
def test_a_faulty_pack_is_refused_with_its_place(parameters: str, message: str):
    with pytest.raises(PackError, match=r"overlay\.toml") as refusal:
        an_overlay(parameters)

    assert message in str(refusal.value)


def test_a_pack_alone_that_sets_too_little_is_refused():
    with pytest.raises(PackError, match="no pack sets"):
        combine([an_overlay("")], on=DAY)


@pytest.mark.parametrize("name", ["cn.nowhere", "cn.house@2"])
def test_an_unknown_pack_is_named_together_with_the_known_ones(name: str):
    with pytest.raises(PackError, match=r"cn\.house@1"):
        packs.load(name, DAY)

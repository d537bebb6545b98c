"""Packs: layered, the strictest value wins, drafts never count, clients only tighten."""

from datetime import date, time

import pytest

from server.rules import pack as packs
from server.rules.engine import judge
from server.rules.pack import combine, days_of_change, require_usable
from server.rules.pack_file import PackError, read_pack
from tests.rules.builders import a_visit, china, some_facts

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
    pack = packs.load("cn.house@2", DAY)

    assert (pack.window_opens, pack.window_closes, pack.latest_start) == (time(8), time(21), time(20))
    assert (pack.visits_per_day, pack.visits_per_day_ceiling, pack.hardship_period_days) == (2, 3, 7)
    for parameter in house().parameters:
        assert parameter.instrument and parameter.article and parameter.grade in ("P", "own")


def test_a_client_tightens():
    overlay = an_overlay('window_closes = { value = 19:00:00, rule = "A11", article = "3", grade = "P" }')

    pack = combine([house(), overlay], on=DAY)

    assert pack.window_closes == time(19)
    assert pack.ident == "cn.house@2+client.bank@3"


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


def test_an_overlay_that_a_stricter_release_overtook_changes_nothing_and_stops_nobody():
    """It was entered when it still tightened; judging goes on with the strictest value."""
    overlay = an_overlay('window_closes = { value = 22:00:00, rule = "A11", article = "3", grade = "P" }')

    pack = combine([house(), overlay], on=DAY, may_loosen=True)

    assert (pack.window_closes, pack.source_of("window_closes")["pack"]) == (time(21), "cn.house@2")


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


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ('key = "x"\nrule = "Z9"', "rule 'Z9' is not in the catalogue"),
        ('key = "x"\nrule = "B1"\nalso = ["Z9"]', "rule 'Z9' is not in the catalogue"),
        ('key = "x"\nrule = "B1"\nwhen = "later"', "it is before or inside"),
        ('key = ""\nrule = "B1"', "key must be a text"),
        ('rule = "B1"', "'key' is missing"),
    ],
)
def test_a_faulty_checklist_is_refused(item: str, message: str):
    with pytest.raises(PackError, match=r"overlay\.toml") as refusal:
        an_overlay(f"[[checklist]]\n{item}")

    assert message in str(refusal.value)


@pytest.mark.parametrize("name", ["cn.nowhere", "cn.house@1"])
def test_an_unknown_pack_is_named_together_with_the_known_ones(name: str):
    with pytest.raises(PackError, match=r"cn\.house@2"):
        packs.load(name, DAY)


DEFAULT = "cn.law+cn.gbt.45251+cn.cba.2026+cn.house"


def test_what_ships_is_sourced_and_what_is_unverified_is_a_draft():
    for pack in packs.available().values():
        for parameter in pack.parameters:
            assert parameter.instrument and parameter.article and parameter.grade in ("P", "S", "own", "?")
            assert parameter.grade != "?" or parameter.status == "draft"


def test_the_house_rules_stay_the_strictest_among_the_chinese_instruments():
    pack = packs.load(DEFAULT, DAY)

    assert (pack.window_opens, pack.window_closes, pack.team_min) == (time(8), time(21), 1)
    assert pack.recording_retention_days == 730
    assert pack.ident == "cn.house@2+cn.cba.2026@1+cn.gbt.45251@1+cn.law@1"
    assert pack.source_of("window_closes")["pack"] == "cn.house@2"
    assert pack.source_of("recording_retention_days")["article"] == "Art. 68"


def test_drafts_count_in_a_preview_only():
    assert packs.load(DEFAULT, DAY, with_drafts=True).team_min == 2
    assert packs.load(DEFAULT, DAY, with_drafts=True).ident.endswith("with drafts")
    with pytest.raises(PackError, match="no pack sets window_opens"):
        packs.load("au.accc", DAY)


def test_another_country_has_its_own_hours_days_and_caps():
    australia = packs.load("au.accc", DAY, with_drafts=True)
    wanted = a_visit(window_start=china("2026-11-24 05:59"), window_end=china("2026-11-24 06:30"))

    verdict = judge(wanted, some_facts(), australia)

    assert (australia.timezone, australia.calendar, australia.visits_per_calendar_month) == (
        "Australia/Sydney",
        "AU",
        1,
    )
    assert [reason.rule for reason in verdict.blocking] == ["T1"]
    assert verdict.allowed_from == china("2026-11-24 06:00")
    with pytest.raises(PackError, match="time zones"):
        packs.load("au.accc+cn.house", DAY, with_drafts=True)


def test_packs_of_two_calendars_cannot_be_combined():
    other = read_pack(
        HEAD.format(id="x", layer="law").replace("instrument", 'calendar = "HK"\ninstrument'), origin="x"
    )

    with pytest.raises(PackError, match="calendars"):
        combine([house(), other], on=DAY)


def test_one_parameter_may_have_several_periods():
    overlay = an_overlay(
        """window_closes = [
          { value = 20:00:00, rule = "A11", article = "3", grade = "P", effective_to = 2026-12-01 },
          { value = 19:00:00, rule = "A11", article = "3", grade = "P", effective_from = 2026-12-01 },
        ]"""
    )

    assert combine([house(), overlay], on=date(2026, 11, 30)).window_closes == time(20)
    assert combine([house(), overlay], on=date(2026, 12, 1)).window_closes == time(19)
    assert days_of_change([overlay], since=DAY) == (DAY, date(2026, 12, 1))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        pytest.param("window_opens = {{ value = 21:00:00, {rest} }}", "window is empty", id="empty window"),
        pytest.param(
            "latest_start = {{ value = 07:59:59, {rest} }}", "before the window opens", id="start early"
        ),
        pytest.param(
            "latest_start = {{ value = 19:00:00, {rest} }}\nwindow_closes = {{ value = 19:00:00, {rest} }}",
            "outside the window",
            id="start late",
        ),
        pytest.param(
            "visits_per_day_ceiling = {{ value = 1, {rest} }}", "below visits_per_day", id="ceiling"
        ),
        pytest.param("team_max = {{ value = 0, {rest} }}", "above team_max", id="team"),
        pytest.param(
            "window_closes = {{ value = 07:00:00, {rest}, effective_from = 2027-03-01 }}",
            "on 2027-03-01: the visit window is empty",
            id="from a later day on",
        ),
    ],
)
def test_contradictions_are_refused_with_place_and_day(parameters: str, message: str):
    overlay = an_overlay(parameters.format(rest='rule = "A11", article = "3", grade = "P"'))

    with pytest.raises(PackError, match=message):
        require_usable([house(), overlay], since=DAY)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("effective_from = 2026-05-01, effective_to = 2026-05-01", "is not after"),
        ('effective_from = "soon"', "must be a TOML date"),
        ("effective_to = 2026-05-01T10:00:00", "must be a TOML date"),
        ('grade = "A"', "grade is 'A'"),
        ('status = "perhaps"', "it is active or draft"),
        ("value = -1", "whole number"),
        ("value = true", "whole number"),
        ('article = ""', "article must be a text"),
    ],
)
def test_a_faulty_parameter_is_refused(extra: str, message: str):
    given = {"value": "2", "rule": '"A10"', "article": '"3"', "grade": '"P"'}
    given |= dict(part.split(" = ") for part in extra.split(", "))
    table = ", ".join(f"{name} = {value}" for name, value in given.items())

    with pytest.raises(PackError, match=message):
        an_overlay(f"team_max = {{ {table} }}")


def test_two_values_of_overlapping_periods_are_refused():
    with pytest.raises(PackError, match=r"parameters\.team_max: two values on 2026-01-01"):
        an_overlay(
            """team_max = [ { value = 2, rule = "A10", article = "3", grade = "P" },
                            { value = 1, rule = "A10", article = "4", grade = "P" } ]"""
        )

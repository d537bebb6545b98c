"""Every rule has one place, and the place keeps it: the catalogue and the code are held to each other."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import server
from server.authority import Role
from server.rules.catalogue import catalogue
from server.rules.catalogue.places import Place, places
from server.rules.engine import AFTERWARDS, CHECKED_RULES, CHECKS
from tests.office import Office

ROOT = Path(server.__file__).parent


def source_of(place: str) -> str:
    """The text of a module, of a pack, or of a lexicon, named with dots."""
    parts = place.split(".")[1:]
    if parts[:2] == ["rules", "packs"]:
        return (ROOT / "rules" / "packs" / f"{'.'.join(parts[2:])}.toml").read_text("utf-8")
    base = ROOT.joinpath(*parts)
    files = [base.with_suffix(".py"), base / "__init__.py", base.with_suffix(".toml")]
    return next(path for path in files if path.exists()).read_text("utf-8")


def kept(by: str) -> list[tuple[str, str]]:
    return [(rule, place.place or "") for rule, place in places().items() if place.kept_by == by]


def names(text: str, rule: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9]){rule}(?![A-Za-z0-9])", text) is not None


def test_every_rule_has_exactly_one_place_and_nothing_else_has() -> None:
    assert set(places()) == set(catalogue())
    assert len(places()) == 246 + 7


def test_a_rule_with_two_places_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "places.toml").write_text('[check]\na = ["T1"]\n[step]\nb = ["T1"]\n[not_built]\n')
    monkeypatch.setattr("server.rules.catalogue.places.__file__", str(tmp_path / "places.py"))
    places.cache_clear()

    with pytest.raises(ValueError, match="T1 has two places"):
        places()

    monkeypatch.undo()
    places.cache_clear()


def modules_that_raise(rule: str) -> set[str]:
    """The engine's modules with a check of this id."""
    judges: list[Any] = [check.judge for check in (*CHECKS, *AFTERWARDS) if rule in check.rules]
    return {(one.func if isinstance(one, partial) else one).__module__ for one in judges}


def test_what_the_engine_judges_is_listed_with_the_module_that_judges_it() -> None:
    for rule in CHECKED_RULES:
        assert places()[rule].kept_by == "check", rule
        assert places()[rule].place in modules_that_raise(rule), rule


@pytest.mark.parametrize(("rule", "place"), [row for row in kept("check") if "reconcile" in row[1]])
def test_what_reconciliation_finds_is_a_literal_of_its_check(rule: str, place: str) -> None:
    text = source_of(place)
    if place == "server.reconcile.conduct":
        text = (ROOT / "reconcile" / "lexicon.toml").read_text("utf-8")

    assert f'"{rule}"' in text


def test_every_rule_that_a_finding_can_name_is_kept_by_a_check() -> None:
    """One of its checks, wherever several find it."""
    named = {
        rule
        for path in (ROOT / "reconcile").iterdir()
        if path.suffix in (".py", ".toml")
        for rule in re.findall(r'"([A-Z]{1,3}\d{1,2})"', path.read_text("utf-8"))
    }

    assert named <= set(catalogue())
    assert {rule for rule in named if places()[rule].kept_by != "check"} == set()


@pytest.mark.parametrize(("rule", "place"), kept("step"))
def test_a_step_s_source_names_its_rule(rule: str, place: str) -> None:
    assert names(source_of(place), rule)


def test_what_the_phone_asks_is_kept_by_the_pack_or_by_a_check() -> None:
    asked = re.findall(r'"([A-Z]{1,3}\d{1,2})"', source_of("server.rules.packs.cn.house").split("[[", 1)[1])

    for rule in asked:
        place = places()[rule]
        assert place.kept_by == "check" or place.place == "server.rules.packs.cn.house", rule


def test_what_must_not_be_built_is_not() -> None:
    for rule in catalogue().values():
        if rule.classes[0] == "K":
            assert places()[rule.id].kept_by == "not built"
            assert (places()[rule.id].reason or "").startswith("on purpose")


def test_what_is_not_built_says_why_and_names_no_place() -> None:
    for place in places().values():
        assert (place.kept_by == "not built") == (place.place is None) == (place.reason is not None)
        assert place.reason is None or len(place.reason) > 20


def test_everybody_can_read_where_a_rule_is_kept(office: Office) -> None:
    def asked(query: str = "") -> dict[str, Place]:
        rules = office.person(Role.VISITOR).get(f"/api/v1/rules{query}").get_json()["rules"]
        return {rule["id"]: Place(rule["kept_by"], rule["place"], rule["reason"]) for rule in rules}

    assert asked() == dict(places())
    assert list(asked()) == list(catalogue())
    assert set(asked("?kept_by=check")) >= CHECKED_RULES
    assert set(asked("?class=K&kept_by=step")) == {"F10"}  # a quota that never overrides a cap

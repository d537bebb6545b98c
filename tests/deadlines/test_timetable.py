"""Durations are data with their source; the catalogue's F rules and the code name each other."""

from importlib import resources
from pathlib import Path

import pytest

import server
from server.deadlines.engine import CASE_RULES
from server.deadlines.timetable import RULES, TimetableError, read_timetable, timetable
from server.rules.catalogue import catalogue

TEXT = resources.files("server.deadlines").joinpath("clocks.toml").read_text("utf-8")
MODULE_OF = {
    "new_case.py": ("F1", "F2", "F3", "F4", "F8", "F9"),
    "recurring.py": ("F5", "F6", "F7", "F11", "F19"),
    "quota.py": ("F10",),
    "report.py": ("F12",),
    "repayment.py": ("F14", "F15", "F16", "F20"),
    "letters.py": ("F17", "F18"),
}


def test_the_house_timetable_is_what_the_source_says():
    house = timetable()

    assert (house.contact_check_days, house.follow_up_days, house.follow_ups_needed) == (3, 5, 2)
    assert (house.first_hand_days, house.other_hand_days, house.contacts_a_month) == (2, 4, 6)
    assert (house.reachable_days, house.lost_days, house.other_days) == (3, 7, 4)
    assert (house.small_below_fen, house.small_calendar_days) == (50_000, 10)
    assert house.kind_of_code(" ptp2 ") == "promised"
    assert house.meaning_of("电话提醒") == "reminded"


@pytest.mark.parametrize(
    ("was", "becomes", "complaint"),
    [
        pytest.param("[clocks.F1]", "[clocks.F1", "not valid TOML", id="no TOML"),
        pytest.param("[clocks.F1] #", "[clocks.F99] #", "F1 missing", id="a rule is missing"),
        pytest.param(
            "[clocks.F20]", "[clocks.E1]\nline = 16\n[clocks.F20]", "clocks.E1: no clock", id="no clock"
        ),
        pytest.param("line = 12", "line = 13", "clocks.F1.line: is not 12", id="another line"),
        pytest.param(
            'reading = "AMB6"\nworking_days = 3', "working_days = 3", "clocks.F1.reading", id="unread"
        ),
        pytest.param("contacts = 6", "contacts = 0", "clocks.F10.contacts: must be a whole", id="nothing"),
        pytest.param(
            "contacts = 6", "contacts = true", "clocks.F10.contacts: must be a whole", id="a boolean"
        ),
        pytest.param(
            "contacts = 6", "contacts = 6.5", "clocks.F10.contacts: must be a whole", id="a fraction"
        ),
        pytest.param("contacts = 6", "", "clocks.F10.contacts: is missing", id="no value"),
        pytest.param("contacts = 6", "contacts = 6\nhours = 2", "hours means nothing here", id="unknown key"),
        pytest.param(
            "[10:00:00, 16:00:00]", "[16:00:00, 10:00:00]", "clocks.F19.times: must name", id="order"
        ),
        pytest.param("[10:00:00, 16:00:00]", '["10:00"]', "clocks.F19.times: must be a list", id="no times"),
        pytest.param('"FOUND1", ', '"PTP", ', "'PTP' already means promised", id="a word with two meanings"),
        pytest.param("[codes.lost]", "[codes.gone]", "codes: has stopped, promised, lost", id="unknown kind"),
        pytest.param('rule = "F11"', 'rule = "F99"', "codes.lost.rule: 'F99' is not", id="unknown rule"),
    ],
)
def test_a_malformed_timetable_is_refused_with_place_and_reason(was: str, becomes: str, complaint: str):
    assert was in TEXT

    with pytest.raises(TimetableError, match=r"^mine: ") as refused:
        read_timetable(TEXT.replace(was, becomes, 1), origin="mine")

    assert complaint in str(refused.value)


def test_every_rule_of_class_f_is_named_by_the_module_that_keeps_it():
    folder = Path(server.__file__).parent / "deadlines"
    kept = {rule for rules in MODULE_OF.values() for rule in rules}

    missing = [
        (module, rule)
        for module, rules in MODULE_OF.items()
        for rule in rules
        if f"{rule}" not in _words(folder / module)
    ]

    assert missing == []
    assert kept | {"F13"} == {rule.id for rule in catalogue().values() if rule.classes[0] == "F"}
    assert set(CASE_RULES) == kept - {"F3", "F12"}
    assert kept <= RULES
    assert "F13" in _words(folder.parent / "models" / "deadlines.py")


def _words(module: Path) -> set[str]:
    """The rule ids in the module's own docstrings and code, each as a whole word."""
    text = module.read_text("utf-8")
    return {word for word in catalogue() if any(word == part for part in _parts(text))}


def _parts(text: str) -> list[str]:
    return "".join(sign if sign.isalnum() else " " for sign in text).split()

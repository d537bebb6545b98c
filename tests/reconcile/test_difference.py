"""What came, went and changed between two judgements."""

from dataclasses import replace

from server.reconcile.difference import Known, difference

ONE = Known("a", "a", "C14", "serious", 0.8, "", {"metres": 900}, {})


def told(stored: list[Known], judged: list[Known]) -> list[tuple[str, str, bool, tuple[str, ...]]]:
    return [(one.what, one.key, one.is_decided, one.fields) for one in difference(stored, judged)]


def test_the_same_again_is_no_difference() -> None:
    assert told([ONE], [replace(ONE)]) == []
    assert told([replace(ONE, state="confirmed")], [ONE]) == []


def test_what_comes_goes_and_changes_is_told_in_the_order_of_keys() -> None:
    gone, lighter, new = ONE, replace(ONE, key="b"), replace(ONE, key="c")

    changes = told([gone, lighter], [new, replace(lighter, severity="note", confidence=0.3)])

    assert changes == [
        ("gone", "a", False, ()),
        ("changed", "b", False, ("severity", "confidence")),
        ("new", "c", False, ()),
    ]


def test_a_superseded_finding_is_gone_already_and_new_when_it_comes_back() -> None:
    over = replace(ONE, state="superseded")

    assert told([over], []) == []
    assert told([over], [ONE]) == [("new", "a", False, ())]


def test_of_a_decided_finding_it_is_told_what_would_change_and_that_it_stays() -> None:
    decided = replace(ONE, state="dismissed")

    assert told([decided], []) == [("gone", "a", True, ())]
    assert told([decided], [replace(ONE, observation={"metres": 950})]) == [
        ("changed", "a", True, ("observation",))
    ]


def test_what_an_auditor_raised_is_theirs() -> None:
    assert told([replace(ONE, is_raised=True)], []) == []


def test_the_kept_form_says_how_heavy_and_not_what_was_seen() -> None:
    (change,) = difference([ONE], [replace(ONE, observation={"metres": 950})])

    assert change.to_json() == {
        "what": "changed",
        "check": "a",
        "key": "a",
        "decided": False,
        "fields": ["observation"],
        "before": {"severity": "serious", "confidence": 0.8},
        "after": {"severity": "serious", "confidence": 0.8},
    }

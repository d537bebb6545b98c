"""Stored decisions under other rules: shipped packs and entered ones, one decision or a whole month."""

import tracemalloc
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from server.authority import Role
from server.database import db, transaction
from server.errors import DomainError, Invalid
from server.models.dispatch import Decision
from server.workflows import overlays, replay
from server.workflows.dispatch import assign
from server.workflows.overlays import NewOverlay
from server.workflows.replay import rules_named
from sync.protocol import uuid7
from tests.api.overlays import SOURCE, a_text
from tests.office import NOW, Door, Office, a_door, a_team, a_wish, china

MONTH = date(2026, 11, 1)


def a_decision(office: Office, start: str, *, door: Door | None = None, **facts: Any) -> Decision:
    """One judged wish, granted or refused."""
    try:
        assign(a_wish(door or a_door(**facts), *a_team(), start=start), actor=office.actor(), now=NOW)
    except DomainError:
        db.session.rollback()
    return db.session.scalars(sa.select(Decision).order_by(Decision.id.desc()).limit(1)).one()


def copies(decision: Decision, count: int, *, every: timedelta = timedelta(minutes=1)) -> list[UUID]:
    """The same decision many times, a minute apart."""
    ids = [uuid7() for _ in range(count)]
    same = ("case_id", "judged_for", "allowed", "pack", "wanted", "facts", "verdict", "approval_reason")
    with transaction() as session:
        session.execute(
            sa.insert(Decision),
            [
                {name: getattr(decision, name) for name in same}
                | {"id": one, "judged_at": china("2026-11-02 08:00") + n * every}
                for n, one in enumerate(ids)
            ],
        )
    return ids


def enter(office: Office, text: str, door: Door | None = None) -> None:
    client = None if door is None else door.case.client_id
    overlays.enter(NewOverlay(text, client, ""), actor=office.actor(Role.ADMIN), now=NOW)


def test_under_its_own_rules_nothing_differs(office: Office) -> None:
    a_decision(office, "2026-11-24 10:00")
    a_decision(office, "2026-11-24 22:00", balance_as_of=None)

    summary = replay.summarise(MONTH, rules=rules_named("cn.law+cn.gbt.45251+cn.cba.2026+cn.house"))

    assert (summary.judged, summary.differing, summary.newly, summary.no_longer) == (2, 0, {}, {})


def test_an_entered_overlay_says_what_it_would_newly_block(office: Office) -> None:
    a_decision(office, "2026-11-24 10:00")
    late = a_decision(office, "2026-11-24 17:30")
    enter(office, a_text())

    for names in ("client.bank", "client.bank@1", "cn.house+client.bank@1"):
        rules = rules_named(names)
        summary = replay.summarise(MONTH, rules=rules)
        one = replay.replay(late.id, rules=rules)

        assert (summary.judged, summary.differing, summary.newly_blocked) == (2, 1, 1)
        assert (dict(summary.newly), dict(summary.no_longer)) == ({"T1": 1}, {})
        assert [reason.rule for reason in one.would_be.blocking] == ["T1"]
        assert "client.bank@1" in one.would_be.pack


def test_a_withdrawn_or_older_version_can_still_be_asked_about(office: Office) -> None:
    late = a_decision(office, "2026-11-24 17:30")
    enter(office, a_text())
    enter(office, a_text(f"window_closes = {{ value = 20:00:00, {SOURCE} }}", version=2))
    overlays.withdraw("client.bank", reason="x", actor=office.actor(Role.ADMIN), now=NOW)

    first, newest = (
        replay.replay(late.id, rules=rules_named(names)) for names in ("client.bank@1", "client.bank")
    )

    assert (first.differs, newest.differs) == (True, False)


def test_what_was_refused_and_would_be_allowed_is_counted_by_its_rule(office: Office) -> None:
    """Stored under a tighter overlay that has been withdrawn since."""
    door = a_door()
    enter(office, a_text(), door)
    a_decision(office, "2026-11-24 17:30", door=door)

    summary = replay.summarise(MONTH, rules=rules_named("cn.house"))

    assert (summary.newly_allowed, dict(summary.no_longer)) == (1, {"T1": 1})


def test_drafts_count_when_they_are_asked_for(office: Office) -> None:
    alone = a_team(1)
    assign(a_wish(a_door(), *alone), actor=office.actor(), now=NOW)
    packs = "cn.cba.2026+cn.house"

    plain, drafts = (
        replay.summarise(MONTH, rules=rules_named(packs, with_drafts=with_drafts))
        for with_drafts in (False, True)
    )

    assert (plain.newly_blocked, drafts.newly_blocked) == (0, 1)
    assert dict(drafts.newly) == {"X1": 1}


def test_another_day_s_values_can_be_asked_for(office: Office) -> None:
    late = a_decision(office, "2026-11-24 17:30")
    enter(office, a_text(f"window_closes = {{ value = 18:00:00, {SOURCE}, effective_from = 2027-01-01 }}"))

    then, later = (
        replay.replay(late.id, rules=rules_named("client.bank", on=on)) for on in (None, date(2027, 1, 1))
    )

    assert (then.differs, later.differs) == (False, True)


@pytest.mark.parametrize("names", ["nothing", "cn.house@1", "client.bank@7", "client.bank@x", "cn.law", "+"])
def test_rules_that_are_not_there_or_say_too_little_are_refused(office: Office, names: str) -> None:
    decision = a_decision(office, "2026-11-24 10:00")
    enter(office, a_text())

    with pytest.raises(Invalid) as refused:
        replay.replay(decision.id, rules=rules_named(names))

    assert refused.value.faults[0].pointer == "/pack"


# Members that facts have gained since the first decisions were stored.
LATER = {
    "case": ["hardship_since", "reviewed_at", "note_acknowledged_at", "daily_visit_cap", "special_flags"],
    "address": ["sensitive_neighbours"],
    "": ["elsewhere", "accounts_missing", "requests", "arrivals"],
}


def test_a_decision_stored_by_an_earlier_release_is_judged_as_then(office: Office) -> None:
    decision = a_decision(office, "2026-11-24 22:00")
    old = {**decision.facts, "member_of_the_past": 1}
    for part, names in LATER.items():
        for name in names:
            (old[part] if part else old).pop(name)
    with transaction() as session:
        session.get_one(Decision, decision.id).facts = old

    one = replay.replay(decision.id, rules=rules_named("cn.house"))

    assert one.would_be.rules == {"T1", "T2"}
    assert not one.differs


def test_decisions_without_readable_facts_are_counted_and_stop_nothing(office: Office) -> None:
    decision = a_decision(office, "2026-11-24 10:00")
    for facts in ({}, {"case": 1}, {**decision.facts, "judged_at": "soon"}):
        (copy,) = copies(decision, 1)
        with transaction() as session:
            session.get_one(Decision, copy).facts = facts

    summary = replay.summarise(MONTH, rules=rules_named("cn.house"))

    assert (summary.judged, summary.unreadable) == (1, 3)


def test_a_long_month_is_paged_without_a_gap_or_a_double(office: Office) -> None:
    decision = a_decision(office, "2026-11-24 17:30")
    ids = {decision.id, *copies(decision, 40), *copies(decision, 9, every=timedelta(0))}
    enter(office, a_text())
    body = {"month": "2026-11", "pack": "client.bank", "limit": 7}

    seen: list[str] = []
    counted = 0
    after = None
    while True:
        page = office.ask("/rules/replay", body | {"after": after}, by=Role.AUDITOR).get_json()
        seen += [one["decision_id"] for one in page["decisions"]]
        counted += page["summary"]["newly_blocked"]
        after = page["next"]
        if after is None:
            break
    whole = office.ask("/rules/replay", body | {"is_summary": True}, by=Role.AUDITOR).get_json()

    assert sorted(seen) == sorted(map(str, ids))
    assert (len(seen), counted) == (50, 50)
    assert (whole["decisions"], whole["summary"]["newly"]) == ([], {"T1": 50})


def test_only_what_differs_is_shown_when_asked_so(office: Office) -> None:
    a_decision(office, "2026-11-24 10:00")
    late = a_decision(office, "2026-11-24 17:30")
    enter(office, a_text())
    body = {"month": "2026-11", "pack": "client.bank", "differing_only": True}

    page = office.ask("/rules/replay", body, by=Role.AUDITOR).get_json()

    assert [one["decision_id"] for one in page["decisions"]] == [str(late.id)]
    assert page["summary"]["judged"] == 2


def test_a_month_ends_at_its_last_midnight_in_china(office: Office) -> None:
    decision = a_decision(office, "2026-11-24 10:00")
    for at in ("2026-10-31 23:59", "2026-11-01 00:00", "2026-11-30 23:59", "2026-12-01 00:00"):
        (copy,) = copies(decision, 1)
        with transaction() as session:
            session.get_one(Decision, copy).judged_at = china(at)

    assert replay.summarise(MONTH, rules=rules_named("cn.house")).judged == 3


def test_memory_does_not_grow_with_the_month(office: Office) -> None:
    decision = a_decision(office, "2026-11-24 10:00")

    def peak() -> int:
        tracemalloc.start()
        replay.summarise(MONTH, rules=rules_named("cn.house"))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    copies(decision, 400, every=timedelta(seconds=1))
    few = peak()
    copies(decision, 2000, every=timedelta(seconds=1))
    many = peak()

    assert many < 1.5 * few, (few, many)

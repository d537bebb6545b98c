"""What would entering an overlay change?

Its values are taken as on the day when all of them have begun. Decisions of the last month are judged under
the standing rules and under the new ones by their stored facts; so are open assignments, by the facts of the
day they were granted (the sweep after entering judges by those of its own moment). Nothing is stored.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.models.cases import Case
from server.models.dispatch import Assignment, Decision
from server.rules.engine import judge
from server.rules.json_form import to_json
from server.rules.local_time import local_day
from server.rules.pack import RulePack, combine
from server.rules.pack_file import PARAMETERS, PackFile
from server.rules.verdict import Verdict
from server.workflows.dispatch import REPLACEABLE
from server.workflows.overlays import NewOverlay, concerned, configured_zone, read_new
from server.workflows.replay import AT_ONCE, facts_of
from server.workflows.standing_packs import configured, read_entered, standing

A_MONTH: Final = timedelta(days=30)
MOST_JUDGED: Final = 3000
SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter that the overlay changes."""

    parameter: str
    was: Any
    becomes: Any


@dataclass(slots=True)
class Effect:
    """What differs. `rules`: in how many decisions each newly speaks; `is_complete`: all were judged.

    `refused`: the first open assignments that something would newly block; `needing_approval`: those for
    which a supervisor's approval would newly be missing. Both would be cancelled.
    """

    as_of: date
    changes: tuple[Change, ...]
    decisions: int = 0
    differing: int = 0
    newly_blocked: int = 0
    is_complete: bool = True
    rules: Counter[str] = field(default_factory=Counter)
    assignments: int = 0
    refused: list[UUID] = field(default_factory=list)
    needing_approval: list[UUID] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Pair:
    """The values of a client's cases without and with the overlay."""

    before: RulePack
    after: RulePack


def preview(new: NewOverlay, *, now: datetime) -> tuple[PackFile, Effect]:
    """Say what entering an overlay would change; Invalid where it would be refused."""
    overlay = read_new(new, now=now)
    as_of = _all_begun(overlay, today=local_day(now, configured_zone()))
    pairs = _Pairs(overlay, as_of=as_of, now=now)
    effect = Effect(as_of, tuple(_changes(pairs.of(new.client_id))))
    for decision, client_id in _decisions(new.client_id, now=now):
        if effect.decisions == MOST_JUDGED:
            effect.is_complete = False
            break
        _add_decision(effect, _judged(decision, pairs.of(client_id)))
    for assignment_id, decision, client_id in _open(new.client_id, now=now):
        if effect.assignments == MOST_JUDGED:
            effect.is_complete = False
            break
        _add_assignment(effect, assignment_id, _judged(decision, pairs.of(client_id)))
    return overlay, effect


def _all_begun(overlay: PackFile, *, today: date) -> date:
    active = [one.effective_from for one in overlay.parameters if one.status == "active"]
    active += [one.effective_from for one in overlay.lexicon]
    return max([today, *active])


class _Pairs:
    """The values without and with the overlay, for each client once."""

    def __init__(self, overlay: PackFile, *, as_of: date, now: datetime) -> None:
        self._overlay, self._as_of = overlay, as_of
        rows = standing(sa.true(), at=now)
        self._standing = [(row.id, row.client_id, read_entered(row.toml)) for row in rows]
        self._known: dict[UUID | None, _Pair] = {}

    def of(self, client_id: UUID | None) -> _Pair:
        """Return the values for a client's cases."""
        if client_id not in self._known:
            self._known[client_id] = self._pair(client_id)
        return self._known[client_id]

    def _pair(self, client_id: UUID | None) -> _Pair:
        here = [(name, pack) for name, of, pack in self._standing if of is None or of == client_id]
        before = [*configured(), *(pack for _, pack in here)]
        after = [*configured(), *(pack for name, pack in here if name != self._overlay.id), self._overlay]
        return _Pair(
            combine(before, on=self._as_of, may_loosen=True),
            combine(after, on=self._as_of, may_loosen=True),
        )


def _changes(pair: _Pair) -> Iterator[Change]:
    for name in PARAMETERS:
        was, becomes = getattr(pair.before, name), getattr(pair.after, name)
        if was != becomes:
            yield Change(name, _plain(was), _plain(becomes))
    added = set(pair.after.checklist) - set(pair.before.checklist)
    if added:
        yield Change("checklist", None, sorted(item.key for item in added))
    words = [one for one in pair.after.lexicon if one not in pair.before.lexicon]
    for subject in sorted({one.topic or one.claim or "" for one in words}):
        of_it = [one for one in words if subject in (one.topic, one.claim)]
        told = {word for one in of_it for word in (*one.words, *one.spoken)}
        yield Change(f"lexicon.{subject}", None, sorted(told))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, time) else to_json(value)


def _decisions(client_id: UUID | None, *, now: datetime) -> Iterator[tuple[Decision, UUID]]:
    query = (
        sa.select(Decision, Case.client_id)
        .join(Case, Case.id == Decision.case_id)
        .where(Decision.judged_at >= now - A_MONTH, Decision.judged_at <= now)
        .order_by(Decision.judged_at.desc(), Decision.id)
        .limit(MOST_JUDGED + 1)
    )
    yield from _rows(query, client_id)


def _open(client_id: UUID | None, *, now: datetime) -> Iterator[tuple[UUID, Decision, UUID]]:
    query = (
        sa.select(Assignment.id, Decision, Case.client_id)
        .join(Decision, Decision.id == Assignment.decision_id)
        .join(Case, Case.id == Assignment.case_id)
        .where(concerned(client_id, now=now), Assignment.state.in_(REPLACEABLE))
        .order_by(Assignment.window_start, Assignment.id)
        .limit(MOST_JUDGED + 1)
    )
    yield from _rows(query, client_id)


def _rows(query: sa.Select[*tuple[Any, ...]], client_id: UUID | None) -> Iterable[Any]:
    if client_id is not None:
        query = query.where(Case.client_id == client_id)
    return db.session.execute(query.execution_options(yield_per=AT_ONCE))


def _judged(decision: Decision, pair: _Pair) -> tuple[Verdict, Verdict] | None:
    known = facts_of(decision)
    if known is None:
        return None
    return judge(*known, pair.before), judge(*known, pair.after)


def _newly(judged: tuple[Verdict, Verdict]) -> set[tuple[str, str]]:
    before, after = ({(one.rule, one.severity) for one in verdict.reasons} for verdict in judged)
    return after - before


def _add_decision(effect: Effect, judged: tuple[Verdict, Verdict] | None) -> None:
    if judged is None:
        return
    newly = _newly(judged)
    effect.decisions += 1
    effect.differing += judged[0].rules != judged[1].rules or bool(newly)
    effect.newly_blocked += bool(judged[1].blocking) and not judged[0].blocking
    effect.rules.update({rule for rule, _ in newly})


def _add_assignment(effect: Effect, assignment_id: UUID, judged: tuple[Verdict, Verdict] | None) -> None:
    if judged is None:
        return
    effect.assignments += 1
    severities = {severity for _, severity in _newly(judged)}
    chosen = effect.refused if "block" in severities else effect.needing_approval
    if severities - {"warn"} and len(chosen) < SHOWN:
        chosen.append(assignment_id)

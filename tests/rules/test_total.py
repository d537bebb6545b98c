"""The engine is total: whatever the facts, it answers consistently, and the answer can be written down."""

import json
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from server.rules.calendar import Calendar
from server.rules.engine import judge, judge_afterwards
from server.rules.facts import (
    ActualVisit,
    AddressFact,
    Arrival,
    CaseFact,
    CaseFacts,
    ContactFact,
    HoldFact,
    Interval,
    MemberFact,
    Reservation,
    Span,
    Training,
    VisitRequest,
    WantedVisit,
)
from server.rules.json_form import from_json, to_json
from tests.rules.builders import HOUSE

ids = st.integers(1, 6).map(lambda n: UUID(int=n))
times = st.datetimes(datetime(2025, 1, 1), datetime(2028, 12, 31), timezones=st.just(UTC))
days = st.dates(date(2025, 1, 1), date(2028, 12, 31))
words = st.sampled_from(
    ["paid", "complaint", "verified", "unverified", "open", "nda", "leave", "inbound", "?"]
)
spans = st.tuples(times, st.timedeltas(timedelta(0), timedelta(days=9))).map(lambda t: (t[0], t[0] + t[1]))
intervals = spans.map(lambda span: Interval(*span))


def several(strategy: st.SearchStrategy, most: int = 4) -> st.SearchStrategy:
    return st.lists(strategy, max_size=most).map(tuple)


cases = st.builds(
    CaseFact,
    id=ids,
    debtor_id=ids,
    state=words,
    outstanding_fen=st.integers(-10, 10**12),
    balance_as_of=st.none() | days,
    hardship=several(words),
    daily_visit_cap=st.none() | st.integers(0, 2),
    special_flags=several(words),
)
contacts = st.builds(ContactFact, ids, st.booleans(), st.booleans(), st.booleans())
addresses = st.builds(AddressFact, ids, ids, words, st.none() | contacts, several(ids))
calendars = st.builds(
    Calendar,
    published=st.frozensets(st.integers(2025, 2029)),
    holidays=st.dictionaries(days, st.just("a break"), max_size=30),
    makeup=st.frozensets(days, max_size=5),
)
members = st.builds(
    MemberFact,
    id=ids,
    training=several(st.builds(Training, words, st.none() | st.integers(0, 100), st.integers(1, 4))),
    has_device=st.booleans(),
    left_at=st.none() | times,
    taken=several(st.builds(lambda kind, span: Span(kind, *span), words, spans)),
)
facts = st.builds(
    CaseFacts,
    judged_at=times,
    case=cases,
    address=st.none() | addresses,
    calendar=calendars,
    holds=several(st.builds(HoldFact, ids, words, words, times, st.none() | times)),
    team=several(members),
    reservations=several(st.builds(Reservation, ids, times)),
    arrivals=several(st.builds(Arrival, ids, intervals, st.none() | ids)),
    requests=several(st.builds(VisitRequest, ids, words, times, st.none() | days, st.none() | ids)),
    call_days=several(days),
    letters_received_on=several(days),
    accounts_missing=several(ids),
)
wishes = st.builds(
    lambda span, **more: WantedVisit(window_start=span[0], window_end=span[1], **more),
    span=spans,
    case_id=ids,
    address_id=ids,
    team=several(ids),
    lead=st.none() | ids,
    ground=words,
    evidence_entry_id=st.none() | ids,
)
visits = st.builds(ActualVisit, ids, intervals, st.none() | intervals, several(ids), ids, st.none() | ids)


@settings(max_examples=150, deadline=None)
@given(wishes, facts)
def test_every_wish_gets_a_consistent_answer(wanted: WantedVisit, known: CaseFacts):
    verdict = judge(wanted, known, HOUSE)

    severities = {reason.severity for reason in verdict.reasons}
    assert verdict.allowed == (severities <= {"warn"})
    assert not (verdict.allowed and verdict.needs_approval)
    if verdict.blocking and verdict.allowed_from is not None:
        assert verdict.allowed_from > wanted.window_start or verdict.allowed_from >= known.judged_at
    json.dumps(verdict.to_json())
    stored = json.loads(json.dumps(to_json(known)))
    assert judge(wanted, from_json(CaseFacts, stored), HOUSE) == verdict


@settings(max_examples=100, deadline=None)
@given(visits, facts)
def test_every_visit_that_took_place_gets_an_answer(actual: ActualVisit, known: CaseFacts):
    verdict = judge_afterwards(actual, known, HOUSE)

    assert {reason.facts["certainty"] for reason in verdict.reasons} <= {"certain", "possible"}
    json.dumps(verdict.to_json())

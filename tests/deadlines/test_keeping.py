"""Which money keeps which promise: the same facts give the same fate, in whatever order they came."""

import random
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.deadlines.keeping import (
    Paid,
    Promised,
    allocate,
    confirm,
    confirmation_day,
    counting,
    settle,
)
from server.deadlines.ledger_values import statement_limits
from server.rules.calendar import Calendar

DAY = date(2026, 11, 2)
LIMITS = statement_limits()
CALENDAR = Calendar(
    published=frozenset({2026}),
    holidays={date(2026, 10, day): "National Day" for day in range(1, 8)},
    makeup=frozenset({date(2026, 10, 10)}),
)


def on(day: int) -> date:
    return DAY + timedelta(days=day)


def a_promise(number: int = 1, *, amount: int = 100, made: int = 0, due: int = 10) -> Promised:
    return Promised(UUID(int=number), f"P{number}", amount, on(made), on(due))


def a_payment(
    number: int = 101, *, amount: int = 100, paid: int = 5, entered: int = 5, office: bool = False
) -> Paid:
    return Paid(UUID(int=number), f"M{number}", amount, on(paid), on(entered), not office)


@pytest.mark.parametrize(
    ("amount", "paid", "today", "fate"),
    [
        (100, 10, 10, "kept"),
        (100, 0, 0, "kept"),
        (99, 10, 10, "open"),
        (99, 10, 11, "broken"),
        (100, 11, 12, "broken"),
        (100, -1, 3, "open"),
        (100, -1, 11, "broken"),
    ],
    ids=[
        *("on the last day", "the day it was made", "one fen short", "short and over", "a day late"),
        *("paid before it was promised", "and then nothing more"),
    ],
)
def test_a_promise_is_kept_by_what_arrives_in_its_days(amount: int, paid: int, today: int, fate: str):
    promise = a_promise()

    fates = settle([promise], [a_payment(amount=amount, paid=paid)], today=on(today), is_closed=False)

    assert fates[promise.id].fate == fate


def test_each_fen_keeps_one_promise_and_the_earliest_due_comes_first():
    first, second = a_promise(1, due=5), a_promise(2, due=10)

    arrived = allocate([second, first], [a_payment(amount=150, paid=4)])

    assert arrived == {first.id: 100, second.id: 50}


def test_money_too_late_for_the_first_promise_counts_for_the_second():
    first, second = a_promise(1, due=3), a_promise(2, due=10)

    assert allocate([first, second], [a_payment(paid=4)]) == {first.id: 0, second.id: 100}


def test_nobody_breaks_a_promise_on_a_case_that_was_closed():
    promise = a_promise()

    fates = settle([promise], [], today=on(11), is_closed=True)

    assert fates[promise.id].fate == "withdrawn"


def test_an_entry_is_the_statements_line_of_its_reference_or_of_its_amount_and_days():
    named = Paid(UUID(int=1), "office:T1", 100, on(0), on(0), False)
    alike, other = a_payment(2, amount=70, paid=3, office=True), a_payment(3, amount=80, office=True)
    lines = [
        Paid(UUID(int=11), "T1", 90, on(9), on(9), True),
        a_payment(12, amount=70, paid=6),
        a_payment(13, amount=80, paid=9),
    ]

    found = confirm([named, alike, other, *lines], limits=LIMITS)

    assert found == {named.id: UUID(int=11), alike.id: UUID(int=12)}


def test_one_line_confirms_one_entry_only():
    entries = [a_payment(number, office=True) for number in (1, 2)]

    found = confirm([*entries, a_payment(11)], limits=LIMITS)

    assert len(found) == 1


@pytest.mark.parametrize(("today", "counts"), [(12, True), (13, False)])
def test_an_entry_counts_until_the_statement_should_have_shown_it(today: int, counts: bool):
    entry = a_payment(office=True, entered=5)

    assert bool(counting([entry], {}, today=on(today), limits=LIMITS)) == counts


def test_confirmed_money_counts_once():
    entry, line = a_payment(1, office=True), a_payment(11)
    found = confirm([entry, line], limits=LIMITS)

    assert counting([entry, line], found, today=on(6), limits=LIMITS) == [line]


promises = st.lists(
    st.tuples(st.integers(1, 300), st.integers(0, 8), st.integers(0, 12)), min_size=1, max_size=5
).map(
    lambda rows: [
        a_promise(number, amount=amount, made=made, due=made + days)
        for number, (amount, made, days) in enumerate(rows, start=1)
    ]
)
payments = st.lists(
    st.tuples(st.integers(1, 300), st.integers(-2, 22), st.integers(0, 10), st.booleans()), max_size=8
).map(
    lambda rows: [
        a_payment(number, amount=amount, paid=paid, entered=paid + later, office=office)
        for number, (amount, paid, later, office) in enumerate(rows, start=101)
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    promised=promises,
    paid=payments,
    seed=st.integers(0, 2**16),
    today=st.integers(0, 40),
    is_closed=st.booleans(),
)
def test_the_order_in_which_things_became_known_changes_nothing(
    promised: list[Promised], paid: list[Paid], seed: int, today: int, is_closed: bool
):
    def outcome(some: list[Promised], money: list[Paid]):
        found = confirm(money, limits=LIMITS)
        counted = counting(money, found, today=on(today), limits=LIMITS)
        return found, settle(some, counted, today=on(today), is_closed=is_closed), counted

    found, fates, counted = outcome(promised, paid)
    dice = random.Random(seed)
    again = outcome(dice.sample(promised, len(promised)), dice.sample(paid, len(paid)))

    assert (found, fates) == again[:2]
    assert sum(one.paid_fen for one in fates.values()) <= sum(one.amount_fen for one in counted)
    for promise in promised:
        fate = fates[promise.id]
        assert 0 <= fate.paid_fen <= promise.amount_fen
        assert (fate.fate == "kept") == (fate.paid_fen == promise.amount_fen)
        assert fate.fate != "broken" or on(today) > promise.due_on
    assert all(one.is_statement or one.id not in found for one in counted)


@pytest.mark.parametrize(
    ("made", "due", "remind"),
    [
        (date(2026, 11, 2), date(2026, 11, 10), date(2026, 11, 9)),
        (date(2026, 9, 20), date(2026, 10, 3), date(2026, 9, 30)),
        (date(2026, 9, 20), date(2026, 10, 8), date(2026, 9, 30)),
        (date(2026, 11, 10), date(2026, 11, 10), date(2026, 11, 10)),
        (date(2026, 11, 2), date(2027, 3, 1), date(2027, 2, 28)),
    ],
    ids=["the day before", "due on a holiday", "due after the break", "due at once", "no calendar yet"],
)
def test_the_reminder_moves_off_banned_days_to_the_one_before(made: date, due: date, remind: date):
    assert confirmation_day(made, due, CALENDAR) == remind

"""Deliveries an account claims: what must be found, and the honest noise beside it."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from server.reconcile.engine import reconcile
from server.reconcile.facts import LetterFact, Limits, VisitFacts
from tests.reconcile.honest import HONEST, OVERDUE, a_photo, with_account

NOTICE = LetterFact(UUID(int=50), "notice-1", "notice", "debtor")
SLIP = LetterFact(UUID(int=51), "slip-1", "callback_slip", "debtor")
GUARANTORS = LetterFact(UUID(int=52), "notice-2", "notice", "liable_person")
PHOTO = a_photo(12, purpose="delivery")
SIGNATURE = a_photo(13, kind="signature", purpose="signature")
CARRIED = replace(
    HONEST,
    letters=(NOTICE, SLIP, GUARANTORS),
    is_address_verified=True,
    evidence=(*HONEST.evidence, PHOTO, SIGNATURE),
)


def a_claim(delivery: str, *, template: str = "notice-1", recipient: str = "debtor", **more: Any) -> Any:
    return {"template": template, "delivery": delivery, "recipient": recipient, **more}


def found(facts: VisitFacts, met: str, *letters: Any, **claims: Any) -> list[tuple[str, str]]:
    """What the letters' checks say of these claims."""
    told = replace(facts, **with_account(met=met, letters=list(letters), **claims))
    return [
        (one.check, one.rule) for one in reconcile(told, Limits()).findings if one.check.startswith("letter")
    ]


SEALED = {"recipient": "co_resident", "relation": "wife"}


@pytest.mark.parametrize(
    ("met", "letter"),
    [
        ("debtor", a_claim("handed_to_debtor", signed=True)),
        ("debtor", a_claim("handed_to_debtor", signed=False)),
        ("debtor", a_claim("handed_to_debtor", letter_id=str(NOTICE.id))),
        ("debtor", a_claim("refused")),
        (
            "liable_person",
            a_claim("handed_to_liable_person", template="notice-2", recipient="liable_person"),
        ),
        ("third_party", a_claim("sealed_to_adult_co_resident", **SEALED)),
        ("nobody", a_claim("mailbox", recipient="nobody")),
        ("nobody", a_claim("under_door", recipient="nobody")),
        ("nobody", a_claim("callback_slip", template="slip-1", recipient="nobody")),
    ],
)
def test_honest_deliveries_raise_nothing(met: str, letter: Any) -> None:
    assert found(CARRIED, met, letter) == []


@pytest.mark.parametrize(
    ("met", "letter", "finding"),
    [
        ("debtor", a_claim("handed_to_debtor", template="home-made"), ("letter-not-on-permit", "H2")),
        (
            "debtor",
            a_claim("handed_to_debtor", letter_id=str(UUID(int=77))),
            ("letter-not-on-permit", "H2"),
        ),
        (
            "debtor",
            a_claim("handed_to_liable_person", template="notice-2", recipient="liable_person"),
            ("letter-wrong-recipient", "H6"),
        ),
        (
            "liable_person",
            a_claim("handed_to_liable_person", recipient="liable_person"),
            ("letter-wrong-recipient", "H5"),
        ),
        ("debtor", a_claim("handed_to_debtor", template="notice-2"), ("letter-wrong-recipient", "H5")),
        ("debtor", a_claim("mailbox"), ("letter-left-although-met", "H8")),
        ("third_party", a_claim("under_door"), ("letter-left-although-met", "H8")),
        (
            "third_party",
            a_claim("sealed_to_adult_co_resident", recipient="co_resident"),
            ("letter-sealed-without-relation", "H19"),
        ),
        (
            "third_party",
            a_claim("sealed_to_adult_co_resident", recipient="co_resident", relation=" "),
            ("letter-sealed-without-relation", "H19"),
        ),
        (
            "nobody",
            a_claim("sealed_to_adult_co_resident", **SEALED),
            ("letter-sealed-to-other", "C6"),
        ),
        (
            "third_party",
            a_claim("sealed_to_adult_co_resident", recipient="nobody", relation="wife"),
            ("letter-sealed-to-other", "C6"),
        ),
    ],
)
def test_deliveries_that_cannot_or_may_not_be_are_found(
    met: str, letter: Any, finding: tuple[str, str]
) -> None:
    assert found(CARRIED, met, letter) == [finding]


def test_one_letter_is_delivered_once() -> None:
    twice = [a_claim("handed_to_debtor"), a_claim("handed_to_debtor")]

    assert found(CARRIED, "debtor", *twice) == [("letter-not-on-permit", "H2")]


TO_DEBTOR = LetterFact(UUID(int=60), "notice-1", "notice", "debtor")
TO_GUARANTOR = LetterFact(UUID(int=61), "notice-1", "notice", "liable_person")
BOTH_ORDERS = pytest.mark.parametrize("order", [1, -1])


def carrying_both(order: int) -> VisitFacts:
    """The same template, addressed to the debtor and to a guarantor."""
    return replace(CARRIED, letters=(TO_DEBTOR, TO_GUARANTOR)[::order])


def to_guarantor(**more: Any) -> Any:
    return a_claim("handed_to_liable_person", recipient="liable_person", **more)


@pytest.mark.parametrize("named", [True, False])
@BOTH_ORDERS
def test_one_template_may_be_addressed_to_debtor_and_guarantor(named: bool, order: int) -> None:
    carried = carrying_both(order)
    mine = {"letter_id": str(TO_DEBTOR.id)} if named else {}
    theirs = {"letter_id": str(TO_GUARANTOR.id)} if named else {}

    handed, left = a_claim("handed_to_debtor", **mine), a_claim("mailbox", recipient="nobody", **theirs)

    assert found(carried, "debtor", handed) == []
    assert found(carried, "liable_person", to_guarantor(**theirs)) == []
    assert (
        found(carried, "liable_person", *[to_guarantor(**theirs), a_claim("refused", **mine)][::order]) == []
    )
    assert found(carried, "nobody", left, a_claim("under_door", recipient="nobody", **mine)) == []


@BOTH_ORDERS
def test_a_letter_that_is_named_went_to_whom_it_was_addressed(order: int) -> None:
    carried = carrying_both(order)

    to_the_debtor = a_claim("handed_to_debtor", letter_id=str(TO_GUARANTOR.id))
    to_the_other = to_guarantor(letter_id=str(TO_DEBTOR.id))

    assert found(carried, "debtor", to_the_debtor) == [("letter-wrong-recipient", "H5")]
    assert found(carried, "liable_person", to_the_other) == [("letter-wrong-recipient", "H5")]


@BOTH_ORDERS
def test_of_two_letters_of_a_template_one_person_is_handed_one(order: int) -> None:
    twice = [a_claim("handed_to_debtor"), a_claim("handed_to_debtor")]

    assert found(carrying_both(order), "debtor", *twice) == [("letter-wrong-recipient", "H5")]
    assert found(carrying_both(order), "debtor", *twice, a_claim("handed_to_debtor")) == [
        ("letter-not-on-permit", "H2"),
        ("letter-wrong-recipient", "H5"),
    ]


@BOTH_ORDERS
def test_a_claim_that_names_no_letter_takes_none_from_one_that_does(order: int) -> None:
    mailbox = a_claim("mailbox", recipient="nobody")
    under_door = a_claim("under_door", recipient="nobody", letter_id=str(TO_DEBTOR.id))

    assert found(carrying_both(order), "nobody", mailbox, under_door) == []


@pytest.mark.parametrize("letter_id", [str(UUID(int=77)), None])
def test_a_letter_beyond_those_carried_went_wrong_where_all_of_its_template_would_have(
    letter_id: str | None,
) -> None:
    more = {"letter_id": letter_id} if letter_id else {}
    claims = [] if letter_id else [a_claim("refused")]

    findings = found(CARRIED, "liable_person", *claims, to_guarantor(**more))

    assert findings == [("letter-not-on-permit", "H2"), ("letter-wrong-recipient", "H5")]


@pytest.mark.parametrize(
    ("is_verified", "template", "findings"),
    [
        (False, "notice-1", [("letter-at-unsure-address", "H7")]),
        (False, "slip-1", []),
        (True, "notice-1", []),
        (None, "notice-1", []),
    ],
)
def test_only_a_slip_is_left_where_the_address_is_unsure(
    is_verified: bool | None, template: str, findings: list[tuple[str, str]]
) -> None:
    facts = replace(CARRIED, is_address_verified=is_verified)

    assert found(facts, "nobody", a_claim("mailbox", template=template, recipient="nobody")) == findings


def test_what_was_left_is_photographed() -> None:
    unseen = replace(CARRIED, evidence=(*HONEST.evidence, SIGNATURE))
    left = a_claim("mailbox", recipient="nobody")

    assert found(unseen, "nobody", left) == []  # a team mate's phone may promise it yet
    assert found(replace(unseen, **OVERDUE), "nobody", left) == [("letter-left-without-photo", "H8")]


@pytest.mark.parametrize(("signed", "count"), [(True, 1), (False, 0), (None, 0), ("yes", 0)])
def test_a_claimed_signature_is_there(signed: object, count: int) -> None:
    unsigned = replace(CARRIED, evidence=(*HONEST.evidence, PHOTO))

    claim = a_claim("handed_to_debtor", signed=signed)

    assert found(unsigned, "debtor", claim) == []
    missing = found(replace(unsigned, **OVERDUE), "debtor", claim)
    assert missing == [("letter-signature-missing", "B26")] * count


@pytest.mark.parametrize(
    ("met", "outcome", "count"),
    [("nobody", "not_home", 1), ("nobody", "turned_back", 0), ("debtor", "refused", 0)],
)
def test_the_account_says_where_carried_letters_are_when_nobody_was_met(
    met: str, outcome: str, count: int
) -> None:
    assert found(CARRIED, met, outcome=outcome) == [("letters-unaccounted", "C6")] * count


def test_a_finding_names_the_account_and_which_of_its_letters() -> None:
    letters = [a_claim("refused"), a_claim("handed_to_debtor", template="my-own")]
    told = replace(CARRIED, **with_account(letters=letters))

    [one] = [one for one in reconcile(told, Limits()).findings if one.check == "letter-not-on-permit"]

    assert told.account is not None
    assert one.citation == {"account_id": str(told.account.id), "letter": 1}


def test_without_a_known_assignment_nothing_is_said_of_its_letters() -> None:
    assert found(replace(CARRIED, letters=None), "debtor", a_claim("handed_to_debtor")) == []

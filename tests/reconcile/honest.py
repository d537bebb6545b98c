"""An honest visit with its evidence and account, and how a test changes one thing about it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from server.reconcile.facts import AccountFact, EvidenceFact, Place, Sound, VisitFacts
from sync.clock import Interval
from sync.phone import claims_of

TEN = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
SOON = TEN + timedelta(minutes=2)
ANNA, BO, EVE = (UUID(int=n) for n in (1, 2, 3))
HOME = Place(39.9087, 116.4605)
# About 1,500 m east of HOME on the same parallel.
AWAY = Place(39.9087, 116.4780, accuracy_m=15)
NOISE = Place(39.9091, 116.4610, accuracy_m=40)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def at(moment: datetime, *, doubt: timedelta = timedelta(seconds=1)) -> Interval:
    return Interval(earliest=moment - doubt, latest=moment + doubt, method="anchored")


def a_photo(n: int = 10, *, when: datetime = SOON, **facts: Any) -> EvidenceFact:
    defaults: dict[str, Any] = {
        "id": UUID(int=n),
        "kind": "photo",
        "purpose": "door",
        "state": "verified",
        "captured_from": at(when),
        "captured_until": at(when),
    }
    return EvidenceFact(**{**defaults, **facts})


def a_recording(seconds: float = 1190, speech: float = 200, **facts: Any) -> EvidenceFact:
    return a_photo(
        20,
        **{
            "kind": "audio",
            "purpose": "recording",
            "sound": Sound(seconds, speech),
            "captured_until": at(TEN + timedelta(seconds=seconds)),
            **facts,
        },
    )


def an_account(
    narrative: str = "债务人表示下月还款。", *, n: int = 30, parent: int | None = None, **claims: Any
) -> AccountFact:
    told = claims_of(
        arrived_at=claims.pop("arrived_at", TEN),
        left_at=claims.pop("left_at", TEN + minutes(20)),
        team=claims.pop("team", [ANNA, BO]),
        met=claims.pop("met", "debtor"),
        outcome=claims.pop("outcome", "refused"),
        **claims,
    )
    return AccountFact(
        id=UUID(int=n),
        parent_id=None if parent is None else UUID(int=parent),
        claims=told,
        narrative=narrative,
        received_at=TEN + minutes(60),
    )


BADGE = a_photo(11, purpose="badge", when=TEN - minutes(40))
HONEST = VisitFacts(
    visit_id=UUID(int=99),
    judged_at=TEN + timedelta(hours=3),
    arrival=at(TEN),
    departure=at(TEN + minutes(20)),
    assigned_team=frozenset({ANNA, BO}),
    present_team=frozenset({ANNA, BO}),
    address=HOME,
    check_in=NOISE,
    check_out=NOISE,
    account=an_account(),
    revisions=(an_account(),),
    evidence=(BADGE, a_photo(), a_recording()),
    evidence_due_at=TEN + timedelta(hours=24),
)
OVERDUE = {"judged_at": TEN + timedelta(hours=25)}


def with_account(**facts: Any) -> dict[str, Any]:
    account = an_account(**facts)
    return {"account": account, "revisions": (account,)}


def with_evidence(*evidence: EvidenceFact) -> dict[str, Any]:
    return {"evidence": (BADGE, *evidence)}

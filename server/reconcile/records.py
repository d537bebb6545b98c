"""Is there a record of everything that was done, whole, by phones in use, on a clock nobody set? (C17)

What has not come yet is late, not missing: absence counts only once the phone's time to deliver is over.
"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby, pairwise
from typing import Final

from server.reconcile.facts import ItemFact, Limits, VisitFacts
from server.reconcile.finding import Finding, Severity, cite

MILLISECOND: Final = timedelta(milliseconds=1)


def steps_unrecorded(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The account tells of a visit that no phone checked in to, or out of."""
    if facts.account is None or not facts.is_evidence_due:
        return
    steps: tuple[tuple[str, bool, str, Severity, float], ...] = (
        ("check_in", facts.has_check_in, "arrived_at", "serious", 0.8),
        ("check_out", facts.departure is not None, "left_at", "minor", 0.5),
    )
    for step, is_there, claim, severity, confidence in steps:
        if not is_there:
            yield Finding(
                check="step-unrecorded",
                rule="C17",
                severity=severity,
                claim=claim,
                observation={"step": step},
                citation={"account_id": str(facts.account.id)},
                confidence=confidence,
                about=step,
            )


def chain_gap(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Between two records of this visit the phone wrote others that never came."""
    if not facts.is_evidence_due:
        return
    for gap in facts.chain_gaps:
        yield Finding(
            check="chain-gap",
            rule="C17",
            severity="serious",
            claim="",
            observation={"missing": gap.missing},
            citation={"device_id": str(gap.device_id), "from_seq": gap.first, "until_seq": gap.last},
            confidence=0.7,
            about=str(gap.device_id),
        )


def loose_files(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The phone sent a file in the days of this visit and has promised it for none."""
    if not facts.is_evidence_due:
        return
    for one in facts.loose_files:
        yield Finding(
            check="loose-file",
            rule="C17",
            severity="minor",
            claim="",
            observation={"stored_at": one.stored_at},
            citation=cite(one.id),
            confidence=0.4,
            about=str(one.id),
        )


def key_revoked(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A phone that was taken out of use wrote records of this visit.

    Whoever loses a phone gets another one. What the old one wrote before that, and delivered afterwards, is
    honest and noted; what it wrote certainly afterwards is not.
    """
    for phone in facts.phones:
        revoked_at = phone.revoked_at
        written = [item for item in facts.items if item.device_id == phone.id and item.is_of_revoked_key]
        if revoked_at is None or not written:
            continue
        after = [item for item in written if item.when.earliest > revoked_at]
        may_be_after = [item for item in written if item.when.latest > revoked_at]
        severity: Severity = "serious" if after else ("minor" if may_be_after else "note")
        cited = (after or may_be_after or written)[0]
        yield Finding(
            check="key-revoked",
            rule="C17",
            severity=severity,
            claim="",
            observation={
                "revoked_at": revoked_at,
                "records": len(written),
                "certainly_after": len(after),
                "possibly_after": len(may_be_after),
            },
            citation=_cite_item(cited) | {"device_id": str(phone.id)},
            confidence=0.8 if after else 0.3,
            about=str(phone.id),
        )


def clock_changed(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Between two records of one boot the phone's clock jumped, and not towards true time.

    A wrong clock that the network puts right is honest. Where no anchor tells true time the jump is noted.
    A phone that started anew may have lost its clock with its battery: that says nothing.
    """
    in_order = sorted(facts.items, key=lambda item: (item.device_id, item.boot_id, item.seq))
    for (device_id, boot), group in groupby(in_order, key=lambda item: (item.device_id, item.boot_id)):
        items = list(group)
        for before, after in pairwise(items):
            jump = _jump(before, after)
            if abs(jump) <= limits.clock / MILLISECOND:
                continue
            skews = _skew(before), _skew(after)
            if skews[0] is not None and skews[1] is not None and skews[1] <= skews[0]:
                continue
            is_known = None not in skews
            yield Finding(
                check="clock-changed",
                rule="C17",
                severity="serious" if is_known else "note",
                claim="",
                observation={
                    "minutes": round(jump / 60_000, 1),
                    "wrong_by_minutes": None
                    if skews[1] is None
                    else round(skews[1] / timedelta(minutes=1), 1),
                },
                citation=_cite_item(after) | {"after_item_id": str(before.id), "device_id": str(device_id)},
                confidence=0.8 if is_known else 0.3,
                about=f"{device_id}/{boot}/{after.seq}",
            )


def _jump(before: ItemFact, after: ItemFact) -> int:
    """Return how many milliseconds more the clock went on than the phone counted, which may claim any."""
    return (after.wall - before.wall) // MILLISECOND - (after.monotonic_ms - before.monotonic_ms)


def _skew(item: ItemFact) -> timedelta | None:
    """Return by how much the clock was certainly wrong; None where nothing but the clock tells the time."""
    if not item.when.is_trusted:
        return None
    return max(item.when.earliest - item.wall, item.wall - item.when.latest, timedelta(0))


def _cite_item(item: ItemFact) -> dict[str, str]:
    return {"item_id": str(item.id), "type": item.type}

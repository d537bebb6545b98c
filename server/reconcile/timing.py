"""Do captures, recordings and the claimed stay lie where the clocks say?

Clocks give intervals. A contradiction is reported only where no instant of the intervals fits.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from server.reconcile.facts import EvidenceFact, Image, Limits, VisitFacts
from server.reconcile.finding import Finding, cite, cite_account, cite_step
from server.reconcile.recordings import covered_seconds, heard_through, is_explained, is_more_to_come
from sync.bodies import claimed_stay


def captured_outside_visit(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """A file was captured certainly before the arrival or after the departure (C14).

    A badge is shown before, and the copy of what was signed (H4) scanned when there is a desk.
    """
    for one in facts.evidence:
        apart = _time_apart(one, facts)
        if apart is not None and apart > limits.capture:
            yield Finding(
                check="captured-outside-visit",
                rule="C14",
                severity="serious",
                claim="",
                observation={
                    "captured_from": one.captured_from and one.captured_from.earliest,
                    "captured_until": one.captured_until and one.captured_until.latest,
                    "arrived": facts.arrival.earliest,
                    "left": facts.departure and facts.departure.latest,
                    "minutes_apart": round(apart / timedelta(minutes=1), 1),
                },
                citation=cite(one.id),
                about=str(one.id),
            )


def _time_apart(one: EvidenceFact, facts: VisitFacts) -> timedelta | None:
    """Return by how much a capture certainly misses the visit; None when it may touch it."""
    if one.captured_from is None or one.captured_until is None or one.purpose == "badge":
        return None
    too_early = facts.arrival.earliest - one.captured_until.latest
    left = None if one.kind == "scan" else facts.departure
    too_late = one.captured_from.earliest - left.latest if left else timedelta(0)
    apart = max(too_early, too_late)
    return apart if apart > timedelta(0) else None


def photo_time_differs(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The time inside a photo is neither that of its capture nor what the phone's clock showed then (C14).

    A camera writes what the phone's clock shows: a clock that is wrong by an hour makes nobody a liar. One
    that names no offset is believed less.
    """
    for one in facts.evidence:
        if one.image is None or one.captured_from is None or one.captured_until is None:
            continue
        is_guessed = one.image.taken_at is None
        taken_at = said_by_picture(one.image, facts)
        if taken_at is not None and apart_from_capture(one, taken_at) > limits.time:
            yield Finding(
                check="photo-time-differs",
                rule="C14",
                severity="minor" if is_guessed else "serious",
                claim="",
                observation={
                    "photo_says": taken_at,
                    "captured_from": one.captured_from.earliest,
                    "offset_guessed": is_guessed,
                },
                citation=cite(one.id),
                confidence=0.5 if is_guessed else 0.8,
                about=str(one.id),
            )


def said_by_picture(image: Image, facts: VisitFacts) -> datetime | None:
    """Return when a picture says it was taken; a camera that names no offset shows the town's time."""
    if image.taken_at is not None or image.taken_local is None:
        return image.taken_at
    return image.taken_local.replace(tzinfo=facts.zone)


def apart_from_capture(one: EvidenceFact, instant: datetime) -> timedelta:
    """Return how far an instant lies outside a capture, by true time or by what the phone's clock showed."""
    if one.captured_from is None or one.captured_until is None:
        return timedelta(0)
    apart = _outside(instant, one.captured_from.earliest, one.captured_until.latest)
    return apart if one.clock_showed is None else min(apart, _outside(instant, *one.clock_showed))


def _outside(instant: datetime, earliest: datetime, latest: datetime) -> timedelta:
    """Return how far an instant lies outside a span; zero within it."""
    return max(earliest - instant, instant - latest, timedelta(0))


def stay_differs(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The claimed arrival or departure is not when the phone checked in or out (C14).

    Little where only the phone's own clock says when that was: it may be wrong by hours.
    """
    if facts.account is None:
        return
    arrived, left = claimed_stay(dict(facts.account.claims))
    told = [("arrived_at", arrived, facts.arrival)]
    if facts.departure is not None:
        told.append(("left_at", left, facts.departure))
    for claim, claimed, measured in told:
        apart = _outside(claimed, measured.earliest, measured.latest)
        if apart > limits.time:
            yield Finding(
                check="stay-differs",
                rule="C14",
                severity="serious" if measured.is_trusted else "minor",
                claim=claim,
                observation={"claimed": claimed, "earliest": measured.earliest, "latest": measured.latest},
                citation=cite_account(facts)
                | cite_step(facts, "check_in" if claim == "arrived_at" else "check_out"),
                confidence=1.0 if measured.is_trusted else 0.3,
                about=claim,
            )


def recording_too_short(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The recordings together cover less than the stay the account claims (B23, C14).

    What counts is the shortest stay that claim and clocks allow: times are honestly rounded, and clocks that
    are trusted still give intervals. Where those are wider than rounding the claim says more. What the phone
    explained as it happened (a broken recorder, somebody who will not be recorded) is incomplete, no lie.
    """
    sounds = heard_through(facts)
    if facts.account is None or not sounds or is_more_to_come(facts):
        return
    if facts.account.claims.get("outcome") in ("turned_back", "not_home"):
        return
    arrived, left = claimed_stay(dict(facts.account.claims))
    stay = _shortest_stay(facts, left - arrived, rounding=limits.time).total_seconds()
    recorded = covered_seconds(sounds)
    if recorded < stay * limits.recorded_share:
        longest = max(sounds, key=lambda one: one.sound.duration_seconds if one.sound else 0)
        has_reason = any(is_explained(one, facts) for one in sounds)
        yield Finding(
            check="recording-too-short",
            rule="C14",
            severity="minor" if has_reason else "serious",
            claim="left_at",
            observation={"recorded_seconds": round(recorded, 1), "stay_seconds": round(stay, 1)}
            | ({"explained": True} if has_reason else {}),
            citation=cite(longest.id, second=longest.sound.duration_seconds if longest.sound else None),
            confidence=0.3 if has_reason else 1.0,
        )


def _shortest_stay(facts: VisitFacts, claimed: timedelta, *, rounding: timedelta) -> timedelta:
    if facts.departure is None or not (facts.arrival.is_trusted and facts.departure.is_trusted):
        return claimed - rounding
    shortest = facts.departure.earliest - facts.arrival.latest
    longest = facts.departure.latest - facts.arrival.earliest
    return min(claimed, shortest) if longest - shortest <= 2 * rounding else min(claimed - rounding, longest)

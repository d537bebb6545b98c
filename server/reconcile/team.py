"""Did the people go who were sent, and were they together?"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final
from uuid import UUID

from server.reconcile.facts import ItemFact, Limits, Place, VisitFacts
from server.reconcile.finding import Finding, cite_account, cite_step
from server.reconcile.place import SURE, metres_between, positions

MOST_COMPARED: Final = 40
USUAL_OF: Final = 5
USUAL: Final = 0.8


def team_differs(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Those present at check-in, or in the account, are not those assigned (C14)."""
    if facts.assigned_team is not None and facts.present_team != facts.assigned_team:
        yield _differs("check_in", facts.present_team, facts.assigned_team, cite_step(facts, "check_in"))
    if facts.account is None:
        return
    claimed = frozenset(UUID(member) for member in facts.account.claims.get("team_present") or ())
    if claimed != facts.present_team:
        yield _differs("account", claimed, facts.present_team, cite_account(facts))


def tracks_disagree(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """The phones of two of the team were far apart within the same minutes (C14).

    One may park the car or wait downstairs; beyond that they did not make one visit.
    """
    tracks: dict[UUID, list[tuple[ItemFact, Place]]] = {}
    for item, place in positions(facts, limits):
        tracks.setdefault(item.staff_id, []).append((item, place))
    for one, other in combinations(sorted(tracks), 2):
        farthest = max(
            (
                (metres - SURE * (here.accuracy_m + there.accuracy_m), metres, mine, theirs)
                for mine, here in tracks[one][:MOST_COMPARED]
                for theirs, there in tracks[other][:MOST_COMPARED]
                if _at_once(mine, theirs, limits)
                for metres in (metres_between(here, there),)
            ),
            key=lambda found: found[0],
            default=None,
        )
        if farthest is None or farthest[0] <= limits.apart_m:
            continue
        _, metres, mine, theirs = farthest
        yield Finding(
            check="tracks-disagree",
            rule="C14",
            severity="serious",
            claim="team_present",
            observation={"metres": round(metres), "staff": [str(one), str(other)]},
            citation={"item_id": str(mine.id), "other_item_id": str(theirs.id)},
            confidence=0.7,
            about=f"{one}/{other}",
        )


def _at_once(one: ItemFact, other: ItemFact, limits: Limits) -> bool:
    """Whether two records were certainly written within the same minutes."""
    first = min(one.when.earliest, other.when.earliest)
    return max(one.when.latest, other.when.latest) - first <= limits.together


def solo_device(facts: VisitFacts, limits: Limits) -> Iterator[Finding]:
    """Two are said to have gone, and only one phone wrote although the other one usually does, too (C14).

    One phone a team is the rule (X5 asks for the lead's): only a habit that breaks off says something.
    """
    if facts.departure is None or len(facts.present_team) < 2 or not facts.is_evidence_due:
        return
    writers = {item.staff_id for item in facts.items}
    for phone in facts.phones:
        is_in_use = phone.enrolled_at <= facts.arrival.earliest and (
            phone.revoked_at is None or phone.revoked_at >= facts.departure.latest
        )
        wrote, visits = phone.wrote_beside
        if phone.staff_id not in facts.present_team or phone.staff_id in writers or not is_in_use:
            continue
        if visits >= USUAL_OF and wrote / visits >= USUAL:
            yield Finding(
                check="solo-device",
                rule="C14",
                severity="minor",
                claim="team_present",
                observation={"staff_id": str(phone.staff_id), "usually": f"{wrote}/{visits}"},
                citation={"device_id": str(phone.id)},
                confidence=0.35,
                about=str(phone.staff_id),
            )


def _differs(
    where: str, present: frozenset[UUID], expected: frozenset[UUID], cited: Mapping[str, str]
) -> Finding:
    return Finding(
        check="team-differs",
        rule="C14",
        severity="serious",
        claim="team_present",
        observation={
            "in": where,
            "missing": sorted(str(member) for member in expected - present),
            "extra": sorted(str(member) for member in present - expected),
        },
        citation=cited,
        about=where,
    )

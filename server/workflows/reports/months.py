"""How does a month's assessment leave the house as a file?

All of it from one snapshot: closed months from what was kept at their closing, open ones as a preview.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from server.authority import Actor
from server.database import snapshot
from server.reports.composing import Heading
from server.reports.month import MonthFigures, PersonLine, ProposalLine, compose_month, rules_of
from server.workflows.assessments import showing
from server.workflows.assessments.showing import Shown
from server.workflows.reports.keeping import Days, Format, Made, keep, write
from server.workflows.standing_packs import local_zone

PEOPLE_AT_ONCE = 200


def make(first: date, *, branch: str | None, format: Format, lang: str, actor: Actor, now: datetime) -> Made:
    """Write a month's assessment (of one branch) into a file and record its digest."""
    last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    heading = Heading(
        kind="assessment",
        lang=lang,
        first=str(first),
        last=str(last),
        client="",
        made_at=now.replace(microsecond=0),
        made=f"{now.astimezone(local_zone()):%Y-%m-%d %H:%M}",
    )
    with snapshot():
        written = write(compose_month(heading, _figures(first, branch)), format)
    return keep(written, Days("assessment", first, last), actor=actor, now=now)


def _figures(first: date, branch: str | None) -> MonthFigures:
    found, people = showing.summary(first), list(_people(first, branch))
    return MonthFigures(
        revision=found.closed and found.closed.revision,
        sha256=found.closed and found.closed.sha256.hex(),
        is_intact=found.is_intact,
        has_changed_since=found.has_changed_since,
        people=[_person(one) for one in people],
        proposals=[line for one in people for line in _proposals(one)],
    )


def _people(first: date, branch: str | None) -> Iterator[Shown]:
    """Give everybody against whom something is held, page by page."""
    after = None
    while page := showing.people(first, branch=branch, after=after, limit=PEOPLE_AT_ONCE):
        yield from page
        after = page[-1].staff.id


def _person(one: Shown) -> PersonLine:
    found = one.assessment
    return PersonLine(
        branch=found.branch,
        employee_number=one.staff.employee_number,
        name=one.staff.name,
        counted=f"{found.counted} / {found.tolerated}",
        least_fen=found.least_fen,
        most_fen=found.most_fen,
        lawful_fen=found.lawful_fen and found.lawful_fen[1],
        upheld_fen=one.upheld_fen,
    )


def _proposals(one: Shown) -> Iterator[ProposalLine]:
    for proposal in one.assessment.proposals:
        decided = one.decisions.get(proposal.key)
        yield ProposalLine(
            branch=one.assessment.branch,
            employee_number=one.staff.employee_number,
            name=one.staff.name,
            rule=proposal.rule,
            least_fen=proposal.least_fen,
            most_fen=proposal.most_fen,
            with_warning=proposal.with_warning,
            evidence=rules_of([cited.rule for cited in proposal.evidence]),
            decision=decided and decided.decision,
            amount_fen=decided and decided.amount_fen,
        )

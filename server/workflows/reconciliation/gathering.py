"""What does the office know of one visit? A fixed number of queries, whatever the visit holds."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db, release_connection
from server.models.cases import Address
from server.models.dispatch import Assignment, AssignmentMember, Decision
from server.models.evidence import Evidence
from server.models.letters import Letter, LetterTemplate
from server.models.people import Device
from server.models.retention import Erasure
from server.models.visits import Account, Item, Visit
from server.reconcile.facts import AccountFact, LetterFact, Limits, VisitFacts
from server.rules import facts as rule_facts
from server.rules.engine import judge_afterwards
from server.rules.evidence import REQUEST_OR_RETURN, fault_of
from server.rules.local_time import at_local, local_day
from server.rules.pack import RulePack
from server.rules.verdict import Reason
from server.workflows.case_facts import load_calendar, load_case_facts
from server.workflows.contact_facts import load_elsewhere
from server.workflows.reconciliation.elsewhere import reuses
from server.workflows.reconciliation.evidence import evidence_fact, gaps_explained, read_place, surveyed
from server.workflows.reconciliation.heard_before import same_sounds
from server.workflows.reconciliation.payments import doubtful_payments
from server.workflows.reconciliation.records import accounts_aside, loose_files, records_of
from server.workflows.reconciliation.same_people import earlier_accounts, stops
from server.workflows.reconciliation.shown_clocks import shown_clocks
from server.workflows.reconciliation.transcripts import transcripts
from server.workflows.standing_packs import active_pack, pack_of_case
from sync.clock import Interval

LIMITS: Final = Limits()


def gather(visit_id: UUID, *, now: datetime) -> VisitFacts | None:
    """Load everything one reconciliation looks at: a fixed number of queries.

    None: no such visit, or what it could be judged by was erased; then its findings stay as they are.
    """
    erased = sa.exists().where(Erasure.debtor_id == sa.func.coalesce(Visit.debtor_id, Assignment.debtor_id))
    row = db.session.execute(
        sa.select(Visit, Assignment, Address.latitude, Address.longitude, Address.datum, Address.status)
        .outerjoin(Assignment, Assignment.id == Visit.assignment_id)
        .outerjoin(Address, Address.id == Assignment.address_id)
        .where(Visit.id == visit_id, ~erased)
        .execution_options(populate_existing=True)
    ).first()
    if row is None:
        return None
    visit, assignment = row.Visit, row.Assignment
    at = visit.visited_at
    pack = active_pack(at) if assignment is None else pack_of_case(assignment.case_id, at)
    evidence = db.session.scalars(
        sa.select(Evidence).where(Evidence.visit_id == visit_id).execution_options(populate_existing=True)
    ).all()
    heard, shown = transcripts(visit_id), shown_clocks(visit_id)
    written = records_of(visit)
    assigned = None if assignment is None else _team(assignment.id)
    revisions = tuple(_revision(account) for account in _accounts(visit_id))
    facts = VisitFacts(
        visit_id=visit_id,
        judged_at=now,
        arrival=Interval.kept(visit.arrived_earliest, visit.arrived_latest, visit.arrived_method),
        departure=_departure(visit),
        assigned_team=assigned,
        present_team=frozenset(visit.team),
        address=surveyed(row),
        check_in=read_place(visit.arrived_at_position),
        check_out=read_place(visit.left_at_position),
        account=_live(revisions),
        revisions=revisions,
        evidence=tuple(
            sorted((evidence_fact(one, heard, shown) for one in evidence), key=lambda one: one.id)
        ),
        account_due_at=_account_due(visit, pack),
        accounts_aside=accounts_aside(visit),
        evidence_due_at=visit.evidence_due_at,
        reuses=reuses(visit_id, distance=LIMITS.picture_distance),
        same_sounds=same_sounds(visit_id),
        flags=_flags(visit, assigned),
        broken_rules=() if assignment is None else _broken_rules(visit, assignment, pack=pack, now=now),
        letters=None if assignment is None else _letters(assignment.id),
        is_address_verified=None if row.status is None else row.status == "verified",
        zone=pack.zone,
        pack=pack.ident,
        lexicon=pack.lexicon,
        earlier_accounts=earlier_accounts(visit),
        stops=stops(visit),
        gaps_explained=gaps_explained(visit, team=assigned or ()),
        items=written.items,
        phones=written.phones,
        chain_gaps=written.chain_gaps,
        loose_files=loose_files(visit),
        payments=() if assignment is None else doubtful_payments(assignment.case_id, visit, now=now),
        has_check_in=visit.started_item is not None,
        step_items={
            step: item
            for step, item in (("check_in", visit.started_item), ("check_out", visit.ended_item))
            if item is not None
        },
    )
    release_connection()
    return facts


def _accounts(visit_id: UUID) -> Sequence[Account]:
    return db.session.scalars(
        sa.select(Account).where(Account.visit_id == visit_id).order_by(Account.received_at, Account.id)
    ).all()


def _revision(account: Account) -> AccountFact:
    return AccountFact(
        id=account.id,
        parent_id=account.parent_id,
        claims=account.claims,
        narrative=account.narrative,
        received_at=account.received_at,
    )


def _live(revisions: Sequence[AccountFact]) -> AccountFact | None:
    """Return the revision that counts: the newest that nothing amends."""
    amended = {revision.parent_id for revision in revisions}
    heads = [revision for revision in revisions if revision.id not in amended]
    return max(heads, key=lambda revision: (revision.received_at, revision.id), default=None)


def _departure(visit: Visit) -> Interval | None:
    if visit.left_earliest is None or visit.left_latest is None:
        return None
    return Interval.kept(visit.left_earliest, visit.left_latest, visit.left_method)


def _team(assignment_id: UUID) -> frozenset[UUID]:
    members = sa.select(AssignmentMember.staff_id).where(AssignmentMember.assignment_id == assignment_id)
    return frozenset(db.session.scalars(members))


def _letters(assignment_id: UUID) -> tuple[LetterFact, ...]:
    """Return what the team was given to deliver."""
    rows = db.session.execute(
        sa.select(Letter.id, LetterTemplate.reference, LetterTemplate.kind, Letter.recipient)
        .join(LetterTemplate, LetterTemplate.id == Letter.template_id)
        .where(Letter.assignment_id == assignment_id)
        .order_by(Letter.id)
    )
    return tuple(LetterFact(*row) for row in rows)


def _flags(visit: Visit, assigned: frozenset[UUID] | None) -> frozenset[str]:
    """Collect what the inbox noted on the team's items; anybody can name a visit."""
    team = {visit.staff_id, *visit.team, *(assigned or ())}
    noted = (
        sa.select(sa.func.unnest(Item.flags))
        .join(Device, Device.id == Item.device_id)
        .where(Item.visit_id == visit.id, Device.staff_id.in_(team))
    )
    return frozenset(db.session.scalars(noted.distinct()))


def _account_due(visit: Visit, pack: RulePack) -> datetime | None:
    """Return the end of the working day on which the account is due; None in an unpublished year."""
    left = local_day(visit.left_latest or visit.arrived_latest, pack.zone)
    calendar = load_calendar(left.year, left.year + 1)
    due_day = calendar.working_day_after(left, pack.report_due_working_days)
    return None if due_day is None else at_local(due_day + timedelta(days=1), time(0), pack.zone)


def _broken_rules(
    visit: Visit, assignment: Assignment, *, pack: RulePack, now: datetime
) -> tuple[Reason, ...]:
    """Judge the assignment rules again, on the actual times, place and team."""
    facts = load_case_facts(
        case_id=assignment.case_id,
        address_id=assignment.address_id,
        team=visit.team,
        around=visit.visited_at,
        now=now,
        zone=pack.timezone,
    )
    actual = rule_facts.ActualVisit(
        visit_id=visit.id,
        arrival=rule_facts.Interval(visit.arrived_earliest, visit.arrived_latest),
        departure=None
        if visit.left_earliest is None or visit.left_latest is None
        else rule_facts.Interval(visit.left_earliest, visit.left_latest),
        team=tuple(visit.team),
        address_id=assignment.address_id,
        assignment_id=assignment.id,
    )
    last = actual.arrival.latest if actual.departure is None else actual.departure.latest
    elsewhere = load_elsewhere(
        actual.team,
        visit_id=visit.id,
        assignment_id=assignment.id,
        start=actual.arrival.earliest,
        end=last,
    )
    case = replace(facts.case, hardship_since=_hardship_since(assignment))
    facts = replace(facts, case=case, elsewhere=elsewhere)
    return judge_afterwards(actual, _with_named_wish(facts, actual, assignment, pack=pack), pack).reasons


def _with_named_wish(
    facts: rule_facts.CaseFacts, actual: rule_facts.ActualVisit, assignment: Assignment, *, pack: RulePack
) -> rule_facts.CaseFacts:
    """Have a wish that was named for the visit, and not needed then, serve it as long as it serves no other.

    What made it needed, such as another agency's visit, may have become known too late to judge it again.
    """
    decision = db.session.get_one(Decision, assignment.decision_id)
    named = decision.wanted.get("evidence_entry_id")
    entry, day = named and UUID(named), local_day(actual.arrival.earliest, pack.zone)
    if fault_of(entry, day=day, facts=facts, pack=pack, channels=REQUEST_OR_RETURN) is not None:
        return facts
    first = (
        sa.select(Visit.id)
        .join(Assignment, Assignment.id == Visit.assignment_id)
        .join(Decision, Decision.id == Assignment.decision_id)
        .where(Assignment.debtor_id == assignment.debtor_id)
        .where(Decision.wanted["evidence_entry_id"].astext == named)
        .order_by(Visit.arrived_earliest, Visit.id)
        .limit(1)
    )
    if db.session.scalar(first) != actual.visit_id:
        return facts
    requests = (
        replace(one, used_by=assignment.id) if one.entry_id == entry else one for one in facts.requests
    )
    return replace(facts, requests=tuple(requests))


def _hardship_since(assignment: Assignment) -> datetime | None:
    """When hardship was certainly known: the decision that granted the visit kept what was known then."""
    decision = db.session.get_one(Decision, assignment.decision_id)
    return decision.judged_at if decision.facts.get("case", {}).get("hardship") else None

"""What do the house rules propose for one person's month, by which evidence, and how much of it is lawful?

Pure: the same facts and the same tariff give the same proposals, in whatever order the facts come. A
proposal is never a deduction. One deed is charged once: what is part of a proven fraud is not charged as an
inconsistent record as well, be the fraud another month's, and what is charged by itself does not fill the
tolerance of ten.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from server.auditing.repeating import Measure, measure_for
from server.reports.facts import Breach, Kind, PersonMonth, Wage
from server.reports.tariff import Tariff


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where to look. `rule` is the rule that was broken there."""

    kind: Kind
    id: UUID
    rule: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """One charge that the rules would make. Both amounts None: the source names none (E5).

    `key` is the proposal's name within the month, the same whenever it is computed. `with_warning`: the rule
    also asks for a formal warning. `notes`: what a person has to know before deciding.
    """

    key: str
    rule: str
    least_fen: int | None
    most_fen: int | None
    evidence: tuple[Evidence, ...]
    with_warning: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MeasureDue:
    """What follows from one problem (E8): what the breach desk wrote down, or would write down now."""

    check: str
    rule: str
    measure: Measure
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that wage law would let anybody deduct in this month; None: it could not be told."""

    most_fen: int | None
    because: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """A person's month: `counted` of `tolerated` breaches, proposals, their sum as a range, and the limit."""

    staff_id: UUID
    branch: str
    counted: int
    tolerated: int
    proposals: tuple[Proposal, ...]
    measures: tuple[MeasureDue, ...]
    least_fen: int
    most_fen: int
    limit: Limit
    is_open_ended: bool
    """Whether a proposal without an amount is among them."""

    @property
    def lawful_fen(self) -> tuple[int, int] | None:
        """Return the range as far as the limit allows it; None where the limit could not be told."""
        most = self.limit.most_fen
        return None if most is None else (min(self.least_fen, most), min(self.most_fen, most))


@dataclass(frozen=True, slots=True, order=True)
class _Item:
    """One breach that counts: a rule broken on a visit or a case, however many findings say so."""

    on: str
    about: str
    rule: str
    evidence: tuple[Evidence, ...]


def assess(person: PersonMonth, tariff: Tariff) -> Assessment:
    """Say what the rules propose for this person's month."""
    in_fraud = {one for fraud in person.frauds for one in fraud.finding_ids}
    left = [one for one in person.breaches if one.finding_id not in in_fraud and one.severity != "note"]
    inconsistent = [one for one in left if _is_inconsistent(one, tariff)]
    balances = [one for one in left if one.rule in tariff.balance_rules]
    charged = {one.finding_id for one in (*inconsistent, *balances)}
    items = _items(person, [one for one in left if one.finding_id not in charged])
    proposals = (
        *_excess(items, tariff),
        *_inconsistent(inconsistent, tariff),
        *_complaints(person, tariff),
        *_frauds(person, tariff),
        *_balances(balances, person.records_handled, tariff),
    )
    return Assessment(
        staff_id=person.staff_id,
        branch=person.branch,
        counted=len(items),
        tolerated=tariff.tolerated,
        proposals=proposals,
        measures=_measures(person),
        least_fen=sum(one.least_fen or 0 for one in proposals),
        most_fen=sum(one.most_fen or 0 for one in proposals),
        limit=limit_of(person.wage, tariff),
        is_open_ended=any(one.most_fen is None for one in proposals),
    )


def _is_inconsistent(breach: Breach, tariff: Tariff) -> bool:
    return breach.rule in tariff.inconsistent_rules and breach.severity in tariff.inconsistent_severities


def _cite(breaches: Sequence[Breach]) -> tuple[Evidence, ...]:
    ordered = sorted(breaches, key=lambda one: (one.on, str(one.finding_id)))
    return tuple(Evidence("finding", one.finding_id, one.rule) for one in ordered)


def _items(person: PersonMonth, breaches: Sequence[Breach]) -> list[_Item]:
    """Count a rule once a visit, and a missed clock once; in the order of their days."""
    of_visit: dict[tuple[UUID, str], list[Breach]] = defaultdict(list)
    for breach in breaches:
        of_visit[breach.visit_id, breach.rule].append(breach)
    visits = [
        _Item(min(one.on for one in found).isoformat(), str(visit), rule, _cite(found))
        for (visit, rule), found in of_visit.items()
    ]
    clocks = [
        _Item(
            one.on.isoformat(),
            f"{one.case_id}:{one.opened_on}",
            one.rule,
            (Evidence("clock", one.case_id, one.rule),),
        )
        for one in person.missed
    ]
    return sorted((*visits, *clocks), key=lambda one: (one.on, one.about, one.rule))


def _excess(items: Sequence[_Item], tariff: Tariff) -> Iterator[Proposal]:
    """Charge each breach from the one after the tolerated ones (E1, E2)."""
    for item in items[tariff.tolerated :]:
        is_clock = item.evidence[0].kind == "clock"
        yield Proposal(
            key=f"E2:{item.about}:{item.rule}",
            rule="E1" if is_clock else "E2",
            least_fen=tariff.excess_fen,
            most_fen=tariff.excess_fen,
            evidence=item.evidence,
        )


def _inconsistent(breaches: Sequence[Breach], tariff: Tariff) -> Iterator[Proposal]:
    """Charge a visit whose record does not hold once, with everything that shows it (E3)."""
    of_visit: dict[UUID, list[Breach]] = defaultdict(list)
    for breach in breaches:
        of_visit[breach.visit_id].append(breach)
    for visit_id in sorted(of_visit, key=lambda one: (min(b.on for b in of_visit[one]), str(one))):
        yield Proposal(
            key=f"E3:{visit_id}",
            rule="E3",
            least_fen=tariff.inconsistent_fen,
            most_fen=tariff.inconsistent_fen,
            evidence=_cite(of_visit[visit_id]),
            with_warning=True,
        )


def _complaints(person: PersonMonth, tariff: Tariff) -> Iterator[Proposal]:
    """Charge each serious complaint; one about a visit comes by way of E7, whose reference dangles (AMB9)."""
    for one in sorted(person.complaints, key=lambda complaint: (complaint.on, str(complaint.complaint_id))):
        rule = "E7" if one.on_visit else "E4"
        yield Proposal(
            key=f"E4:{one.complaint_id}",
            rule=rule,
            least_fen=tariff.complaint_fen,
            most_fen=tariff.complaint_fen,
            evidence=(Evidence("complaint", one.complaint_id, rule),),
            notes=("reference-dangles-read-as-E4",) if one.on_visit else (),
        )


def _frauds(person: PersonMonth, tariff: Tariff) -> Iterator[Proposal]:
    """Propose the range for each fraud of the month; a supervisor chooses inside it (E6)."""
    of_month = [one for one in person.frauds if one.on.replace(day=1) == person.month]
    for one in sorted(of_month, key=lambda fraud: (fraud.on, str(fraud.fraud_id))):
        findings = tuple(Evidence("finding", found, "E6") for found in sorted(one.finding_ids, key=str))
        yield Proposal(
            key=f"E6:{one.fraud_id}",
            rule="E6",
            least_fen=tariff.fraud_least_fen,
            most_fen=tariff.fraud_most_fen,
            evidence=(Evidence("fraud", one.fraud_id, "E6"), *findings),
            notes=("choose-an-amount",),
        )


def _balances(breaches: Sequence[Breach], handled: int, tariff: Tariff) -> Iterator[Proposal]:
    """Say that too many amounts differ from the client's; what that costs the source leaves blank (E5)."""
    if not breaches or len(breaches) * 1000 <= tariff.balance_per_thousand * handled:
        return
    yield Proposal(
        key="E5",
        rule="E5",
        least_fen=None,
        most_fen=None,
        evidence=_cite(breaches),
        notes=("amount-missing-in-source",) if handled else ("amount-missing-in-source", "nothing-handled"),
    )


def _measures(person: PersonMonth) -> tuple[MeasureDue, ...]:
    """Say of each problem what follows; of two measures the graver one."""
    of_check: dict[tuple[str, str], list[Breach]] = defaultdict(list)
    for breach in person.breaches:
        if breach.severity != "note":
            of_check[breach.check, breach.rule].append(breach)
    return tuple(
        MeasureDue(check, rule, max(_measure(one, person) for one in found), _cite(found))
        for (check, rule), found in sorted(of_check.items())
    )


def _measure(breach: Breach, person: PersonMonth) -> Measure:
    """Return what was written down, else what would be; "discipline" is the greater word, too."""
    return breach.measure or measure_for(person.told_of & {breach.check})


def limit_of(wage: Wage | None, tariff: Tariff) -> Limit:
    """Return the most that may go off a wage: a fifth of it, and never below the local minimum (AMB8)."""
    if wage is None:
        return Limit(None, "no-wage-on-record")
    share = wage.wage_fen * tariff.limit_percent // 100
    above_minimum = max(0, wage.wage_fen - wage.minimum_fen)
    return Limit(share, "share-of-wage") if share <= above_minimum else Limit(above_minimum, "minimum-wage")

"""A day at the sample agency, from assignment to audited visit, on real parts.

A dispatcher is refused and then granted visits; three phones work offline with real photos and recordings
and sync over a network that keeps breaking; an auditor is shown which accounts do not fit. Every sentence
with a mark is checked; a second run goes on with the same data and doubles nothing.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx

from server.demo.agency import (
    AUDITOR,
    CASES,
    DAY,
    DISPATCHER,
    HOLIDAY,
    LIN,
    LIN_MATE,
    QIAN,
    QIAN_MATE,
    SUPERVISOR,
    TEAMS,
    TOMORROW,
    TRAINEE,
    ZHAO,
    ZHAO_MATE,
    at,
)
from server.demo.day import Handset, Plan, open_handset, sync_until_done, work
from server.demo.network import BreakingNetwork
from server.demo.office import ADMIN, Desk, Office, Refused
from server.demo.telling import Teller
from server.readiness import var_folder

MORNING: Final = at(DAY, 8, 30)
NOON: Final = at(DAY, 11, 45)
EVENING: Final = at(DAY, 18, 40)
SETTLE_SECONDS: Final = 180
UPLOAD_CUTS: Final = 5
BY_NAME: Final = {case.name: case for case in CASES}

PLANS: Final[Mapping[str, tuple[Plan, ...]]] = {
    LIN.number: (
        Plan("honest", at(DAY, 10), has_letter=True),
        Plan(
            "hardship",
            at(DAY, 14),
            narrative="债务人患病在家，已温和说明情况，未作催促。",
            amendment="补充：债务人离开前表示下周还款五百元。",
        ),
    ),
    ZHAO.number: (
        Plan("held", at(DAY, 13, 30)),
        Plan("reused", at(DAY, 15, 30), photo_of="held"),
    ),
    QIAN.number: (
        Plan("cut", at(DAY, 9, 40)),
        Plan("short", at(DAY, 11), recorded=timedelta(seconds=20)),
        Plan(
            "faked",
            at(DAY, 16),
            is_faked=True,
            narrative="债务人态度恶劣，骂他老赖后离开，并收取现金五百元。",
        ),
    ),
}
# What the auditor must find: every finding above a note, and the notes that matter.
EXPECTED: Final[Mapping[str, set[str]]] = {
    "honest": set(),
    "hardship": {"amendment-reverses"},
    "held": {"visited-under-hold"},
    "reused": {"same-picture"},
    "cut": set(),
    "short": {"recording-too-short"},
    "faked": {
        "check-in-elsewhere",
        "mock-location",
        "photo-elsewhere",
        "wording-insult",
        "wording-cash",
    },
}


def demo_folder(environ: Mapping[str, str]) -> Path:
    """Return where the story keeps what it must remember: the clock, passwords, the phones."""
    return var_folder(environ).absolute() / "demo"


def environment(now: datetime) -> Mapping[str, str]:
    """Return the settings the story needs: a clock that it can turn."""
    folder = demo_folder(os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    turn_clock(folder, EVENING if (folder / "day-is-over").exists() else MORNING, now=now)
    return {"CLOCK_SHIFT_FILE": str(folder / "clock")}


def turn_clock(folder: Path, moment: datetime, *, now: datetime) -> None:
    """Make it `moment` on the server; the file appears whole."""
    draft = folder / "clock.draft"
    draft.write_text(str((moment - now).total_seconds()))
    draft.replace(folder / "clock")


def run(base_url: str, *, environ: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Tell the story on the running product; 0 when every step came out as told."""
    teller = Teller(say)
    with httpx.Client(base_url=base_url, timeout=60) as http:
        story = Story(base_url, http, environ=environ, teller=teller)
        story.tell()
    if teller.failures:
        say(f"\n{len(teller.failures)} of {teller.steps} steps did not come out as told:")
        for sentence in teller.failures:
            say(f"  ✗ {sentence}")
        return 1
    say(f"\nAll {teller.steps} steps came out as told. API documentation: {base_url}/api/v1/docs/")
    return 0


@dataclass(slots=True)
class Cast:
    """Who sits at which desk today."""

    dispatcher: Desk
    supervisor: Desk
    auditor: Desk
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)


class Story:
    """The chapters, in order."""

    def __init__(
        self, base_url: str, http: httpx.Client, *, environ: Mapping[str, str], teller: Teller
    ) -> None:
        self.base_url, self.teller = base_url, teller
        self.folder = demo_folder(environ)
        self.office = Office(http, folder=self.folder, environ=environ)
        self.is_over = (self.folder / "day-is-over").exists()
        self.handsets: dict[str, Handset] = {}
        self.http = http

    def tell(self) -> None:
        """Tell all of it."""
        cast = self.the_office_opens()
        self.phones_enrol(cast)
        self.gates_refuse(cast)
        self.visits_are_granted(cast)
        self.three_phones_work_offline(cast)
        self.phones_come_back()
        self.evidence_settles(cast)
        self.an_auditor_looks(cast)
        (self.folder / "day-is-over").touch()

    def clock(self, moment: datetime) -> None:
        """Turn the server's clock forward; on a later run the day is over already."""
        if not self.is_over:
            turn_clock(self.folder, moment, now=datetime.now(UTC))

    def server_now(self) -> datetime:
        """Return what the server's clock shows: honest phones show the same."""
        return datetime.now(UTC) + timedelta(seconds=float((self.folder / "clock").read_text()))

    # The office.

    def the_office_opens(self) -> Cast:
        """The administrator, the staff, the client's file."""
        self.teller.chapter(f"{DAY:%A %d %B %Y}, 08:30 in Beijing: the office opens")
        is_first = self.office.open()
        admin = self.office.sign_in(ADMIN)
        self.office.hire(admin)
        everybody = {person["employee_number"] for person in admin.get("/staff", limit=200)["staff"]}
        self.teller.check(len(everybody) == 11, "eleven people work here", found=len(everybody))
        cast = Cast(
            dispatcher=self.office.sign_in(DISPATCHER.number),
            supervisor=self.office.sign_in(SUPERVISOR.number),
            auditor=self.office.sign_in(AUDITOR.number),
        )
        report = self.office.load_cases(cast.dispatcher, day=DAY)
        total = sum(report[name] for name in ("created", "updated", "unchanged"))
        self.teller.check(report["rejected"] == 0, f"the client's file is in: {total} rows", found=report)
        expected = "created" if is_first else "unchanged"
        self.teller.check(report[expected] == total, f"every row of it was {expected}", found=report)
        listed = cast.dispatcher.get("/cases", limit=200)["cases"]
        for row in listed:
            case = cast.dispatcher.get(f"/cases/{row['id']}")
            cast.cases[case["reference"].removeprefix("case-")] = case
        self.teller.check(len(cast.cases) == len(CASES), f"{len(CASES)} cases", found=len(cast.cases))
        shown = cast.cases["honest"]["debtor"]["name"]
        self.teller.check("*" in shown, f"debtors' names are masked in lists: {shown}", found=shown)
        return cast

    def phones_enrol(self, cast: Cast) -> None:
        """Each lead visitor's phone gets a key of its own and a one-time code."""
        for number, team in TEAMS.items():
            members = [UUID(self.office.ids[one.number]) for one in team]
            handset = open_handset(self.folder / "phones" / number, team=members)
            self.handsets[number] = handset
            if not handset.phone.is_enrolled:
                body = {"staff_id": self.office.ids[number]}
                code = cast.dispatcher.post("/enrolment-codes", body)["code"]
                handset.phone.enrol(code, http=self.http)
        enrolled = sum(one.phone.is_enrolled for one in self.handsets.values())
        self.teller.check(enrolled == 3, "three phones are enrolled, each with a key of its own")

    # Dispatch.

    def _wanted(self, cast: Cast, name: str, start: datetime, *team: Any, **more: Any) -> dict[str, Any]:
        case = cast.cases[name]
        end = more.pop("end", start + timedelta(hours=1, minutes=20))
        people = [self.office.ids[one.number] for one in team]
        return {
            "case_id": case["id"],
            "address_id": case["addresses"][0]["id"],
            "window": {"start": start.isoformat(), "end": end.isoformat()},
            "team": people,
            "lead": people[0],
            **more,
        }

    def _refused(self, cast: Cast, rule: str, sentence: str, wanted: Mapping[str, Any]) -> None:
        """Ask for a visit that must be refused for this rule; a later run asks without leaving a trace."""
        try:
            if self.is_over:
                verdict = cast.dispatcher.post("/assignments/check", wanted)
                reasons, is_refused = verdict["reasons"], not verdict["allowed"]
            else:
                cast.dispatcher.post("/assignments", wanted)
                reasons, is_refused = [], False
        except Refused as refusal:
            reasons, is_refused = refusal.problem.get("reasons", []), True
        speaking = next((one for one in reasons if one["rule"] == rule), None)
        quotation = f" 「{speaking['quotation'][:24]}…」" if speaking and speaking["quotation"] else ""
        since = f", possible from {speaking['allowed_from']}" if speaking and speaking["allowed_from"] else ""
        self.teller.check(
            is_refused and speaking is not None,
            f"refused by {rule}: {sentence}{quotation}{since}",
            found=[one["rule"] for one in reasons],
        )

    def gates_refuse(self, cast: Cast) -> None:
        """What the rules do not allow is refused, with the rule and the first moment it becomes possible."""
        self.teller.chapter("The dispatcher asks for visits that must not happen")
        nine, lin, zhao = at(TOMORROW, 9), (LIN, LIN_MATE), (ZHAO, ZHAO_MATE)
        self._holds(cast)
        unpublished = max(one["year"] for one in cast.dispatcher.get("/calendar")["years"]) + 1
        for rule, sentence, name, start, team, more in (
            ("T1", "before eight in the morning", "honest", at(TOMORROW, 7), lin, {}),
            (
                "T1",
                "until after nine at night",
                "honest",
                at(TOMORROW, 19, 50),
                lin,
                {"end": at(TOMORROW, 21, 1)},
            ),
            ("T2", "a start after 20:00", "honest", at(TOMORROW, 20, 10), lin, {"end": at(TOMORROW, 20, 50)}),
            ("A12", "on the Dragon Boat holiday", "honest", at(HOLIDAY, 10), lin, {}),
            ("X6", "in a year nobody published", "honest", at(date(unpublished, 3, 2), 10), lin, {}),
            ("A9", "a second visit in a week to somebody in hardship", "hardship-visited", nine, lin, {}),
            ("A10", "three visitors at a hardship case", "hardship", nine, (*lin, ZHAO), {}),
            ("A5", "an address nobody verified", "unverified", nine, lin, {}),
            ("D23", "the address of a colleague", "third-party", nine, lin, {}),
            ("A7", "a debtor on the client's do-not-collect list", "listed", nine, lin, {}),
            ("D4", "an identity in dispute", "third-party", nine, lin, {}),
            ("D11", "an amount in dispute", "third-party", nine, lin, {}),
            ("D25", "a complaint that stands open", "third-party", nine, lin, {}),
            ("G22", "a lead who failed the exam", "honest", nine, (TRAINEE, LIN_MATE), {}),
            ("A10", "three people without a supervisor's word", "honest", nine, (*zhao, QIAN), {}),
        ):
            self._refused(cast, rule, sentence, self._wanted(cast, name, start, *team, **more))
        self._budget(cast)

    def _holds(self, cast: Cast) -> None:
        """Raise the holds that the gates ask about, once."""
        for name, reasons in (
            ("listed", ["do_not_collect"]),
            ("third-party", ["identity_disputed", "amount_disputed", "complaint"]),
        ):
            case_id = cast.cases[name]["id"]
            standing = {one["reason"] for one in cast.supervisor.get(f"/cases/{case_id}")["holds"]}
            for reason in reasons:
                if reason not in standing:
                    body = {"reason": reason, "note": "story"}
                    cast.supervisor.post(f"/cases/{case_id}/holds", body)

    def _budget(self, cast: Cast) -> None:
        """Two visits a day; a third only on the debtor's own request; never a fourth (A3)."""
        teams = ((LIN, LIN_MATE), (ZHAO, ZHAO_MATE), (QIAN, QIAN_MATE))
        hours = (9, 11, 14)
        for hour, team in zip(hours[:2], teams[:2], strict=True):
            self._grant(cast, self._wanted(cast, "popular", at(TOMORROW, hour), *team))
        third = self._wanted(cast, "popular", at(TOMORROW, hours[2]), *teams[2])
        if not self._granted(cast, third):
            self._refused(cast, "A3", "a third visit in one day", third)
        ledger = cast.dispatcher.get(f"/cases/{cast.cases['popular']['id']}/ledger")["entries"]
        request = next(one for one in ledger if one["asks_for_visit"])
        self._grant(cast, {**third, "evidence_entry_id": request["id"]})
        held = self._granted(cast, third)
        self.teller.check(held is not None, "a third visit is granted on the debtor's own logged request")
        fourth = self._wanted(cast, "popular", at(TOMORROW, 17), *teams[2])
        self._refused(
            cast, "A3", "a fourth visit, evidence or not", {**fourth, "evidence_entry_id": request["id"]}
        )
        double = self._wanted(cast, "cut", at(TOMORROW, 9, 30), LIN, LIN_MATE)
        self._refused(cast, "X2", "a team that is elsewhere at that hour", double)

    def _granted(self, cast: Cast, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the assignment an earlier step or run got for this case and start."""
        start = datetime.fromisoformat(wanted["window"]["start"])
        page = cast.dispatcher.get("/assignments", case_id=wanted["case_id"], limit=200)
        return next(
            (one for one in page["assignments"] if datetime.fromisoformat(one["window"]["start"]) == start),
            None,
        )

    def _grant(self, cast: Cast, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Get a visit assigned, or find that it is."""
        return self._granted(cast, wanted) or cast.dispatcher.post("/assignments", wanted)

    def visits_are_granted(self, cast: Cast) -> None:
        """Seven visits for three teams; the phones fetch their permits in the morning."""
        self.teller.chapter("Seven visits are granted; the phones fetch their permits")
        count = 0
        for number, plans in PLANS.items():
            for plan in plans:
                wanted = self._wanted(cast, plan.case, plan.arrives - timedelta(minutes=20), *TEAMS[number])
                letters = [{"template": "reminder-1", "recipient": "debtor"}] if plan.has_letter else []
                self._grant(cast, {**wanted, "letters": letters})
                count += 1
        self.teller.check(count == 7, "seven visits stand in the debtors' budgets")
        if self.is_over:
            return
        for number, handset in self.handsets.items():
            handset.watch.now = self.server_now()
            handset.phone.sync(httpx.Client(base_url=self.base_url, timeout=30))
            mine = {held.body["case"]["reference"].removeprefix("case-") for held in handset.phone.today()}
            wanted_cases = {plan.case for plan in PLANS[number]}
            self.teller.check(
                wanted_cases <= mine,
                f"{number}'s phone holds signed permits for {len(wanted_cases)} visits",
                found=mine,
            )
        notices = self._held(LIN.number, "hardship").permit["notices"]
        self.teller.check(
            any("hardship" in notice for notice in notices), "the hardship permit says: gentle", found=notices
        )

    def _held(self, number: str, case: str) -> Any:
        return next(
            one
            for one in self.handsets[number].phone.today()
            if one.body["case"]["reference"] == f"case-{case}"
        )

    # The field.

    def three_phones_work_offline(self, cast: Cast) -> None:
        """No network all day. At noon a debtor complains in the office; the phone cannot know."""
        self.teller.chapter("Three phones work offline")
        if self.is_over:
            self.teller.tell("(they did so in an earlier run; their outboxes still hold the day)")
            return
        early = self._held(LIN.number, "honest")
        why = self.handsets[LIN.number].phone.may_enter_now(early, team=self.handsets[LIN.number].team)
        self.teller.check(
            "outside the permitted time" in why,
            "before the door too early: the phone itself says no",
            found=why,
        )
        self.clock(NOON)
        case_id = cast.cases["held"]["id"]
        cast.supervisor.post(f"/cases/{case_id}/holds", {"reason": "complaint", "note": "call at 11:40"})
        self.teller.tell("11:45 a complaint stops the case of 13:30; team Zhao is out of reach")
        for number, plans in PLANS.items():
            for plan in plans:
                door = BY_NAME[plan.photo_of or plan.case]
                held = self._held(number, plan.case)
                work(self.handsets[number], plan, BY_NAME[plan.case], held=held, door=door)
                self.teller.tell(f"{plan.arrives:%H:%M} {TEAMS[number][0].name}: {plan.case}")

    def phones_come_back(self) -> None:
        """Evening: the network is bad. Everything must arrive, exactly once."""
        self.teller.chapter("Evening: the phones sync over a network that keeps breaking")
        self.clock(EVENING)
        for seed, (number, handset) in enumerate(self.handsets.items(), start=20260609):
            handset.watch.now = self.server_now()
            cuts = UPLOAD_CUTS if number == QIAN.number and not self.is_over else 0
            quiet = self.is_over
            network = BreakingNetwork(
                seed=seed, lose=0 if quiet else 0.12, lose_answer=0 if quiet else 0.12, cuts=cuts
            )
            if not quiet:
                self.teller.tell(f"{number} (seed {seed})")
            sync_until_done(handset, self.base_url, network, say=lambda line: None)
            self._check_arrival(number, handset, network)

    def _check_arrival(self, number: str, handset: Handset, network: BreakingNetwork) -> None:
        outcomes = handset.phone.outbox.outcomes()
        lost = ", ".join(f"{count} {what}" for what, count in sorted(network.happened.items())) or "no fault"
        self.teller.check(
            all(one["receipt"] for one in outcomes),
            f"{number}: {len(outcomes)} items receipted, files stored, {handset.sessions} sessions ({lost})",
            found=[one["outcome"] for one in outcomes],
        )
        if self.is_over:
            return
        repeated = [one for one in outcomes if one["outcome"] == "duplicate"]
        self.teller.check(
            bool(repeated),
            f"{number}: the push whose answer was lost got the same receipts again",
            found=outcomes,
        )
        if number == QIAN.number:
            self.teller.check(
                network.happened["uploads cut"] == UPLOAD_CUTS,
                f"{number}: uploads were cut {UPLOAD_CUTS} times and went on where they broke off",
                found=dict(network.happened),
            )

    # The audit.

    def _visit_ids(self) -> dict[str, UUID]:
        return {
            case: visit_id for handset in self.handsets.values() for case, visit_id in handset.visits.items()
        }

    def evidence_settles(self, cast: Cast) -> None:
        """The worker verifies digests, inspects every file and reconciles every visit."""
        self.teller.chapter("The worker inspects the evidence and reconciles")
        deadline = time.monotonic() + SETTLE_SECONDS
        waiting = set(self._visit_ids())
        while waiting and time.monotonic() < deadline:
            done = {case for case in waiting if self._is_settled(cast, self._visit_ids()[case])}
            for case in sorted(done):
                self.teller.tell(f"settled: {case}")
            waiting -= done
            if waiting:
                time.sleep(0.5)
        self.teller.check(
            not waiting, "all evidence verified and inspected, all visits reconciled", found=waiting
        )

    def _is_settled(self, cast: Cast, visit_id: UUID) -> bool:
        file = cast.auditor.get(f"/visits/{visit_id}")
        inspected = all(one["state"] == "verified" and one["inspection"] for one in file["evidence"])
        if not inspected or file["visit"]["state"] != "reconciled":
            return False
        newest = max(one["inspected_at"] for one in file["evidence"])
        return file["visit"]["reconciled_at"] >= newest

    def an_auditor_looks(self, cast: Cast) -> None:
        """Worst first; each finding points at something; the uninvolved decide."""
        self.teller.chapter("The auditor sees which accounts do not fit their evidence")
        rows: list[list[str]] = []
        for case, visit_id in sorted(self._visit_ids().items()):
            file = cast.auditor.get(f"/visits/{visit_id}")
            standing = [one for one in file["findings"] if one["state"] != "superseded"]
            found = {one["check"] for one in standing}
            rows += _rows(case, file, standing)
            expected = EXPECTED[case]
            sentence = f"{case}: {', '.join(sorted(expected)) or 'nothing to find'}"
            self.teller.check(found == expected, sentence, found=sorted(found))
        self.teller.say("")
        self.teller.table(["case", "arrived", "claims", "severity", "rule", "finding", "observation"], rows)
        self.teller.say("")
        self._decide(cast)

    def _decide(self, cast: Cast) -> None:
        page = cast.auditor.get("/findings", state="all", limit=200)["findings"]
        ranks = [["note", "minor", "serious", "severe"].index(one["severity"]) for one in page]
        self.teller.check(ranks == sorted(ranks, reverse=True), "the list shows the worst first", found=ranks)
        worst = next((one for one in page if one["check"] == "same-picture"), None)
        if worst is None:
            self.teller.check(False, "there is a reused photo to decide on")
            return
        body = {"decision": "confirmed", "reason": "the same door stands in the visit of 13:30"}
        try:
            cast.dispatcher.post(f"/findings/{worst['id']}/decision", body)
            status = 200
        except Refused as refusal:
            status = refusal.status
        self.teller.check(status == 403, "the dispatcher of the visit may not decide on it", found=status)
        decided = cast.auditor.post(f"/findings/{worst['id']}/decision", body)
        self.teller.check(decided["state"] == "confirmed", "the auditor confirms the reused photo")
        link = cast.auditor.get(f"/evidence/{worst['citation']['evidence_id']}/link")
        part = cast.auditor.fetch(link["content"], byte_range="bytes=0-1")
        self.teller.check(
            (part.status_code, part.content) == (206, b"\xff\xd8"),
            "the cited photo opens through a short-lived link, byte ranges included",
            found=(part.status_code, part.content[:8]),
        )


def _rows(case: str, file: Mapping[str, Any], standing: list[dict[str, Any]]) -> list[list[str]]:
    """Return the table's rows of one visit."""
    arrived = datetime.fromisoformat(file["visit"]["arrived_earliest"]) + timedelta(hours=8)
    marks = [mark["mark"] for mark in file["visit"]["claim_marks"]]
    claims = "/".join(str(marks.count(name)) for name in ("supported", "contradicted", "silent"))
    first = [case, f"{arrived:%H:%M:%S}", claims]
    if not standing:
        return [[*first, "—", "", "nothing to find", ""]]
    rows = []
    for n, one in enumerate(standing):
        told = ", ".join(f"{key}={_short(value)}" for key, value in one["observation"].items())
        rows.append(
            [*(first if n == 0 else ["", "", ""]), one["severity"], one["rule"], one["check"], told[:70]]
        )
    return rows


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:23] + "…"

"""Chapter two: what the rules refuse, and what they grant."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import httpx

from server.demo.agency import (
    HOLIDAY,
    LIN,
    LIN_MATE,
    QIAN,
    QIAN_MATE,
    TEAMS,
    TOMORROW,
    TRAINEE,
    ZHAO,
    ZHAO_MATE,
    at,
)
from server.demo.office import Refused
from server.demo.scene import PLANS, Scene


def gates_refuse(scene: Scene) -> None:
    """What the rules do not allow is refused, with the rule and the first moment it becomes possible."""
    scene.teller.chapter("The dispatcher asks for visits that must not happen")
    nine, lin, zhao = at(TOMORROW, 9), (LIN, LIN_MATE), (ZHAO, ZHAO_MATE)
    _holds(scene)
    years = scene.dispatcher.get("/calendar")["years"]
    unpublished = max(one["year"] for one in years if one["status"] == "published") + 1
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
        _refused(scene, rule, sentence, _wanted(scene, name, start, *team, **more))
    _budget(scene)


def _holds(scene: Scene) -> None:
    """Raise the holds that the gates ask about, once."""
    for name, reasons in (
        ("listed", ["do_not_collect"]),
        ("third-party", ["identity_disputed", "amount_disputed", "complaint"]),
    ):
        case_id = scene.cases[name]["id"]
        standing = {one["reason"] for one in scene.supervisor.get(f"/cases/{case_id}")["holds"]}
        for reason in reasons:
            if reason not in standing:
                body = {"reason": reason, "note": "story"}
                scene.supervisor.post(f"/cases/{case_id}/holds", body)


def _budget(scene: Scene) -> None:
    """Two visits a day; a third only on the debtor's own request; never a fourth (A3)."""
    teams = ((LIN, LIN_MATE), (ZHAO, ZHAO_MATE), (QIAN, QIAN_MATE))
    hours = (9, 11, 14)
    for hour, team in zip(hours[:2], teams[:2], strict=True):
        _grant(scene, _wanted(scene, "popular", at(TOMORROW, hour), *team))
    third = _wanted(scene, "popular", at(TOMORROW, hours[2]), *teams[2])
    if not _granted(scene, third):
        _refused(scene, "A3", "a third visit in one day", third)
    ledger = scene.dispatcher.get(f"/cases/{scene.cases['popular']['id']}/ledger")["entries"]
    request = next(one for one in ledger if one["asks_for_visit"])
    _grant(scene, {**third, "evidence_entry_id": request["id"]})
    held = _granted(scene, third)
    scene.teller.check(held is not None, "a third visit is granted on the debtor's own logged request")
    fourth = _wanted(scene, "popular", at(TOMORROW, 17), *teams[2])
    _refused(scene, "A3", "a fourth visit, evidence or not", {**fourth, "evidence_entry_id": request["id"]})
    double = _wanted(scene, "cut", at(TOMORROW, 9, 30), LIN, LIN_MATE)
    _refused(scene, "X2", "a team that is elsewhere at that hour", double)


def visits_are_granted(scene: Scene) -> None:
    """Seven visits for three teams; the phones fetch their permits in the morning."""
    scene.teller.chapter("Seven visits are granted; the phones fetch their permits")
    count = 0
    for number, plans in PLANS.items():
        for plan in plans:
            wanted = _wanted(scene, plan.case, plan.arrives - timedelta(minutes=20), *TEAMS[number])
            letters = [{"template": "reminder-1", "recipient": "debtor"}] if plan.has_letter else []
            _grant(scene, {**wanted, "letters": letters})
            count += 1
    scene.teller.check(count == 7, "seven visits stand in the debtors' budgets")
    if scene.is_over:
        return
    for number, handset in scene.handsets.items():
        handset.watch.now = scene.server_now()
        if handset.phone.outbox.fact("cursor") is None:  # else an interrupted run came this far
            with httpx.Client(base_url=scene.base_url, timeout=30) as http:
                handset.phone.sync(http)
        mine = {held.body["case"]["reference"].removeprefix("case-") for held in handset.phone.today()}
        wanted_cases = {plan.case for plan in PLANS[number]}
        scene.teller.check(
            wanted_cases <= mine,
            f"{number}'s phone holds signed permits for {len(wanted_cases)} visits",
            found=mine,
        )
    notices = scene.held(LIN.number, "hardship").permit["notices"]
    scene.teller.check(
        any("hardship" in notice for notice in notices), "the hardship permit says: gentle", found=notices
    )


def _wanted(scene: Scene, name: str, start: datetime, *team: Any, **more: Any) -> dict[str, Any]:
    case = scene.cases[name]
    end = more.pop("end", start + timedelta(hours=1, minutes=20))
    people = [scene.office.ids[one.number] for one in team]
    return {
        "case_id": case["id"],
        "address_id": case["addresses"][0]["id"],
        "window": {"start": start.isoformat(), "end": end.isoformat()},
        "team": people,
        "lead": people[0],
        **more,
    }


def _refused(scene: Scene, rule: str, sentence: str, wanted: Mapping[str, Any]) -> None:
    """Ask for a visit that must be refused for this rule; a later run asks without leaving a trace."""
    try:
        if scene.is_over:
            verdict = scene.dispatcher.post("/assignments/check", wanted)
            reasons, is_refused = verdict["reasons"], not verdict["allowed"]
        else:
            scene.dispatcher.post("/assignments", wanted)
            reasons, is_refused = [], False
    except Refused as refusal:
        reasons, is_refused = refusal.problem.get("reasons", []), True
    speaking = next((one for one in reasons if one["rule"] == rule), None)
    quotation = f" 「{speaking['quotation'][:24]}…」" if speaking and speaking["quotation"] else ""
    since = f", possible from {speaking['allowed_from']}" if speaking and speaking["allowed_from"] else ""
    scene.teller.check(
        is_refused and speaking is not None,
        f"refused by {rule}: {sentence}{quotation}{since}",
        found=[one["rule"] for one in reasons],
    )


def _granted(scene: Scene, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the assignment an earlier step or run got for this case and start."""
    start = datetime.fromisoformat(wanted["window"]["start"])
    page = scene.dispatcher.get("/assignments", case_id=wanted["case_id"], limit=200)
    return next(
        (one for one in page["assignments"] if datetime.fromisoformat(one["window"]["start"]) == start),
        None,
    )


def _grant(scene: Scene, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Get a visit assigned, or find that it is."""
    return _granted(scene, wanted) or scene.dispatcher.post("/assignments", wanted)

"""Chapter four: the worker judges, the auditor looks and decides."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from server.demo.agency import ZONE
from server.demo.office import Refused
from server.demo.scene import EXPECTED, PLANS, Scene

SETTLE_SECONDS: Final = 600
BORROWING: Final = {plan.case for plans in PLANS.values() for plan in plans if plan.photo_of}


def evidence_settles(scene: Scene) -> None:
    """The worker verifies digests, inspects every file and reconciles every visit."""
    scene.teller.chapter("The worker inspects the evidence and reconciles")
    deadline = time.monotonic() + SETTLE_SECONDS
    waiting = set(scene.visit_ids())
    while waiting and time.monotonic() < deadline:
        done = {case for case in waiting if _is_settled(scene, case)}
        for case in sorted(done):
            scene.teller.tell(f"settled: {case}")
        waiting -= done
        if waiting:
            time.sleep(0.5)
    scene.teller.check(
        not waiting, "all evidence verified and inspected, all visits reconciled", found=waiting
    )


def _is_settled(scene: Scene, case: str) -> bool:
    """Whether everything of a visit was looked at.

    A visit that borrows from another is judged once more when the other's evidence is inspected last, which
    only its findings show.
    """
    file = scene.auditor.get(f"/visits/{scene.visit_ids()[case]}")
    inspected = all(one["state"] == "verified" and one["inspection"] for one in file["evidence"])
    if not inspected or file["visit"]["state"] != "reconciled":
        return False
    newest = max(one["inspected_at"] for one in file["evidence"])
    is_judged = file["visit"]["reconciled_at"] >= newest
    found = {one["check"] for one in file["findings"] if one["state"] != "superseded"}
    return is_judged and (case not in BORROWING or found >= EXPECTED[case])


def an_auditor_looks(scene: Scene) -> None:
    """Worst first; each finding points at something; the uninvolved decide."""
    scene.teller.chapter("The auditor sees which accounts do not fit their evidence")
    listed = scene.auditor.get("/visits", limit=200)["visits"]
    scene.teller.check(len(listed) == 7, "seven visits are stored, none twice", found=len(listed))
    rows: list[list[str]] = []
    for case, visit_id in sorted(scene.visit_ids().items()):
        file = scene.auditor.get(f"/visits/{visit_id}")
        standing = [one for one in file["findings"] if one["state"] != "superseded"]
        found = {one["check"] for one in standing}
        rows += _rows(case, file, standing)
        expected = EXPECTED[case]
        sentence = f"{case}: {', '.join(sorted(expected)) or 'nothing to find'}"
        scene.teller.check(found == expected, sentence, found=sorted(found))
    scene.teller.say("")
    scene.teller.table(["case", "arrived", "claims", "severity", "rule", "finding", "observation"], rows)
    scene.teller.say("")
    _decide(scene)


def _decide(scene: Scene) -> None:
    page = scene.auditor.get("/findings", state="all", limit=200)["findings"]
    ranks = [["note", "minor", "serious", "severe"].index(one["severity"]) for one in page]
    scene.teller.check(ranks == sorted(ranks, reverse=True), "the list shows the worst first", found=ranks)
    worst = next((one for one in page if one["check"] == "same-picture"), None)
    if worst is None:
        scene.teller.check(False, "there is a reused photo to decide on")
        return
    body = {"decision": "confirmed", "reason": "the same door stands in the visit of 13:30"}
    try:
        scene.dispatcher.post(f"/findings/{worst['id']}/decision", body)
        status = 200
    except Refused as refusal:
        status = refusal.status
    scene.teller.check(status == 403, "the dispatcher of the visit may not decide on it", found=status)
    decided = scene.auditor.post(f"/findings/{worst['id']}/decision", body)
    scene.teller.check(decided["state"] == "confirmed", "the auditor confirms the reused photo")
    link = scene.auditor.get(f"/evidence/{worst['citation']['evidence_id']}/link")
    part = scene.auditor.fetch(link["content"], byte_range="bytes=0-1")
    scene.teller.check(
        (part.status_code, part.content) == (206, b"\xff\xd8"),
        "the cited photo opens through a short-lived link, byte ranges included",
        found=(part.status_code, part.content[:8]),
    )


def _rows(case: str, file: Mapping[str, Any], standing: list[dict[str, Any]]) -> list[list[str]]:
    """Return the table's rows of one visit."""
    earliest, latest = (
        datetime.fromisoformat(file["visit"][f"arrived_{end}"]) for end in ("earliest", "latest")
    )
    doubt = (latest - earliest) / 2
    arrived = (earliest + doubt).astimezone(ZONE)
    marks = [mark["mark"] for mark in file["visit"]["claim_marks"]]
    claims = "/".join(str(marks.count(name)) for name in ("supported", "contradicted", "silent"))
    first = [case, f"{arrived:%H:%M:%S} ± {doubt.total_seconds():.0f} s", claims]
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

"""Templates that stand in the tables, approved by the client of a case."""

from datetime import date
from typing import Any

from server.models.cases import Case
from server.models.letters import LetterTemplate
from tests.builders import LONG_AGO, a_person, add
from tests.letters.builders import BODY, PARTS, PHONE, SLIP


def a_standing_template(case: Case, **facts: Any) -> LetterTemplate:
    """The client's notice; kind="callback_slip" makes it a slip."""
    is_slip = facts.get("kind") == "callback_slip"
    defaults: dict[str, Any] = {
        "client_id": case.client_id,
        "reference": "notice-1",
        "version": 1,
        "kind": "notice",
        "title": "回电通知单" if is_slip else "还款提示函",
        "body": SLIP if is_slip else BODY,
        "parts": {} if is_slip else PARTS,
        "agency_name": "诚信服务公司",
        "agency_phone": PHONE,
        "approved_by": "王经理",
        "approval_reference": "批-2026-7",
        "approved_on": date(2026, 1, 5),
        "entered_at": LONG_AGO,
    }
    entered_by = facts.pop("entered_by", None) or a_person().id
    return add(LetterTemplate(entered_by=entered_by, **{**defaults, **facts}))

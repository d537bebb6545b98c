"""Templates and letters of a case, as the office enters and seals them."""

from typing import Any

from tests.office import Door, Office

WANTED = {"template": "notice-1", "recipient": "debtor", "pay_by": "2026-12-01"}


def a_letter(office: Office, door: Door, **facts: Any) -> dict[str, Any]:
    answer = office.ask(f"/cases/{door.case.id}/letters", {**WANTED, **facts})
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def pointers(answer: Any) -> list[str]:
    return [fault["pointer"] for fault in answer.get_json()["errors"]]


def seal(office: Office, letter: dict[str, Any], **codes: str) -> Any:
    code = letter["pairing_code"]
    body = {"letter_code": code, "envelope_code": code, "is_stamped": True, **codes}
    return office.ask(f"/letters/{letter['id']}/sealed", body)

"""Steps of tests about complaints: one is written down, taken over by a supervisor, settled, read."""

from datetime import timedelta
from typing import Any

from server.authority import Role
from server.models.cases import Case
from tests.builders import Person, a_case, a_person, a_token
from tests.office import Office

WORDS = "电话里态度恶劣"


def complain(office: Office, case: Case | None = None, **more: Any) -> dict[str, Any]:
    """Somebody complained, and the desk wrote it down."""
    case = case or a_case()
    answer = office.ask(f"/cases/{case.id}/complaints", {"text": WORDS, **more})
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return answer.get_json()


def taken_over(office: Office, **more: Any) -> dict[str, Any]:
    """A complaint that the supervisor has taken over."""
    raised = complain(office, **more)
    handle(office, raised, "takeover")
    return raised


def handle(office: Office, complaint: dict[str, Any], what: str, **body: Any) -> Any:
    return office.ask(f"/complaints/{complaint['id']}/{what}", body, by=Role.SUPERVISOR)


def assess(office: Office, complaint: dict[str, Any], **opinion: Any) -> Any:
    path = f"/api/v1/complaints/{complaint['id']}/assessment"
    return office.person(Role.SUPERVISOR).put(path, json=opinion)


def resolve(office: Office, complaint: dict[str, Any], words: str = "已致歉", calmed: bool = True) -> Any:
    return handle(office, complaint, "resolve", resolution=words, is_calmed=calmed)


def read(office: Office, complaint: dict[str, Any]) -> dict[str, Any]:
    return office.person(Role.SUPERVISOR).get(f"/api/v1/complaints/{complaint['id']}").get_json()


def another_supervisor(office: Office, **facts: Any) -> Person:
    staff = a_person(Role.SUPERVISOR, **facts)
    token = a_token(staff.id, lasts=timedelta(days=36_500))
    return Person(staff=staff, token=token, browser=office.app.test_client())


def slug(answer: Any) -> str:
    return answer.get_json()["type"].removeprefix("/problems/")

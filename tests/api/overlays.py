"""Client overlays as an administrator writes and enters them."""

from typing import Any

from server.authority import Role
from tests.office import Door, Office

CLOSES_AT_SIX = 'window_closes = { value = 18:00:00, rule = "A11", article = "3", grade = "P" }'
SOURCE = 'rule = "A11", article = "3", grade = "P"'


def a_text(parameters: str = CLOSES_AT_SIX, *, id: str = "client.bank", version: int = 1, **head: str) -> str:
    """An overlay as an administrator writes it."""
    lines = {
        "layer": '"client"',
        "timezone": '"Asia/Shanghai"',
        "instrument": '"service contract"',
        "effective_from": "2026-01-01",
    } | head
    top = "\n".join(f"{name} = {value}" for name, value in lines.items())
    return f'id = "{id}"\nversion = {version}\n{top}\n[parameters]\n{parameters}\n'


def entered(office: Office, text: str, *, door: Door | None = None, status: int = 201) -> dict[str, Any]:
    client = None if door is None else str(door.case.client_id)
    answer = office.ask("/rules/overlays", {"toml": text, "client_id": client}, by=Role.ADMIN)
    assert answer.status_code == status, answer.get_data(as_text=True)
    return answer.get_json()

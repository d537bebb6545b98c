"""What do people in the sample agency's office do, over the same API as any other client?"""

import json
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from server.demo.agency import STAFF, Colleague, import_lines

ADMIN = "ADMIN"
CHECKOUT = Path(__file__).parents[2]


class Refused(Exception):
    """The API answered with a problem."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status}: {json.dumps(problem, ensure_ascii=False)[:600]}")
        self.status = status
        self.problem = problem

    @property
    def rules(self) -> list[str]:
        """The rules a refused assignment names."""
        verdict = self.problem.get("verdict") or self.problem
        return [reason["rule"] for reason in verdict.get("reasons", [])]


class Desk:
    """One signed-in person."""

    def __init__(self, http: httpx.Client, token: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **query: Any) -> Any:
        """GET below /api/v1; the JSON answer."""
        return self._answer(self._http.get(f"/api/v1{path}", params=query, headers=self._headers))

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST JSON below /api/v1; the JSON answer. Raises Refused."""
        answer = self._http.post(f"/api/v1{path}", json=body or {}, headers=self._headers)
        return self._answer(answer)

    def send(self, path: str, content: bytes, *, mime: str) -> Any:
        """POST raw bytes below /api/v1."""
        headers = {**self._headers, "Content-Type": mime}
        return self._answer(self._http.post(f"/api/v1{path}", content=content, headers=headers, timeout=120))

    def fetch(self, path: str, *, byte_range: str) -> httpx.Response:
        """GET a part of a file by an absolute path."""
        return self._http.get(path, headers={"Range": byte_range})

    @staticmethod
    def _answer(answer: httpx.Response) -> Any:
        if answer.is_success:
            return answer.json() if answer.content else None
        raise Refused(answer.status_code, answer.json())


class Office:
    """The agency's office. Passwords are made at the first run and kept beside the data."""

    def __init__(self, http: httpx.Client, *, folder: Path, environ: Mapping[str, str]) -> None:
        self._http = http
        self._environ = environ
        self._passwords_file = folder / "passwords.json"
        self._passwords: dict[str, str] = {}
        if self._passwords_file.exists():
            self._passwords = json.loads(self._passwords_file.read_text())
        self.ids: dict[str, str] = {}

    def open(self) -> None:
        """Create the first administrator if there is none yet, and remember everybody's password."""
        if not self._passwords:
            self._passwords = {name: secrets.token_urlsafe(12) for name in (ADMIN, *_office_numbers())}
            self._create_admin()
            self._keep_passwords()

    def _create_admin(self) -> None:
        command = [sys.executable, "-m", "server.cli", "create-admin", "--employee-number", ADMIN]
        done = subprocess.run(
            [*command, "--name", "系统管理员", "--password-stdin"],
            input=self._passwords[ADMIN],
            text=True,
            check=False,
            cwd=CHECKOUT,
            env=dict(self._environ),
            capture_output=True,
        )
        if done.returncode:
            raise RuntimeError(f"create-admin failed; `make clean` starts over. {done.stderr.strip()}")

    def _keep_passwords(self) -> None:
        draft = self._passwords_file.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(self._passwords))
        draft.replace(self._passwords_file)

    def sign_in(self, number: str) -> Desk:
        """Sign in with employee number and password."""
        body = {"employee_number": number, "password": self._passwords[number]}
        answer = self._http.post("/api/v1/tokens", json=body)
        if not answer.is_success:
            raise Refused(answer.status_code, answer.json())
        return Desk(self._http, answer.json()["token"])

    def hire(self, admin: Desk) -> None:
        """Add whoever is missing, with their training files; remember everybody's id."""
        self.ids = {one["employee_number"]: one["id"] for one in admin.get("/staff", limit=200)["staff"]}
        for one in STAFF:
            if one.number not in self.ids:
                self.ids[one.number] = self._hire(admin, one)

    def _hire(self, admin: Desk, one: Colleague) -> str:
        body: dict[str, Any] = {
            "employee_number": one.number,
            "name": one.name,
            "roles": [one.role],
            "branch": "北京",
            "joined_on": "2024-03-01",
        }
        if one.number in self._passwords:
            body["password"] = self._passwords[one.number]
        added = admin.post("/staff", body)
        if one.role == "visitor":
            for kind, score in _training(one):
                line = {"kind": kind, "score": score, "obtained_on": "2024-04-01"}
                admin.post(f"/staff/{added['id']}/qualifications", line)
        return added["id"]

    def load_cases(self, dispatcher: Desk, *, day: Any) -> dict[str, Any]:
        """Import the client's file; the import's report."""
        lines = [json.dumps(line, ensure_ascii=False) for line in import_lines(day)]
        return dispatcher.send("/imports", "\n".join(lines).encode(), mime="application/x-ndjson")


def _office_numbers() -> list[str]:
    return [one.number for one in STAFF if one.role != "visitor"]


def _training(one: Colleague) -> list[tuple[str, int | None]]:
    if not one.is_qualified:
        return [("nda", None), ("onboarding_exam", 62)]
    return [("onboarding_exam", 91), ("law_and_conduct", 88), ("internship", None), ("nda", None)]

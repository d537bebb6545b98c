"""A case with a visit that was told of, and how to look for what is left of it."""

from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from flask import Flask

from server.authority import Actor, Role
from server.database import db, transaction
from server.models.cases import Debtor
from server.models.dispatch import Assignment
from server.models.findings import Finding
from server.signing import PERMIT, current_signer
from server.workflows.auditing import deciding
from server.workflows.stopping import close_cases
from server.workflows.transparency.sequencing import sequence
from sync.phone import claims_of
from sync.protocol import uuid7
from tests.builders import a_case, a_contact, a_person, a_visitor, an_address, an_assignment, now
from tests.phones import a_phone, office

PHOTO = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40
NAME, PHONE, ID_NUMBER, STREET = "李小明", "13812345678", "11010519491231002X", "朝阳区幸福路八号"
NARRATIVE = f"债务人{NAME}称下周还款，住在{STREET}。"
WHOSE = {"name": NAME, "phone": PHONE, "id_number": ID_NUMBER}
ANOTHER = {"name": "王大海", "phone": "13700001111", "id_number": "110105194912310038"}
KEPT = timedelta(days=730)
SYSTEM = Actor(staff_id=None, roles=frozenset())


class Told:
    """A case with a visit that was told of, closed a while ago."""

    def __init__(
        self,
        app: Flask,
        folder: Path,
        *,
        photo: bytes = PHOTO,
        whose: dict[str, str] = WHOSE,
        street: str = STREET,
        narrative: str = NARRATIVE,
    ) -> None:
        self.whose, self.narrative = whose, narrative
        visitor = a_visitor()
        self.case = a_case()
        self.debtor_id = self.case.debtor_id
        with transaction() as session:
            debtor = session.get_one(Debtor, self.debtor_id)
            for field, value in whose.items():
                setattr(debtor, field, value)
            debtor.hardship = ["pregnancy"]
        a_contact(self.case, name=f"{whose['name']}的兄弟", phone="13911112222", relation="兄弟")
        self.address = an_address(self.case, text=street)
        assignment = an_assignment(self.case, self.address, visitor)
        with transaction() as session:
            session.get_one(Assignment, assignment.id).permit = current_signer().seal(PERMIT, {"v": 1})
        self.phone = a_phone(visitor, folder)
        with office(app) as http:
            self.phone.sync(http)
            self.visit_id = self._visit(assignment.id, visitor.id, photo)
            self.phone.sync(http)
        self._find()

    def _visit(self, assignment_id: UUID, staff_id: UUID, photo: bytes) -> UUID:
        visit_id = uuid7()
        self.phone.record(
            "visit.started",
            {
                "visit_id": str(visit_id), "team": [str(staff_id)], "checklist": {},
                "permit_id": None, "assignment_id": str(assignment_id), "position": None,
            },
        )  # fmt: skip
        self.phone.capture(photo, visit_id=visit_id, kind="photo", purpose="badge", mime="image/jpeg")
        self.phone.end_visit(visit_id, position=None)
        claims = claims_of(arrived_at=now(), left_at=now(), team=[staff_id], met="debtor", outcome="refused")
        self.phone.write_account(visit_id, claims=claims, narrative=self.narrative)
        return visit_id

    def _find(self) -> None:
        with transaction() as session:
            finding = Finding(
                visit_id=self.visit_id, key="k", check="time.short", rule="C14", severity="serious",
                severity_rank=2, confidence=0.9, claim="left_at", observation={"heard": self.narrative},
                citation={}, found_at=now(),
            )  # fmt: skip
            session.add(finding)
        auditor = Actor(staff_id=a_person(Role.AUDITOR).id, roles=frozenset({Role.AUDITOR}))
        deciding.decide(
            finding.id, decision="confirmed", reason=f"heard {self.whose['name']}", actor=auditor, now=now()
        )

    def close(self) -> None:
        with transaction():
            close_cases([self.case.id], because="paid", actor=SYSTEM, now=now())

    def debtor(self) -> Debtor:
        return db.session.get_one(Debtor, self.debtor_id, populate_existing=True)


def later(**more: float) -> datetime:
    """When the time of what was closed today is over."""
    return now() + KEPT + timedelta(minutes=1) + timedelta(**more)


def sequenced() -> None:
    while sequence(now=now()):
        pass


def everything() -> str:
    """Every row of every table as text, ciphertexts decrypted."""
    texts: list[str] = []
    for table in db.metadata.sorted_tables:
        for row in db.session.execute(sa.select(table)):
            texts += [
                value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in row
            ]
    db.session.rollback()
    return "\n".join(texts)

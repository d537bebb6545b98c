"""Who may sign in, with what, and what happens when they leave?

Staff, passwords, tokens, training files and departure. Phones are in `devices.py`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from server.authority import Actor, Role
from server.database import db, release_connection, transaction
from server.errors import Conflict, Fault, Forbidden, Invalid, NotFound, TooManyTries, Unauthenticated
from server.jobs import task
from server.models.access import AccessEntry
from server.models.assignments import end_early
from server.models.dispatch import Assignment, AssignmentMember
from server.models.people import Absence, Device, Qualification, SignInCounter, Staff, Token
from server.models.tokens import FreshToken, new_token
from server.passwords import MIN_LENGTH, hash_password, is_right
from server.rules.local_time import local_day
from server.workflows.rejudging import rejudge_later
from server.workflows.standing_packs import local_zone

OFFICE_TOKEN_LASTS: Final = timedelta(hours=12)
TRIES_PER_WINDOW: Final = 5
TRIES_PER_ADDRESS: Final = 50
WINDOW: Final = timedelta(minutes=15)
LOCKED_FOR: Final = timedelta(minutes=15)
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def sign_in(employee_number: str, password: str, *, address: str, now: datetime) -> FreshToken:
    """Exchange employee number and password for an office token.

    Raises Unauthenticated (the same words for an unknown number and a wrong password) or TooManyTries.
    """
    keys = {f"employee:{employee_number}": TRIES_PER_WINDOW, f"address:{address}": TRIES_PER_ADDRESS}
    _count_try(keys, now=now)
    staff = db.session.scalar(sa.select(Staff).where(Staff.employee_number == employee_number))
    release_connection()
    hashed = staff.password_hash if staff is not None and staff.left_at is None else None
    if not is_right(password, hashed=hashed) or staff is None:
        raise Unauthenticated("sign-in-refused", "Employee number or password is wrong.")
    row, fresh = new_token(staff.id, device_id=None, lasts=OFFICE_TOKEN_LASTS, now=now)
    with transaction() as session:
        session.add(row)
        session.execute(sa.delete(SignInCounter).where(SignInCounter.key == f"employee:{employee_number}"))
        session.execute(
            sa.update(SignInCounter)
            .where(SignInCounter.key == f"address:{address}", SignInCounter.failures > 0)
            .values(failures=SignInCounter.failures - 1)
        )
    return fresh


def _count_try(keys: dict[str, int], *, now: datetime) -> None:
    """Count this try before the password is looked at, so that many at once cannot slip through.

    A success takes its own try back. Raises TooManyTries when a key is locked. The address comes first: one
    that is locked adds no rows, whatever numbers it goes on to try.
    """
    refused_until: datetime | None = None
    with transaction() as session:
        for key, most in sorted(keys.items()):
            is_new_window = SignInCounter.window_started_at <= now - WINDOW
            counted = sa.case((is_new_window, 1), else_=SignInCounter.failures + 1)
            row = session.execute(
                insert(SignInCounter)
                .values(key=key, failures=1, window_started_at=now)
                .on_conflict_do_update(
                    index_elements=["key"],
                    set_={
                        "failures": counted,
                        "window_started_at": sa.case(
                            (is_new_window, now), else_=SignInCounter.window_started_at
                        ),
                        "locked_until": sa.case(
                            (SignInCounter.locked_until > now, SignInCounter.locked_until),
                            (counted > most, now + LOCKED_FOR),
                            else_=sa.null(),
                        ),
                    },
                )
                .returning(SignInCounter.locked_until)
            ).scalar_one()
            if row is not None and row > now:
                refused_until = row
                break
    if refused_until is not None:
        wait = int((refused_until - now).total_seconds()) + 1
        raise TooManyTries("too-many-sign-ins", f"Too many tries. Wait {wait} seconds.", retry_after=wait)


@task("forget_sign_in_tries", every="37 * * * *")
def forget_sign_in_tries(*, now: datetime) -> None:
    """Delete tries that count no more: anybody may make them, and some type a password as their number."""
    is_free = sa.or_(SignInCounter.locked_until.is_(None), SignInCounter.locked_until <= now)
    over = sa.delete(SignInCounter).where(SignInCounter.window_started_at <= now - WINDOW, is_free)
    with transaction() as session:
        session.execute(over.execution_options(synchronize_session=False))


def sign_out(actor: Actor, *, now: datetime) -> None:
    """Revoke the token that was used for this request."""
    with transaction() as session:
        session.execute(sa.update(Token).where(Token.id == actor.token_id).values(revoked_at=now))


def change_password(current: str, password: str, *, actor: Actor, now: datetime) -> None:
    """Replace one's own password; every other session of this person ends.

    Invalid for a wrong one; tries count as those of signing in, so a stolen token does not help to guess.
    """
    if actor.device_id is not None or actor.staff_id is None:
        raise Forbidden("office-needed", "A phone has no password. Sign in with yours and change it there.")
    staff = find_staff(actor.staff_id)
    key, hashed = f"employee:{staff.employee_number}", staff.password_hash
    _count_try({key: TRIES_PER_WINDOW}, now=now)
    release_connection()
    if not is_right(current, hashed=hashed):
        fault = Fault("/current", "Is not your password.")
        raise Invalid("password-wrong", "Correct the fields listed in `errors`.", faults=[fault])
    _replace_password(actor.staff_id, _hashed(password), actor=actor, now=now)


def reset_password(staff_id: UUID, password: str, *, actor: Actor, now: datetime) -> None:
    """Give somebody who forgot theirs a password; all their office sessions end. Who did so is logged."""
    if find_staff(staff_id).left_at is not None:
        raise Conflict("account-closed", "This person has left; the account stays closed.")
    release_connection()
    _replace_password(staff_id, _hashed(password), actor=actor, now=now)


def _replace_password(staff_id: UUID, hashed: str, *, actor: Actor, now: datetime) -> None:
    """Store a password, end the sessions that rest on the one before, and let its owner try again."""
    with transaction() as session:
        staff = session.get_one(Staff, staff_id, with_for_update=True, populate_existing=True)
        staff.password_hash = hashed
        session.execute(
            sa.update(Token)
            .where(
                Token.staff_id == staff_id,
                Token.device_id.is_(None),
                Token.revoked_at.is_(None),
                Token.id.is_distinct_from(actor.token_id),
            )
            .values(revoked_at=now)
        )
        session.execute(
            sa.delete(SignInCounter).where(SignInCounter.key == f"employee:{staff.employee_number}")
        )
        session.add(
            AccessEntry(
                at=now,
                staff_id=actor.staff_id,
                action="staff.password",
                entity_kind="staff",
                entity_id=staff_id,
                fields=["staff.password_hash"],
                request={},
            )
        )


def add_staff(
    *,
    employee_number: str,
    name: str,
    roles: Sequence[Role],
    password: str | None,
    joined_on: date | None = None,
    branch: str = "",
    now: datetime,
) -> Staff:
    """Open a person's one permanent account (G14). Without a password they can only use a phone.

    Without a day they joined today, as the house counts its days. Blanks around number and name are no part
    of them: with one behind it, a number that is taken would open somebody's second account.
    """
    said = {"/employee_number": employee_number.strip(), "/name": name.strip()}
    if faults := [Fault(pointer, "Write something.") for pointer, text in said.items() if not text]:
        raise Invalid("staff-faulty", "Correct the fields listed in `errors`.", faults=faults)
    staff = Staff(
        employee_number=said["/employee_number"],
        name=said["/name"],
        roles=sorted({role.value for role in roles}),
        password_hash=None if password is None else _hashed(password),
        joined_on=joined_on or local_day(now, local_zone()),
        branch=branch,
        created_at=now,
    )
    with _one_number_one_person(), transaction() as session:
        session.add(staff)
    return staff


def _hashed(password: str) -> str:
    if len(password) < MIN_LENGTH:
        fault = Fault("/password", f"Use at least {MIN_LENGTH} characters.")
        raise Invalid("password-too-short", fault.detail, faults=[fault])
    return hash_password(password)


@contextmanager
def _one_number_one_person() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise Conflict(
            "employee-number-taken", "This employee number exists; accounts are permanent and personal."
        ) from None


def create_first_admin(*, employee_number: str, name: str, password: str, now: datetime) -> Staff:
    """Open the first administrator's account; Conflict while one works here, also of two made at once."""
    staff = Staff(
        employee_number=employee_number,
        name=name,
        roles=[Role.ADMIN.value],
        password_hash=_hashed(password),
        joined_on=local_day(now, local_zone()),
        created_at=now,
    )
    with _one_number_one_person(), transaction() as session:
        if _has_administrator(session):
            raise Conflict("admin-exists", "An administrator exists already; ask them to add people.")
        session.add(staff)
    return staff


def _has_administrator(session: Session, *, besides: UUID | None = None) -> bool:
    """Whether somebody who has not left may add people; nobody else changes that before the commit."""
    session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('fieldvisit.first-admin'))"))
    theirs = sa.exists().where(
        Staff.roles.contains([Role.ADMIN.value]), Staff.left_at.is_(None), Staff.id.is_distinct_from(besides)
    )
    return bool(session.scalar(sa.select(theirs)))


def find_staff(staff_id: UUID) -> Staff:
    """Return a member of staff or raise NotFound."""
    staff = db.session.get(Staff, staff_id)
    if staff is None:
        raise NotFound("staff-unknown", "There is nobody with this id.")
    return staff


def list_staff(*, after: UUID | None, limit: int) -> Sequence[Staff]:
    """Return one page of staff in the order of their ids."""
    query = sa.select(Staff).order_by(Staff.id).limit(limit)
    return db.session.scalars(query.where(Staff.id > after) if after else query).all()


def add_qualification(
    staff_id: UUID, *, kind: str, score: int | None, obtained_on: date, actor: Actor
) -> Qualification:
    """Write a line into a training file; the attempt is counted (G22: one resit).

    The same line once more is the one that stands: sent twice, a failed exam would use up its resit.
    """
    with transaction() as session:
        if session.get(Staff, staff_id, with_for_update=True) is None:
            raise NotFound("staff-unknown", "There is nobody with this id.")
        earlier = session.scalars(
            sa.select(Qualification).where(Qualification.staff_id == staff_id, Qualification.kind == kind)
        ).all()
        for one in earlier:
            if (one.score, one.obtained_on) == (score, obtained_on):
                return one
        line = Qualification(
            staff_id=staff_id,
            kind=kind,
            score=score,
            attempt=len(earlier) + 1,
            obtained_on=obtained_on,
            recorded_by=actor.staff_id,
        )
        session.add(line)
    return line


def list_qualifications(staff_id: UUID) -> Sequence[Qualification]:
    """Return a person's training file in the order it was written."""
    find_staff(staff_id)
    lines = sa.select(Qualification).where(Qualification.staff_id == staff_id).order_by(Qualification.id)
    return db.session.scalars(lines).all()


def add_absence(staff_id: UUID, *, kind: str, starts_at: datetime, ends_at: datetime) -> Absence:
    """Write leave or a training slot into a person's diary; their visits then are judged again (X3, G6)."""
    if not EARLIEST < starts_at < LATEST or not EARLIEST < ends_at < LATEST:
        fault = Fault("/starts_at", "Both must lie between the years 2000 and 2200.")
        raise Invalid("absence-unlikely", "The absence lies outside any diary.", faults=[fault])
    if ends_at <= starts_at:
        fault = Fault("/ends_at", "Must be after starts_at.")
        raise Invalid("absence-empty", "The absence ends before it starts.", faults=[fault])
    absence = Absence(staff_id=staff_id, kind=kind, starts_at=starts_at, ends_at=ends_at)
    with transaction() as session:
        if session.get(Staff, staff_id, with_for_update={"key_share": True}) is None:
            raise NotFound("staff-unknown", "There is nobody with this id.")
        session.add(absence)
        theirs = sa.select(AssignmentMember.assignment_id).where(AssignmentMember.staff_id == staff_id)
        rejudge_later(
            Assignment.id.in_(theirs),
            Assignment.window_start < ends_at,
            Assignment.window_end > starts_at,
        )
    return absence


def depart(staff_id: UUID, *, actor: Actor, now: datetime) -> int:
    """Close a leaver's account at once (G15); return how many open assignments were cancelled.

    Office tokens die. Phones are revoked but may still hand in what they hold: a visit that took place
    must reach the office, flagged. Conflict for the last administrator: nobody could add another.
    """
    with transaction() as session:
        staff = session.get(Staff, staff_id, with_for_update=True)
        if staff is None:
            raise NotFound("staff-unknown", "There is nobody with this id.")
        is_admin = Role.ADMIN.value in staff.roles and staff.left_at is None
        if is_admin and not _has_administrator(session, besides=staff_id):
            raise Conflict("last-administrator", "Add another administrator first; this is the last one.")
        if staff.left_at is None:
            staff.left_at = now
        revoke = {"revoked_at": now}
        session.execute(
            sa.update(Token)
            .where(Token.staff_id == staff_id, Token.device_id.is_(None), Token.revoked_at.is_(None))
            .values(revoke)
        )
        session.execute(
            sa.update(Device).where(Device.staff_id == staff_id, Device.revoked_at.is_(None)).values(revoke)
        )
        theirs = sa.select(AssignmentMember.assignment_id).where(AssignmentMember.staff_id == staff_id)
        cancelled = end_early(
            Assignment.id.in_(theirs), state="cancelled", reason="staff left", actor=actor, now=now
        )
    return len(cancelled)

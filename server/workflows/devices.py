"""How does a phone become one of ours, and stop being one?

Enrolment: the office issues a one-time code for a visitor; the phone answers with its public key and a
signature over code and key (proof of possession). A lost answer costs nothing: the same code with the
same key, while the code is fresh, names the same device and gets a new token. So does a new code of the same
visitor's: a phone whose token has expired stays the phone that signed what waits on it.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from server.authority import Actor, Role
from server.database import db, transaction
from server.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from server.models.dispatch import Assignment
from server.models.people import Device, EnrolmentCode, Staff
from server.models.tokens import FreshToken, new_token
from server.workflows.rejudging import rejudge_later
from sync.envelope import KeyFault, PublicKey
from sync.protocol import uuid7

ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_LENGTH: Final = 10
CODE_LASTS: Final = timedelta(minutes=15)
PHONE_TOKEN_LASTS: Final = timedelta(days=90)


def proof_message(code: str, spki: bytes) -> bytes:
    """Return the bytes a phone signs to prove that it holds the key it enrols."""
    return b"fieldvisit-enrol-v1\n" + code.encode() + b"\n" + spki


def issue_code(staff_id: UUID, *, actor: Actor, now: datetime) -> tuple[str, datetime]:
    """Make a one-time enrolment code for a visitor; return it and when it expires.

    A visitor with office roles gets one as any other: their phone holds none of those (`api.auth.identify`).
    """
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    with transaction() as session:
        staff = session.get(Staff, staff_id)
        if staff is None or staff.left_at is not None:
            raise NotFound("staff-unknown", "There is nobody working here with this id.")
        if Role.VISITOR not in staff.roles:
            raise Conflict("not-a-visitor", "Only visitors carry phones; this person is none.")
        session.add(
            EnrolmentCode(
                sha256=_digest(code),
                staff_id=staff_id,
                issued_by=actor.staff_id,
                issued_at=now,
                expires_at=now + CODE_LASTS,
            )
        )
    return code, now + CODE_LASTS


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.strip().upper().encode()).digest()


def enrol(
    code: str, *, spki: bytes, algorithm: str, proof: bytes, now: datetime
) -> tuple[Device, FreshToken]:
    """Enrol a phone, or answer its repeated request; return the device and a token for it.

    Raises Forbidden for a code that is unknown, expired or used by another key, Invalid for a key that
    cannot be read or a proof that does not verify.
    """
    key = _read_key(spki, algorithm)
    if not key.has_signed(proof_message(code.strip().upper(), spki), proof):
        fault = Fault("/proof", "Sign the bytes `fieldvisit-enrol-v1\\n<code>\\n<public key DER>`.")
        raise Invalid("proof-wrong", "The signature does not prove possession of the key.", faults=[fault])
    try:
        with transaction() as session:
            entry = session.scalar(
                sa.select(EnrolmentCode).where(EnrolmentCode.sha256 == _digest(code)).with_for_update()
            )
            if entry is None or entry.expires_at <= now:
                raise Forbidden(
                    "code-unknown", "This code is not valid (any more). Ask the office for a new one."
                )
            staff = session.get_one(Staff, entry.staff_id, with_for_update={"key_share": True})
            if staff.left_at is not None:
                raise Forbidden("account-closed", "This account was closed; its phones cannot enrol.")
            device = _device_of(entry, key=key, algorithm=algorithm, now=now)
            row, fresh = new_token(device.staff_id, device_id=device.id, lasts=PHONE_TOKEN_LASTS, now=now)
            session.add(row)
    except IntegrityError:
        raise Conflict("key-taken", "This key is enrolled already. Make a new key for this phone.") from None
    return device, fresh


def _read_key(spki: bytes, algorithm: str) -> PublicKey:
    try:
        return PublicKey.from_spki(spki, algorithm=algorithm)
    except KeyFault as error:
        fault = Fault("/public_key", str(error))
        raise Invalid("key-unreadable", "The public key cannot be used.", faults=[fault]) from None


def _device_of(entry: EnrolmentCode, *, key: PublicKey, algorithm: str, now: datetime) -> Device:
    """Return the device this code made for this key, making it at the first call."""
    if entry.device_id is not None:
        device = db.session.get_one(Device, entry.device_id)
        if device.public_key != key.spki or device.revoked_at is not None:
            raise Forbidden("code-used", "This code was used by another phone. Ask the office for a new one.")
        return device
    device = _known_device(entry.staff_id, key=key)
    if device is None:
        device = Device(
            id=uuid7(),
            staff_id=entry.staff_id,
            algorithm=algorithm,
            public_key=key.spki,
            keyid=key.keyid,
            enrolled_at=now,
        )
        db.session.add(device)
        db.session.flush()
    entry.used_at, entry.device_id = now, device.id
    return device


def _known_device(staff_id: UUID, *, key: PublicKey) -> Device | None:
    """Return this visitor's phone with this key, unless it was revoked: that one stays as it is."""
    return db.session.scalar(
        sa.select(Device).where(
            Device.public_key == key.spki, Device.staff_id == staff_id, Device.revoked_at.is_(None)
        )
    )


def revoke(device_id: UUID, *, now: datetime) -> Device:
    """Revoke a phone: from now on it may only hand in what it holds. Repeating changes nothing.

    The visits that its owner leads are judged again (X5).
    """
    with transaction() as session:
        of_device = sa.select(Device.staff_id).where(Device.id == device_id).scalar_subquery()
        session.execute(sa.select(Staff.id).where(Staff.id == of_device).with_for_update(key_share=True))
        device = session.get(Device, device_id, with_for_update=True)
        if device is None:
            raise NotFound("device-unknown", "There is no phone with this id.")
        if device.revoked_at is None:
            device.revoked_at = now
            rejudge_later(Assignment.lead_id == device.staff_id)
    return device

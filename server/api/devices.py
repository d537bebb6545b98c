"""Enrolling phones and revoking them."""

import base64
import binascii
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint
from server.authority import Role
from server.errors import Fault, Invalid
from server.models.people import Device
from server.signing import current_signer
from server.workflows import devices

blueprint = Blueprint("devices", __name__, description="Enrol phones, revoke them")


class CodeRequestSchema(ma.Schema):
    """For whom a code is issued."""

    staff_id = ma.fields.UUID(required=True)


class CodeSchema(ma.Schema):
    """A one-time enrolment code."""

    code = ma.fields.String(required=True)
    expires_at = ma.fields.AwareDateTime(required=True)


class EnrolSchema(ma.Schema):
    """A phone's public key and the proof that it holds the private one."""

    code = ma.fields.String(required=True, validate=validate.Length(8, 32))
    public_key = ma.fields.String(
        required=True, validate=validate.Length(1, 1024), metadata={"description": "base64 SPKI DER"}
    )
    algorithm = ma.fields.String(required=True, validate=validate.OneOf(["ed25519", "p256"]))
    proof = ma.fields.String(
        required=True,
        validate=validate.Length(1, 256),
        metadata={"description": "base64 signature over `fieldvisit-enrol-v1\\n<code>\\n<public key DER>`"},
    )


class EnrolledSchema(ma.Schema):
    """What an enrolled phone keeps."""

    device_id = ma.fields.UUID(required=True)
    staff_id = ma.fields.UUID(required=True)
    token = ma.fields.String(required=True)
    expires_at = ma.fields.AwareDateTime(required=True)
    server_key = ma.fields.String(required=True, metadata={"description": "base64 SPKI DER of our key"})
    rescue_key = ma.fields.Dict(metadata={"description": "DSSE: what rescue bundles are locked with"})


class DeviceSchema(ma.Schema):
    """An enrolled phone."""

    id = ma.fields.UUID()
    staff_id = ma.fields.UUID()
    algorithm = ma.fields.String()
    keyid = ma.fields.String()
    enrolled_at = ma.fields.AwareDateTime()
    revoked_at = ma.fields.AwareDateTime(allow_none=True)


@blueprint.post("/enrolment-codes")
@requires(Role.DISPATCHER, Role.SUPERVISOR, Role.ADMIN)
@blueprint.arguments(CodeRequestSchema)
@blueprint.response(201, CodeSchema)
def issue_code(body: dict[str, Any]) -> dict[str, Any]:
    """Issue a code with which one phone of a visitor can enrol within fifteen minutes."""
    code, expires_at = devices.issue_code(body["staff_id"], actor=current_actor(), now=current_time())
    return {"code": code, "expires_at": expires_at}


@blueprint.post("/devices")
@blueprint.arguments(EnrolSchema)
@blueprint.response(201, EnrolledSchema)
def enrol(body: dict[str, Any]) -> dict[str, Any]:
    """Enrol a phone. Safe to repeat when the answer was lost."""
    device, fresh = devices.enrol(
        body["code"],
        spki=_base64(body["public_key"], "/public_key"),
        algorithm=body["algorithm"],
        proof=_base64(body["proof"], "/proof"),
        now=current_time(),
    )
    return {
        "device_id": device.id,
        "staff_id": device.staff_id,
        "token": fresh.token,
        "expires_at": fresh.expires_at,
        "server_key": base64.b64encode(current_signer().public_spki).decode(),
        "rescue_key": current_signer().rescue_key,
    }


def _base64(text: str, pointer: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        fault = Fault(pointer, "Is not base64.")
        raise Invalid("invalid-input", "Correct the fields listed in `errors`.", faults=[fault]) from None


@blueprint.post("/devices/<uuid:device_id>/revoke")
@requires(Role.SUPERVISOR, Role.ADMIN)
@blueprint.response(200, DeviceSchema)
def revoke(device_id: UUID) -> Device:
    """Revoke a phone; it may still hand in what it holds."""
    return devices.revoke(device_id, now=current_time())

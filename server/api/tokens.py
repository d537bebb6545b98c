"""Signing in and out."""

from typing import Any

import marshmallow as ma
from flask import request
from marshmallow import validate

from server.api.auth import current_actor, current_time, requires
from server.api.transport import Blueprint
from server.workflows import people

blueprint = Blueprint("tokens", __name__, url_prefix="/tokens", description="Sign in, sign out")


class SignInSchema(ma.Schema):
    """What a person types to sign in."""

    employee_number = ma.fields.String(required=True, validate=validate.Length(1, 64))
    password = ma.fields.String(required=True, validate=validate.Length(1, 256), load_only=True)


class TokenSchema(ma.Schema):
    """A bearer token, shown this once."""

    token = ma.fields.String(required=True)
    staff_id = ma.fields.UUID(required=True)
    expires_at = ma.fields.AwareDateTime(required=True)


class OwnPasswordSchema(ma.Schema):
    """The password one has, and the one that takes its place."""

    current = ma.fields.String(required=True, validate=validate.Length(1, 256), load_only=True)
    password = ma.fields.String(required=True, validate=validate.Length(1, 256), load_only=True)


@blueprint.post("")
@blueprint.arguments(SignInSchema)
@blueprint.response(201, TokenSchema)
def sign_in(body: dict[str, Any]) -> Any:
    """Exchange employee number and password for a token of twelve hours."""
    address = request.remote_addr or "unknown"
    return people.sign_in(body["employee_number"], body["password"], address=address, now=current_time())


@blueprint.delete("/current")
@requires()
@blueprint.response(204)
def sign_out() -> None:
    """Revoke the token this request was made with."""
    people.sign_out(current_actor(), now=current_time())


@blueprint.put("/current/password")
@requires()
@blueprint.arguments(OwnPasswordSchema)
@blueprint.response(204)
def change_password(body: dict[str, Any]) -> None:
    """Change one's own password; every other session of this person ends."""
    people.change_password(body["current"], body["password"], actor=current_actor(), now=current_time())

"""Who sent this request?

Reads the bearer token, finds its row by SHA-256, and gives the view an `Actor`. Three doors:
`requires(roles)` for people, `requires_device` for a working phone, `requires_submitter` for phones that
may still hand in what they hold although they were revoked (protocol.md: stored and flagged, never lost).
A phone is lost more easily than a password: its token stands for its visitor, whatever else that person is.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, Final

from flask import current_app, g, request

from server.authority import Actor, Role
from server.database import db
from server.driver import run_alone
from server.errors import Forbidden, Unauthenticated

View = Callable[..., Any]
PHONES_HOLD: Final = frozenset({Role.VISITOR})


def current_time() -> datetime:
    """Return the server's idea of now: the one time reading of a request."""
    if "now" not in g:
        g.now = current_app.extensions["clock"].now()
    return g.now


def current_actor() -> Actor:
    """Return who is asking; only valid inside a view behind one of the doors below."""
    return g.actor


def bearer_token() -> str:
    """Return the request's bearer token or raise Unauthenticated."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(
            "token-missing", "Send `Authorization: Bearer <token>`; sign in at /api/v1/tokens."
        )
    return token.strip()


def identify(token: str, *, now: datetime) -> Actor:
    """Return the actor a token stands for, or raise Unauthenticated. A phone's holds no office role."""
    digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
    row = next(iter(run_alone(db.engine, _TOKEN, {"sha256": digest})), None)
    if row is None or row.token_revoked_at is not None:
        raise Unauthenticated("token-unknown", "This token is not valid (any more). Sign in again.")
    if row.expires_at <= now:
        raise Unauthenticated("token-expired", "This token has expired. Sign in again; nothing is lost.")
    is_submit_only = row.revoked_at is not None or row.left_at is not None
    if is_submit_only and row.device_id is None:
        raise Unauthenticated("account-closed", "This account was closed.")
    held = frozenset(Role(role) for role in row.roles)
    return Actor(
        staff_id=row.staff_id,
        roles=held if row.device_id is None else held & PHONES_HOLD,
        token_id=row.id,
        device_id=row.device_id,
        device_revoked=is_submit_only,
    )


# Asked by every request, before its body is read: a phone may take its time for that, so nothing is held.
_TOKEN: Final = """
    SELECT tokens.id, tokens.staff_id, tokens.device_id, tokens.expires_at,
           tokens.revoked_at AS token_revoked_at, staff.roles, staff.left_at, devices.revoked_at
    FROM tokens JOIN staff ON staff.id = tokens.staff_id LEFT JOIN devices ON devices.id = tokens.device_id
    WHERE tokens.sha256 = %(sha256)s
"""


def requires(*roles: Role) -> Callable[[View], View]:
    """Let in signed-in people who hold at least one of the roles (any role when none is named)."""

    def door(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            actor = identify(bearer_token(), now=current_time())
            if actor.device_revoked:
                raise Forbidden(
                    "device-revoked", "This phone was revoked; it may only hand in what it holds."
                )
            if roles and not actor.has(*roles):
                needed = ", ".join(role.value for role in roles)
                raise Forbidden(
                    "role-missing", f"This needs one of the roles: {needed}.", needed=sorted(roles)
                )
            g.actor = actor
            return view(*args, **kwargs)

        guarded.__dict__["door"] = tuple(roles)
        return guarded

    return door


def requires_anybody(view: View) -> View:
    """Let in whoever is known, revoked phones too: for handing in what others have sealed."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        g.actor = identify(bearer_token(), now=current_time())
        return view(*args, **kwargs)

    guarded.__dict__["door"] = ()
    return guarded


def requires_device(view: View) -> View:
    """Let in enrolled phones that were not revoked."""
    return _device_door(view, accepts_revoked=False)


def requires_submitter(view: View) -> View:
    """Let in enrolled phones, also revoked ones: they may submit, nothing else."""
    return _device_door(view, accepts_revoked=True)


def _device_door(view: View, *, accepts_revoked: bool) -> View:
    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        actor = identify(bearer_token(), now=current_time())
        if actor.device_id is None:
            raise Forbidden("device-needed", "This is for enrolled phones; enrol at /api/v1/devices.")
        if actor.device_revoked and not accepts_revoked:
            raise Forbidden("device-revoked", "This phone was revoked; it may only hand in what it holds.")
        g.actor = actor
        return view(*args, **kwargs)

    guarded.__dict__["door"] = ("device",)
    return guarded

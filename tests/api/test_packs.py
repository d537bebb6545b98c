"""Client overlays entered while the office works: refused with a reason, counted, listed, withdrawn."""

from datetime import date, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import transaction
from server.models.packs import EnteredPack
from server.rules.pack_file import MOST_DAYS
from server.workflows import overlays
from server.workflows.overlays import MOST_PARAMETERS, NewOverlay
from server.workflows.standing_packs import active_pack, pack_of_case
from tests.api.overlays import CLOSES_AT_SIX, SOURCE, a_text, entered
from tests.dispatch.test_concurrency import at_once
from tests.office import NOW, Office, a_body, a_door, a_team


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("id = ", "not valid TOML", id="no TOML"),
        pytest.param("[parameters]\n", "'id' is missing", id="no id"),
        pytest.param(a_text("x" * 40 + " = 1"), "no rule knows this parameter", id="unknown parameter"),
        pytest.param(
            a_text(f'team_max = {{ value = "two", {SOURCE} }}'),
            "parameters.team_max: must be a whole number",
            id="wrong type",
        ),
        pytest.param(
            a_text(f"window_closes = {{ value = 22:00:00, {SOURCE} }}"),
            "client.bank@1: parameters.window_closes: a client may only tighten, 22:00:00 is looser",
            id="loosens",
        ),
        pytest.param(
            a_text(f"ban_holidays = {{ value = false, {SOURCE} }}"),
            "a client may only tighten",
            id="holidays",
        ),
        pytest.param(
            a_text(f"window_closes = {{ value = 08:00:00, {SOURCE} }}"),
            "the visit window is empty",
            id="empty window",
        ),
        pytest.param(
            a_text(
                "window_closes = [\n"
                f" {{ value = 18:00:00, {SOURCE}, effective_to = 2027-03-01 }},\n"
                f" {{ value = 07:00:00, {SOURCE}, effective_from = 2027-03-01 }} ]"
            ),
            "parameters.window_closes: on 2027-03-01: the visit window is empty",
            id="contradictory on a later day",
        ),
        pytest.param(
            a_text(f"latest_start = {{ value = 07:00:00, {SOURCE} }}"), "before the window opens", id="start"
        ),
        pytest.param(
            a_text(f"team_max = {{ value = 1, {SOURCE} }}\nteam_min = {{ value = 2, {SOURCE} }}"),
            "above team_max",
            id="nobody may go",
        ),
        pytest.param(
            a_text(f"visits_per_day_ceiling = {{ value = 1, {SOURCE} }}"),
            "below visits_per_day",
            id="ceiling",
        ),
        pytest.param(
            a_text(f"evidence_days = {{ value = {MOST_DAYS}, {SOURCE} }}"), "at most 40 days", id="too long"
        ),
        pytest.param(a_text(f"team_max = {{ value = {'9' * 5000}, {SOURCE} }}"), "TOML", id="a huge number"),
        pytest.param(a_text(layer='"house"'), "only overlays of the layer client", id="layer"),
        pytest.param(a_text(id="cn.house"), "not that of a pack that ships", id="a shipped pack's id"),
        pytest.param(a_text(id="a+b"), "id has to be of", id="an id that names two"),
        pytest.param(a_text(timezone='"Asia/Tokyo"'), "time zones", id="another place"),
        pytest.param(a_text(timezone='"../etc"'), "overlay: ", id="no time zone"),
        pytest.param(
            a_text(CLOSES_AT_SIX.replace(" }", ", effective_to = 2026-11-23 }")),
            "nothing in it holds",
            id="over",
        ),
        pytest.param(
            a_text(
                "window_closes = ["
                + ",".join(
                    f"{{ value = 18:00:00, {SOURCE}, effective_from = {date(2027, 1, 1) + n * timedelta(2)}, "
                    f"effective_to = {date(2027, 1, 2) + n * timedelta(2)} }}"
                    for n in range(MOST_PARAMETERS + 1)
                )
                + "]"
            ),
            "more than 100 values",
            id="a flood of values",
        ),
    ],
)
def test_a_faulty_overlay_is_refused_with_place_and_reason_and_the_rules_stand(
    office: Office, text: str, words: str
) -> None:
    door = a_door()
    before = pack_of_case(door.case.id, NOW)

    for path in ("/rules/overlays", "/rules/overlays/preview"):
        answer = office.ask(path, {"toml": text, "client_id": str(door.case.client_id)}, by=Role.ADMIN)

        (fault,) = answer.get_json()["errors"]
        assert answer.status_code == 422
        assert fault["pointer"] == "/toml"
        assert words in fault["detail"], fault
    assert pack_of_case(door.case.id, NOW) == before
    listed = office.person(Role.AUDITOR).get("/api/v1/rules/overlays").get_json()
    assert listed == {"overlays": [], "next": None}


def test_overlays_that_contradict_only_together_are_refused(office: Office) -> None:
    """One for everybody closes at noon; a client's opens then."""
    door = a_door()
    entered(office, a_text(f"window_opens = {{ value = 13:00:00, {SOURCE} }}"), door=door)

    noon = a_text(f"window_closes = {{ value = 12:00:00, {SOURCE} }}", id="all")
    answer = entered(office, noon, status=422)

    assert "the visit window is empty" in answer["errors"][0]["detail"]
    assert active_pack(NOW).window_closes.hour == 21


def test_an_overlay_that_a_later_release_contradicts_is_named_and_can_be_withdrawn(office: Office) -> None:
    """The overlay was fine when it was entered; then the agency's own pack closes before it opens."""
    door = a_door()
    entered(office, a_text(), door=door)
    with transaction() as session:
        empty = a_text(f"window_opens = {{ value = 22:00:00, {SOURCE} }}")
        session.execute(sa.update(EnteredPack).values(toml=empty))

    refused = office.ask("/assignments", a_body(door, *a_team()))

    assert refused.status_code == 409
    assert "parameters.window_closes" in refused.get_json()["detail"]
    withdrawn = office.ask("/rules/overlays/client.bank/withdraw", {"reason": "it cannot be"}, by=Role.ADMIN)
    assert withdrawn.status_code == 200
    assert office.ask("/assignments", a_body(door, *a_team())).status_code == 201


def test_an_unknown_client_is_named(office: Office) -> None:
    answer = office.ask("/rules/overlays", {"toml": a_text(), "client_id": str(uuid4())}, by=Role.ADMIN)

    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/client_id")


def test_withdrawing_gives_the_rules_back_and_keeps_the_history(office: Office) -> None:
    door = a_door()
    entered(office, a_text(), door=door)
    entered(office, a_text(CLOSES_AT_SIX.replace("18", "17"), version=2), door=door)

    gone = office.ask("/rules/overlays/client.bank/withdraw", {"reason": "contract ended"}, by=Role.ADMIN)
    again = office.ask("/rules/overlays/client.bank/withdraw", {"reason": "x"}, by=Role.ADMIN)

    assert (gone.status_code, again.status_code) == (200, 409)
    assert gone.get_json()["withdrawn_because"] == "contract ended"
    assert pack_of_case(door.case.id, NOW).window_closes.hour == 21
    versions = office.person(Role.AUDITOR).get("/api/v1/rules/overlays/client.bank").get_json()["versions"]
    assert [(one["version"], one["is_standing"]) for one in versions] == [(2, False), (1, False)]
    assert "17:00:00" in versions[0]["toml"]
    entered(office, a_text(version=3), door=door)
    assert pack_of_case(door.case.id, NOW).window_closes.hour == 18


def test_what_is_not_there_cannot_be_shown_or_withdrawn(office: Office) -> None:
    assert office.person(Role.ADMIN).get("/api/v1/rules/overlays/nothing").status_code == 404
    assert office.ask("/rules/overlays/nothing/withdraw", {"reason": "x"}, by=Role.ADMIN).status_code == 404


def test_a_lost_answer_is_asked_for_again_and_a_taken_version_says_the_next(office: Office) -> None:
    door, other = a_door(), a_door()
    first = entered(office, a_text(), door=door)

    again = entered(office, a_text(), door=door)
    taken = entered(office, a_text(CLOSES_AT_SIX.replace("18", "17")), door=door, status=409)
    foreign = entered(office, a_text(version=2), door=other, status=409)

    assert again == first
    assert (taken["type"].rsplit("/")[-1], taken["next_version"]) == ("overlay-version-taken", 2)
    assert foreign["type"].rsplit("/")[-1] == "overlay-of-another-client"


def test_of_two_administrators_at_once_one_is_told_the_next_version(office: Office, app: Flask) -> None:
    door, actor = a_door(), office.actor(Role.ADMIN)
    texts = [a_text(CLOSES_AT_SIX.replace("18", str(hour))) for hour in range(12, 20)]

    def enter(text: str) -> str:
        try:
            overlays.enter(NewOverlay(text, door.case.client_id, ""), actor=actor, now=NOW)
        except overlays.Conflict as conflict:
            return conflict.slug
        return "entered"

    said = at_once(app, [lambda text=text: enter(text) for text in texts])

    assert sorted(said) == ["entered", *["overlay-version-taken"] * 7]
    assert len(overlays.history("client.bank")) == 1


def test_two_overlays_that_contradict_cannot_slip_past_each_other(office: Office, app: Flask) -> None:
    door, actor = a_door(), office.actor(Role.ADMIN)
    one = a_text(f"window_opens = {{ value = 13:00:00, {SOURCE} }}", id="opens")
    other = a_text(f"window_closes = {{ value = 12:00:00, {SOURCE} }}", id="closes")

    def enter(text: str) -> str:
        try:
            overlays.enter(NewOverlay(text, door.case.client_id, ""), actor=actor, now=NOW)
        except overlays.Invalid as refused:
            return refused.slug
        return "entered"

    said = at_once(app, [lambda text=text: enter(text) for text in (one, other)])

    assert sorted(said) == ["entered", "overlay-refused"]
    pack_of_case(door.case.id, NOW)


def test_lists_are_paged_and_filtered_by_client(office: Office) -> None:
    mine, other = a_door(), a_door()
    for number, door in enumerate((mine, other, mine)):
        entered(office, a_text(id=f"client.{number}"), door=door)
    auditor = office.person(Role.AUDITOR)

    first = auditor.get("/api/v1/rules/overlays?limit=2").get_json()
    rest = auditor.get(f"/api/v1/rules/overlays?limit=2&after={first['next']}").get_json()
    ours = auditor.get(f"/api/v1/rules/overlays?client_id={mine.case.client_id}").get_json()

    assert [one["id"] for one in (*first["overlays"], *rest["overlays"])] == [f"client.{n}" for n in range(3)]
    assert rest["next"] is None
    assert [one["id"] for one in ours["overlays"]] == ["client.0", "client.2"]

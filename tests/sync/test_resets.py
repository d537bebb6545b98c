"""A phone that holds something else than the office thinks starts over; newer words do not stop it."""

import json
from contextlib import closing, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from sync.chain import record_digest
from sync.client import Report, SyncFault
from sync.events import Event, FeedReset, RecordDiffers
from sync.feed import digest_of
from sync.outbox import Outbox, Sealed
from sync.record import RecordDoubt
from tests.sync.fake_office import (
    FakeOffice,
    Fault,
    Handler,
    a_change,
    answering,
    client,
    lose_request,
    problem,
    saying,
    well,
)
from tests.sync.made import KEY, NOON, append

# Resets.


def test_a_phone_that_holds_something_else_than_the_office_thinks_starts_over_once(
    outbox: Outbox, office: FakeOffice
) -> None:
    stray, true = uuid4(), a_change(rev=4)
    told = {"staff:1": digest_of([("assignment", UUID(true["id"]), 4)])}
    sealed = append(outbox, KEY)
    client(outbox, office).push(Report())
    office.items.clear()
    office.pages = [
        office.page(changes=[a_change(id=str(stray))], scope_digest=told),
        office.page(changes=[true], cursor="c2", scope_digest=told),
    ]
    events: list[Event] = []

    client(outbox, office, on_event=events.append).session()

    assert [name for name, _, _ in outbox.entities("assignment")] == [UUID(true["id"])]
    assert [event for event in events if isinstance(event, FeedReset)] == [FeedReset("differs")]
    assert list(office.items) == [str(sealed.item_id)]  # whatever the reason, it may be a restored office


def test_what_a_restored_office_lost_and_the_phone_has_dropped_is_told_and_what_came_back_is_not(
    outbox: Outbox, office: FakeOffice
) -> None:
    dropped, here = append(outbox, KEY), append(outbox, KEY)
    office.is_durable = True
    client(outbox, office).session()
    outbox.remember(durable_through=1)
    outbox.release(now=NOON + timedelta(days=8))
    events: list[Event] = []

    def lose(*lost: Sealed) -> list[Event]:
        for one in lost:
            del office.items[str(one.item_id)]
        events.clear()
        for _ in range(2):
            client(outbox, office, on_event=events.append).session()
        return [event for event in events if isinstance(event, RecordDiffers)]

    assert lose(here) == []
    assert list(office.items) == [str(dropped.item_id), str(here.item_id)]
    held = [dropped.digest, here.digest]
    assert lose(dropped) == [RecordDiffers(RecordDoubt(record_digest(held), record_digest(held[1:])))]


def test_an_item_that_the_office_got_by_another_way_is_no_doubt(outbox: Outbox, office: FakeOffice) -> None:
    huge = append(outbox, KEY, body={"kind": "dog", "text": "x" * 50_000})
    (item,) = outbox.next_batch(1)
    office.items[str(huge.item_id)] = item  # a rescue bundle brought it
    events: list[Event] = []

    def small_proxy(handle: Handler, request: httpx.Request) -> httpx.Response:
        return httpx.Response(413, html="nginx") if len(request.read()) > 20_000 else handle(request)

    for _ in range(3):
        office.faults = [small_proxy] * 50
        client(outbox, office, on_event=events.append).session()

    assert [one for one in events if isinstance(one, RecordDiffers)] == []


def test_a_difference_that_starting_over_does_not_mend_is_not_mended_for_ever(
    outbox: Outbox, office: FakeOffice
) -> None:
    office.page = lambda **facts: FakeOffice.page(office, scope_digest={"staff:1": "ff" * 32}, **facts)  # type: ignore[method-assign]
    events: list[Event] = []

    for _ in range(5):
        client(outbox, office, on_event=events.append).pull(Report())

    assert len([event for event in events if isinstance(event, FeedReset)]) == 1
    assert len(office.requests) == 6


def test_digests_that_agree_cost_nothing(outbox: Outbox, office: FakeOffice) -> None:
    change = a_change(rev=9)
    told = {"staff:1": digest_of([("assignment", UUID(change["id"]), 9)]), "everyone": digest_of([])}
    office.pages = [office.page(changes=[change], scope_digest=told)]

    was_reset = client(outbox, office).pull(Report())

    assert (was_reset, len(office.requests)) == (False, 1)


def test_an_office_that_resets_for_ever_ends_the_session(outbox: Outbox, office: FakeOffice) -> None:
    outbox.apply([], cursor="old", seen={})
    more = office.page(has_more=True)
    reset = answering(410, "feed-reset")
    office.faults = [reset, saying(200, json.dumps(more).encode()), reset]

    with pytest.raises(SyncFault) as caught:
        client(outbox, office).pull(Report())

    assert caught.value.is_transient


# Two sessions on one phone.


def meanwhile(outbox: Outbox, office: FakeOffice, answer: httpx.Response, *faults: Fault) -> Fault:
    """A whole pull of another session on the same folder falls between a request and this answer to it."""

    def fault(handle: Handler, request: httpx.Request) -> httpx.Response:
        later, office.faults = office.faults, list(faults)
        with closing(Outbox(outbox.path)) as its_own, suppress(SyncFault):
            client(its_own, office).pull(Report())
        office.faults = later
        return answer

    return fault


def permits(outbox: Outbox) -> list[str]:
    return [str(name) for name, _, _ in outbox.entities("assignment")]


def holding(outbox: Outbox, office: FakeOffice) -> dict[str, Any]:
    """A permit that the phone has pulled."""
    permit = a_change()
    office.pages = [office.page(changes=[permit], cursor="old")]
    client(outbox, office).pull(Report())
    return permit


RESET = answering(410, "feed-reset")


def test_a_page_asked_for_before_a_reset_takes_no_permits_away(outbox: Outbox, office: FakeOffice) -> None:
    permit = holding(outbox, office)
    stale = httpx.Response(200, json=office.page(cursor="old"))
    office.faults = [meanwhile(outbox, office, stale, RESET, lose_request), lose_request]

    with pytest.raises(SyncFault):
        client(outbox, office).pull(Report())

    assert (permits(outbox), outbox.fact("cursor")) == ([permit["id"]], None)


def test_a_session_that_was_overtaken_goes_on_from_where_the_other_one_is(
    outbox: Outbox, office: FakeOffice
) -> None:
    holding(outbox, office)
    new, last = a_change(), a_change()
    office.pages = [
        office.page(changes=[new], cursor="new", has_more=True),
        office.page(changes=[last], cursor="newer"),
    ]
    stale = httpx.Response(200, json=office.page(cursor="old", durable_through=7))
    office.faults = [meanwhile(outbox, office, stale, RESET, well, lose_request)]

    report = Report()
    client(outbox, office).pull(report)

    assert sorted(permits(outbox)) == sorted([new["id"], last["id"]])
    assert (outbox.fact("cursor"), outbox.fact("durable_through"), report.pulled) == ("newer", None, 1)


def test_a_reset_that_another_session_has_answered_does_not_start_its_feed_over(
    outbox: Outbox, office: FakeOffice
) -> None:
    holding(outbox, office)
    office.pages = [office.page(cursor="new")]
    office.faults = [meanwhile(outbox, office, problem(410, "feed-reset"), RESET, well)]
    events: list[Event] = []

    was_reset = client(outbox, office, on_event=events.append).pull(Report())

    assert (was_reset, outbox.fact("generation")) == (False, 1)
    assert [event for event in events if isinstance(event, FeedReset)] == []


def test_a_session_that_is_always_overtaken_leaves_the_feed_to_the_other_one(
    outbox: Outbox, office: FakeOffice
) -> None:
    stale = httpx.Response(200, json=office.page(cursor="old"))
    office.pages = [office.page(cursor=f"c{n}") for n in range(50)]
    office.faults = [meanwhile(outbox, office, stale) for _ in range(50)]

    client(outbox, office).pull(Report())

    assert len(office.requests) < 10
    assert outbox.fact("cursor").startswith("c")


def test_what_another_session_handed_in_meanwhile_is_not_missed_at_the_office(
    outbox: Outbox, office: FakeOffice
) -> None:
    append(outbox, KEY)
    client(outbox, office).session()
    office.requests.clear()

    def pushing_meanwhile(handle: Handler, request: httpx.Request) -> httpx.Response:
        answer = handle(request)
        with closing(Outbox(outbox.path)) as its_own:
            append(its_own, KEY)
            client(its_own, office).push(Report())
        return answer

    office.faults = [pushing_meanwhile]

    client(outbox, office).session()

    assert [method for method, _ in office.requests] == ["GET", "POST"]


# What later releases may say.


def test_words_of_a_later_day_do_not_stop_a_phone_of_today(outbox: Outbox, office: FakeOffice) -> None:
    sealed = append(outbox, KEY)

    def later(handle: Handler, request: httpx.Request) -> httpx.Response:
        answer = json.loads(handle(request).content)
        for one in answer["outcomes"]:
            one |= {"outcome": "deferred", "flags": ["after_eclipse", 7], "hint": {"x": 1}}
            one["receipt"]["log_index"] = 12
        return httpx.Response(200, json=answer | {"new": [1], "anchor": None})

    office.faults = [later]
    news = [a_change(kind="drone", why="new")]
    office.pages = [office.page(changes=news, weather="fine", rescue_key=7, record_digest=None)]

    report = client(outbox, office).session()

    assert outbox.count_waiting() == (0, 0)
    (kept,) = outbox.outcomes()
    assert (kept["id"], kept["outcome"], kept["flags"]) == (sealed.item_id, "deferred", ["after_eclipse"])
    assert report.flags == ["after_eclipse"]
    assert len(outbox.entities("drone")) == 1


@pytest.mark.parametrize("flags", [None, 7, "x", {}])
def test_flags_that_are_none_are_none(outbox: Outbox, office: FakeOffice, flags: Any) -> None:
    append(outbox, KEY)

    def odd(handle: Handler, request: httpx.Request) -> httpx.Response:
        answer = json.loads(handle(request).content)
        answer["outcomes"][0]["flags"] = flags
        return httpx.Response(200, json=answer)

    office.faults = [odd]

    assert client(outbox, office).session().flags == []


@pytest.mark.parametrize("token", ["x" * 257, "a\x00b"], ids=["long", "nul"])
def test_an_anchor_that_no_item_could_carry_is_not_kept(
    outbox: Outbox, office: FakeOffice, token: str
) -> None:
    append(outbox, KEY)
    anchor = FakeOffice().page()["anchor"] | {"token": token}

    def with_anchor(handle: Handler, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=json.loads(handle(request).content) | {"anchor": anchor})

    office.faults = [with_anchor]

    with suppress(SyncFault):
        client(outbox, office).push(Report())

    assert outbox.fact("anchor") is None


def test_a_phone_that_may_only_submit_still_gets_the_time(outbox: Outbox, office: FakeOffice) -> None:
    append(outbox, KEY)
    anchor = FakeOffice().page()["anchor"]

    def with_anchor(handle: Handler, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=json.loads(handle(request).content) | {"anchor": anchor})

    office.faults = [with_anchor, answering(403, "device-revoked")]

    client(outbox, office).session()

    assert outbox.fact("anchor").items() >= anchor.items()

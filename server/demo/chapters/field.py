"""Chapter three: a day without network, and an evening with a bad one."""

from server.demo.agency import LIN, QIAN, TEAMS
from server.demo.day import Handset, sync_until_done, work
from server.demo.network import BreakingNetwork
from server.demo.scene import BY_NAME, EVENING, NOON, PLANS, UPLOAD_CUTS, Scene


def three_phones_work_offline(scene: Scene) -> None:
    """No network all day. At noon a debtor complains in the office; the phone cannot know."""
    scene.teller.chapter("Three phones work offline")
    if scene.is_over:
        scene.teller.tell("(they did so in an earlier run; their outboxes still hold the day)")
        return
    early = scene.held(LIN.number, "honest")
    why = scene.handsets[LIN.number].phone.may_enter_now(early, team=scene.handsets[LIN.number].team)
    scene.teller.check(
        "outside the permitted time" in why,
        "before the door too early: the phone itself says no",
        found=why,
    )
    scene.clock(NOON)
    case_id = scene.cases["held"]["id"]
    scene.supervisor.post(f"/cases/{case_id}/holds", {"reason": "complaint", "note": "call at 11:40"})
    scene.teller.tell("11:45 a complaint stops the case of 13:30; team Zhao is out of reach")
    for number, plans in PLANS.items():
        for plan in plans:
            door = BY_NAME[plan.photo_of or plan.case]
            held = scene.held(number, plan.case)
            work(scene.handsets[number], plan, BY_NAME[plan.case], held=held, door=door)
            scene.teller.tell(f"{plan.arrives:%H:%M} {TEAMS[number][0].name}: {plan.case}")


def phones_come_back(scene: Scene) -> None:
    """Evening: the network is bad. Everything must arrive, exactly once."""
    scene.teller.chapter("Evening: the phones sync over a network that keeps breaking")
    scene.clock(EVENING)
    for seed, (number, handset) in enumerate(scene.handsets.items(), start=20260609):
        handset.watch.now = scene.server_now()
        cuts = UPLOAD_CUTS if number == QIAN.number and not scene.is_over else 0
        quiet = scene.is_over
        network = BreakingNetwork(
            seed=seed, lose=0 if quiet else 0.12, lose_answer=0 if quiet else 0.12, cuts=cuts
        )
        if not quiet:
            scene.teller.tell(f"{number} (seed {seed})")
        sync_until_done(handset, scene.base_url, network, say=lambda line: None)
        _check_arrival(scene, number, handset, network)


def _check_arrival(scene: Scene, number: str, handset: Handset, network: BreakingNetwork) -> None:
    outcomes = handset.phone.outbox.outcomes()
    lost = ", ".join(f"{count} {what}" for what, count in sorted(network.happened.items())) or "no fault"
    scene.teller.check(
        all(one["receipt"] for one in outcomes),
        f"{number}: {len(outcomes)} items receipted, files stored, {handset.sessions} sessions ({lost})",
        found=[one["outcome"] for one in outcomes],
    )
    if scene.is_over:
        return
    repeated = [one for one in outcomes if one["outcome"] == "duplicate"]
    scene.teller.check(
        bool(repeated),
        f"{number}: the push whose answer was lost got the same receipts again",
        found=outcomes,
    )
    if number == QIAN.number:
        scene.teller.check(
            network.happened["uploads cut"] == UPLOAD_CUTS,
            f"{number}: uploads were cut {UPLOAD_CUTS} times and went on where they broke off",
            found=dict(network.happened),
        )

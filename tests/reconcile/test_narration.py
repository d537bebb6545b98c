"""The narrative against the boxes of its account, visited from 10:00 to 10:20: contradictions, and none."""

from dataclasses import replace
from typing import Any

import pytest

from server.reconcile.engine import reconcile
from server.reconcile.facts import Limits
from server.reconcile.finding import Finding
from tests.reconcile.honest import HONEST, with_account

A_PROMISE = {"amount_fen": 500_000, "due_on": "2026-12-05"}


def a_letter(delivery: str, recipient: str = "debtor", **more: Any) -> dict[str, Any]:
    return {"template": "t", "delivery": delivery, "recipient": recipient, **more}


def found(narrative: str, **claims: Any) -> list[Finding]:
    """What the narrative's checks find in an honest visit that is told like this."""
    report = reconcile(replace(HONEST, **with_account(narrative=narrative, **claims)), Limits())
    ours = ("narrative-contradicts", "letter-posted")
    return [one for one in report.findings if one.check in ours or one.check.endswith("-only-in-narrative")]


CONTRADICTIONS = [
    ("上午10:11到达，见到债务人。", {}, "arrived_at"),
    ("上午9:49到达，见到债务人。", {}, "arrived_at"),
    ("十点半到达，见到债务人，谈到十一点离开。", {}, "left_at"),
    ("下午三点到达，见到债务人。", {}, "arrived_at"),
    ("债务人承诺12月5日还3000元。", {"promise": A_PROMISE, "outcome": "promise"}, "promise"),
    ("债务人承诺12月6日还5000元。", {"promise": A_PROMISE, "outcome": "promise"}, "promise"),
    (
        "债务人承诺12月1日还1000元，12月5日再还1000元。",
        {"promise": A_PROMISE, "outcome": "promise"},
        "promise",
    ),
    ("债务人答应下周三还800元。", {"outcome": "other"}, "promise"),
    ("家中无人，投递后离开。", {"met": "debtor"}, "met"),
    ("其妻子称债务人出差了。", {"met": "debtor"}, "met"),
    ("债务人本人开门。", {"met": "nobody", "outcome": "other"}, "met"),
    ("其妻子开门，没有多说。", {"met": "nobody", "outcome": "other"}, "met"),
    ("债务人开门。", {"met": "third_party", "outcome": "other"}, "met"),
    ("将函件投入信箱。", {"met": "nobody", "letters": [a_letter("handed_to_debtor")]}, "letters"),
    ("通知书交给债务人。", {"letters": [a_letter("mailbox")]}, "letters"),
    ("债务人拒收通知书。", {"letters": [a_letter("handed_to_debtor")]}, "letters"),
    ("债务人不签字。", {"letters": [a_letter("handed_to_debtor", signed=True)]}, "letters"),
    ("将函件投入信箱。", {}, "letters"),
    ("同事把通知贴在门上。", {}, "letters"),
    ("未出示证件。", {}, "identity_shown"),
    ("未告知录音。", {}, "recording_announced"),
    ("已告知录音。", {"recording_announced": False}, "recording_announced"),
    ("债务人称非本人操作。", {"debt": "confirmed"}, "debt"),
    ("债务人承认欠款。", {"debt": "disputed"}, "debt"),
    ("债务人称没办过这张卡。", {}, "debt"),
    ("债务人拒绝还款。", {"promise": A_PROMISE, "outcome": "promise"}, "outcome"),
    ("债务人答应12月5日还5000元。", {"promise": A_PROMISE, "outcome": "refused"}, "outcome"),
    ("债务人在家，态度冷淡。", {"met": "debtor", "outcome": "not_home"}, "outcome"),
]


@pytest.mark.parametrize(
    ("narrative", "claims", "claim"),
    CONTRADICTIONS,
    ids=[f"{row[2]}-{n}" for n, row in enumerate(CONTRADICTIONS)],
)
def test_a_contradiction_names_the_claim_and_cites_the_words(
    narrative: str, claims: dict[str, Any], claim: str
) -> None:
    doubted = {one.claim: one for one in found(narrative, **claims)}

    assert claim in doubted
    places = doubted[claim].citation["places"]
    assert places
    assert all(narrative[place["from"] : place["until"]] == place["word"] for place in places)


HONEST_WORDS = [
    ("上午10:10到达，10:30离开。", {}),
    ("十点到，十点二十走。", {}),
    ("上午10:20左右到达。", {}),
    ("十点半左右离开。", {}),
    ("原定14:00，债务人十点来电改约。", {}),
    ("债务人承诺12月5日还5000元。", {"promise": A_PROMISE, "outcome": "promise"}),
    ("债务人承诺12月5日前还清。", {"promise": A_PROMISE, "outcome": "promise"}),
    (
        "债务人承诺12月1日还2000元，12月5日再还3000元。",
        {"promise": A_PROMISE, "outcome": "promise"},
    ),
    ("债务人说过几天还。", {"promise": A_PROMISE, "outcome": "promise"}),
    ("债务人承诺还5000元左右，12月5日。", {"promise": A_PROMISE, "outcome": "promise"}),
    ("债务人表示下周还五百元。", {"outcome": "other"}),
    ("敲门无人应，邻居说搬走了。", {"met": "nobody", "outcome": "not_home"}),
    ("先敲门无人应，后债务人开门。", {"met": "debtor"}),
    ("其妻子称债务人出差了。", {"met": "third_party", "outcome": "not_home"}),
    (
        "将函件投入信箱。",
        {"met": "nobody", "outcome": "not_home", "letters": [a_letter("mailbox", "nobody")]},
    ),
    ("债务人签收通知书。", {"letters": [a_letter("handed_to_debtor", signed=True)]}),
    ("债务人拒收，信件扔出。", {"letters": [a_letter("refused")]}),
    ("债务人承认欠款，对利息有异议。", {"debt": "disputed"}),
    ("债务人承认欠款。", {"debt": "not_discussed"}),
    ("债务人拒绝还款。", {"outcome": "refused"}),
    ("出示证件，告知录音。", {}),
    ("", {}),
]


@pytest.mark.parametrize(
    ("narrative", "claims"), HONEST_WORDS, ids=[str(n) for n in range(len(HONEST_WORDS))]
)
def test_what_may_be_the_same_is_no_contradiction(narrative: str, claims: dict[str, Any]) -> None:
    assert found(narrative, **claims) == []


def test_a_dispute_told_only_in_words_names_the_rule_that_stops_collection() -> None:
    rules = {
        one.observation["dispute"]: one.rule
        for words in (
            "债务人自称不是债务人。",
            "债务人称非本人操作。",
            "债务人对金额有异议。",
            "债务人称早已还清。",
        )
        for one in found(words)
        if one.check == "dispute-only-in-narrative"
    }

    assert rules == {"identity": "D4", "transaction": "D8", "amount": "D11", "paid": "D18"}


def test_pasting_a_letter_is_the_worst_of_deliveries() -> None:
    posted = next(one for one in found("同事把通知贴在门上。") if one.check == "letter-posted")

    assert (posted.rule, posted.severity) == ("H9", "severe")

"""What a transcript bears out, contradicts, or leaves silent; forbidden words in account and recording."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from server.reconcile.conduct import forbidden_in
from server.reconcile.engine import reconcile
from server.reconcile.facts import GapExplained, Limits, Segment, Sound
from server.reconcile.finding import Finding
from tests.reconcile.honest import BADGE, HONEST, a_photo, a_recording, with_account

OPENING = (
    "您好，我们受银行委托，来通知信用卡欠款的事，我姓王，这是我的工作证。",
    "先跟您说一声，本次谈话全程录音。",
)
RECORDING = UUID(int=20)


def a_transcript(*words: str, confidence: float | None = 0.9) -> tuple[Segment, ...]:
    return tuple(Segment(10.0 * n, 10.0 * n + 9, text, confidence) for n, text in enumerate(words))


def heard(*words: str, **claims: Any) -> list[Finding]:
    """Findings of an honest visit in whose recording this is heard."""
    return list(judged(*words, **claims).findings)


def judged(*words: str, **claims: Any) -> Any:
    recording = a_recording(speech=9 * len(words), transcript=a_transcript(*words))
    changes = with_account(narrative="", **claims) | {"evidence": (BADGE, a_photo(), recording)}
    return reconcile(replace(HONEST, **changes), Limits())


def marks_of(report: Any) -> dict[str, tuple[str, str]]:
    return {one.claim: (one.mark, one.why) for one in report.claims}


def test_a_decent_recording_supports_what_was_said_at_the_door() -> None:
    report = judged(
        *OPENING, "我是本人。十二月五号我还五千。", promise={"amount_fen": 500_000, "due_on": "2026-12-05"}
    )

    assert report.findings == ()
    marks = marks_of(report)
    assert [marks[name][0] for name in ("recording_announced", "identity_shown", "promise")] == [
        "supported"
    ] * 3


def test_without_a_transcript_the_claims_are_silent_and_say_why() -> None:
    report = reconcile(HONEST, Limits())

    assert report.findings == ()
    assert marks_of(report)["recording_announced"] == ("silent", "not every recording is transcribed")


def test_a_transcript_of_almost_nothing_is_no_ground_for_a_finding() -> None:
    report = judged("嗯，好的。")

    assert report.findings == ()
    assert marks_of(report)["identity_shown"] == ("silent", "too little was understood")


UNHEARD = [
    ("announcement-not-heard", (OPENING[0], "您什么时候方便还一下呢，我们可以等。"), {}),
    (
        "role-not-heard",
        ("你好，录音开着呢，今天来就是问一下情况。", "没什么别的事情，你慢慢说，不着急不着急。"),
        {},
    ),
    (
        "promise-not-heard",
        (*OPENING, "我十二月五号还三千。"),
        {"promise": {"amount_fen": 500_000, "due_on": "2026-12-05"}, "outcome": "promise"},
    ),
    (
        "promise-not-heard",
        (*OPENING, "我十二月八号还五千。"),
        {"promise": {"amount_fen": 500_000, "due_on": "2026-12-05"}, "outcome": "promise"},
    ),
    ("person-differs", (*OPENING, "他不在家，我是他老婆。"), {}),
    ("person-differs", (*OPENING, "您是他爱人吗？", "对的，他出差了。"), {}),
    ("person-differs", (*OPENING, "我老公在里屋，我是他妹妹。"), {}),
    ("person-differs", (*OPENING, "是我哥的卡，我是他妹妹。"), {}),
    (
        "debt-told-to-third-party",
        (*OPENING, "他欠款很久了。"),
        {"met": "third_party", "outcome": "message_left"},
    ),
    (
        "debt-told-to-third-party",
        (*OPENING, "他信永卡还没还，您知道吗？"),  # as an engine mishears it
        {"met": "third_party", "outcome": "message_left"},
    ),
]


@pytest.mark.parametrize(
    ("check", "words", "claims"), UNHEARD, ids=[f"{row[0]}-{n}" for n, row in enumerate(UNHEARD)]
)
def test_what_the_recording_does_not_bear_out_is_found_with_the_second(
    check: str, words: tuple[str, ...], claims: dict[str, Any]
) -> None:
    findings = {one.check: one for one in heard(*words, **claims)}

    assert check in findings
    assert findings[check].citation["evidence_id"] == str(RECORDING)
    assert findings[check].citation["second"] % 10 == 0
    assert findings[check].confidence < 0.6


def test_a_festival_that_is_spoken_of_is_no_other_day_than_the_promised_one() -> None:
    promise = {"promise": {"amount_fen": 500_000, "due_on": "2026-12-05"}, "outcome": "promise"}

    found = [
        {one.check for one in heard(*OPENING, f"{when}我儿子回来，我还五千。", **promise)}
        for when in ("冬至", "十二月八号")
    ]

    assert [("promise-not-heard" in one) for one in found] == [False, True]


def test_that_the_debt_was_told_does_not_say_that_nobody_else_was_met() -> None:
    report = judged(*OPENING, "他欠款很久了。", met="third_party", outcome="message_left")

    marks = marks_of(report)
    assert (marks["met"][0], marks["narrative"][0]) == ("supported", "contradicted")


def test_what_nobody_understood_may_have_been_said() -> None:
    words = ("您什么时候方便还一下呢，我们可以等您几天。", "没什么别的事情，你慢慢说，不着急不着急。")
    half_heard = a_recording(speech=18 / 0.65, transcript=a_transcript(*words))
    all_heard = a_recording(speech=18 / 0.75, transcript=a_transcript(*words))
    found = [
        {one.check for one in reconcile(replace(HONEST, evidence=(BADGE, a_photo(), one)), Limits()).findings}
        for one in (half_heard, all_heard)
    ]

    assert found == [set(), {"announcement-not-heard", "role-not-heard"}]


@pytest.mark.parametrize(
    ("gap", "explained", "is_found"),
    [((0.0, 60.0), None, True), ((0.0, 61.0), None, False), ((0.0, 5.0), RECORDING, False)],
    ids=["a call", "a longer gap", "an explained pause"],
)
def test_what_was_said_while_nothing_was_recorded_may_have_been_said(
    gap: tuple[float, float], explained: UUID | None, is_found: bool
) -> None:
    words = ("您什么时候方便还一下呢，我们可以等您几天。", "没什么别的事情，你慢慢说，不着急不着急。")
    sound = Sound(1190, 18, gaps=(gap,))
    recording = a_recording(transcript=a_transcript(*words), sound=sound)
    told = () if explained is None else (GapExplained(explained),)

    report = reconcile(replace(HONEST, evidence=(BADGE, a_photo(), recording), gaps_explained=told), Limits())

    found = {one.check for one in report.findings} & {"announcement-not-heard", "role-not-heard"}
    assert bool(found) == is_found


def of_confidence(confidence: float | None, *words: str, **claims: Any) -> dict[str, str]:
    """Check and severity of what an engine heard, as sure of itself as this."""
    recording = a_recording(speech=9 * len(words), transcript=a_transcript(*words, confidence=confidence))
    changes = with_account(narrative="", **claims) | {"evidence": (BADGE, a_photo(), recording)}
    return {one.check: one.severity for one in reconcile(replace(HONEST, **changes), Limits()).findings}


@pytest.mark.parametrize(
    ("confidence", "is_proof"), [(None, True), (0.37, True), (0.36, False)], ids=["unsaid", "sure", "guessed"]
)
def test_what_an_engine_only_guesses_proves_nothing(confidence: float | None, is_proof: bool) -> None:
    away = of_confidence(confidence, *OPENING, "他不在家，我是他老婆。")
    told = of_confidence(confidence, *OPENING, "他欠款很久了。", met="third_party", outcome="message_left")
    silent = of_confidence(confidence, "您什么时候方便还一下呢，我们可以等您几天。" * 2)
    cash = of_confidence(confidence, *OPENING, "转到我微信吧。")

    assert ("person-differs" in away, "debt-told-to-third-party" in told) == (is_proof, is_proof)
    assert ("announcement-not-heard" in silent) == is_proof
    assert cash == {"heard-cash": "severe" if is_proof else "minor"}


def test_another_character_of_the_same_sound_is_no_silence() -> None:
    assert heard("你好，我们受因行伪托，这是工作证，您是业主吧？", "先跟您说一声，本次谈话全程路因。") == []


HEARD_WELL = [
    (*OPENING, "我就是本人，他不在家那是我弟弟。"),
    (*OPENING, "对，是我。", "我老公上班去了，他不在家。"),
    (*OPENING, "您爱人在家吗？", "她出差了，过几天回。"),
    (*OPENING, "我家孩子都大了，他上班去了。"),
    (OPENING[0], "这个不能录音的吧？没关系，我们全程录音也是保护您。"),
    (*OPENING, "我十二月五号还五千。"),
    (*OPENING, "我现在没钱，过阵子再说吧。"),
    (*OPENING, "我们不收现金，请您到银行柜面还。"),
]


@pytest.mark.parametrize("words", HEARD_WELL)
def test_a_decent_talk_is_no_finding(words: tuple[str, ...]) -> None:
    promise = {"amount_fen": 500_000, "due_on": "2026-12-05"}

    assert heard(*words, promise=promise, outcome="promise") == []


def test_forbidden_words_in_a_recording_are_cited_with_their_second() -> None:
    findings = {one.check: one for one in heard(*OPENING, "你这个老赖，再不还让你坐牢。", "把现金给我也行。")}

    insult, cash = findings["heard-insult"], findings["heard-cash"]
    assert (insult.rule, insult.citation["second"], insult.citation["places"][0]["word"]) == (
        "C2",
        20.0,
        "你这个老赖",
    )
    assert (cash.rule, cash.citation["evidence_id"], cash.citation["second"]) == ("B15", str(RECORDING), 30.0)
    assert "heard-authorities" in findings


def test_a_less_sure_hearing_is_a_less_sure_finding() -> None:
    def confidence(sure: float | None) -> float:
        recording = a_recording(transcript=a_transcript(*OPENING, "你这个老赖。", confidence=sure))
        facts = replace(HONEST, evidence=(BADGE, a_photo(), recording))
        return next(
            one for one in reconcile(facts, Limits()).findings if one.check == "heard-insult"
        ).confidence

    assert confidence(0.4) < confidence(None) < confidence(0.95)


OURS = [
    ("insult", "骂债务人是无赖。"),
    ("insult", "债务人态度恶劣，骂他老赖后离开。"),
    ("insult", "我方指出他是老赖。"),
    ("answered-with-abuse", "搭档与其争吵。"),
    ("personal-attack", "我们说他没出息。"),
    ("threat", "跟他说后果自负。"),
    ("authorities", "我告诉他会坐牢。"),
    ("impersonation", "搭档自称法院工作人员。"),
    ("cash", "债务人提出给现金，我们收了现金五百。"),
    ("waiver", "我们答应减免利息。"),
    ("disclosure", "债务人不在，已告知邻居其欠款。"),
    ("third-party-pays", "要求父母还款。"),
    ("smoking-and-drinking", "我们喝酒后上门。"),
    ("indecent", "我们发了合成照片。"),
    ("threat", "债务人称没钱，警告他后果自负。"),
    ("third-party-pays", "债务人称没钱。让其妻子代还。"),
    ("authorities", "告诉他不还要坐牢。"),
    ("answered-with-abuse", "搭档忍不住回骂。"),
    ("insult", "债务人称没钱，我骂他是老赖。"),
    ("threat", "债务人称刚做了手术，我们说不还就天天来。"),
    ("threat", "跟他讲再拖就去单位闹。"),
    ("authorities", "我们说要把他抓起来。"),
    ("impersonation", "搭档谎称是物业。"),
    ("cash", "我们让他扫收款码付了五百。"),
    ("cash", "搭档拿了现金，说替他存。"),
    ("waiver", "我们说利息可以免。"),
    ("third-party-pays", "让其父代还。"),
    ("disclosure", "敲门无人，我们在楼道里喊他欠钱。"),
    ("disclosure", "告诉其父欠款一事。"),
    ("answered-with-abuse", "搭档骂了他几句。"),
]


@pytest.mark.parametrize(("topic", "words"), OURS, ids=[f"{row[0]}-{n}" for n, row in enumerate(OURS)])
def test_what_the_visitors_say_or_do_counts(topic: str, words: str) -> None:
    assert topic in {place.topic.slug for place in forbidden_in(words, "words")}


@pytest.mark.parametrize(
    "words",
    [
        "持卡人骂我白痴，我没有还口。",
        "债务人称我说他是老赖，不认账。",
        "债务人称没钱，我们家里也没办法，说我老赖也没用。",
        "债务人称是他弟弟刷的卡，骂他是无赖。",
        "债务人骂我们是骗子，我们没有还口。",
        "债务人情绪激动，骂我们是骗子。",
        "债务人说“你们再来我就报警”，我们解释后离开。",
        "债务人称邻居都知道他欠钱，怪我们；我们从未告知邻居。",
        "妻子怀疑我们是骗子。",
        "债务人讲前几天有人冒充银行给他打电话。",
        "我们没有威胁、没有辱骂。",
        "债务人问能不能答应减免，答复须银行审批。",
        "债务人说上次来的人骂他老赖，要投诉。",
        "债务人自称律师，要录我们。",
        "债务人家对面是派出所。",
        "按规定不得张贴，投入信箱。",
        "如果收取现金就违规了，已说明。",
        "一进门就开骂，说我们是骗子。",
        "派出所片警介绍该户早已迁出。",
        "债务人要我们替他存，我们没有答应。",
        "没有告诉其父欠款的事。",
        "债务人问利息可以免多少。",
        "债务人扬言要打断腿，我们撤离。",
        "其妻说不让其父代还。",
    ],
)
def test_the_debtor_s_words_and_what_was_not_done_do_not_count(words: str) -> None:
    assert [place.word for place in forbidden_in(words, "words")] == []


MISHEARD = [
    ("impersonation", "我们事法院的。"),
    ("impersonation", "我门是派出所的。"),
    ("third-party-pays", "你们家理人得还。"),
    ("cash", "转到我微心吧。"),
    ("insult", "你就事个老赖。"),
]


@pytest.mark.parametrize(("topic", "words"), MISHEARD)
def test_a_word_that_the_engine_writes_by_its_sound_is_heard_and_less_sure(topic: str, words: str) -> None:
    [found] = [one for one in heard(*OPENING, words) if one.check == f"heard-{topic}"]
    [place] = found.citation["places"]

    assert found.confidence == round(0.6 * 0.9 * 0.8, 3)
    assert found.citation["second"] == place["second"] == 20.0
    assert place["heard"] in words and place["heard"] != place["word"]


@pytest.mark.parametrize(
    "words",
    ["我们不事法院的。", "我找亲戚接一下孩子。", "我们走这桥过来的。", "我们四海远的。", "你们家里人都好。"],
    ids=["denied", "too short to be sure", "shorter still", "two slips", "another word"],
)
def test_what_only_resembles_a_word_is_no_finding(words: str) -> None:
    assert [one.check for one in heard(*OPENING, words) if one.check.startswith("heard-")] == []


def test_a_word_heard_plainly_is_found_once_and_is_as_sure_as_before() -> None:
    [found] = [one for one in heard(*OPENING, "我们是法院的。") if one.check == "heard-impersonation"]

    assert found.confidence == round(0.6 * 0.9, 3)
    assert [set(place) for place in found.citation["places"]] == [{"second", "until", "word"}]

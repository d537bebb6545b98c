"""What is made up in the account? Words against boxes, letters that went elsewhere, words nobody may use."""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from bench.reconciliation.fabrications.registry import DEBTOR, fabrication
from bench.reconciliation.honest import a_letter, a_photo, say_day, say_sum
from bench.reconciliation.script import Amendment, Carried, Script

# Words against boxes.


@fabrication(
    "words name another departure", must=["narrative-contradicts/left_at"], touches=["stay", "account"]
)
def another_departure(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    later = script.arrives + timedelta(minutes=chance.uniform(50, 150))
    script.told["leave"] = chance.choice(
        (f"{later:%H:%M}离开", f"直到{later.hour}点{later.minute:02}分才离开")
    )


@fabrication(
    "words name another promise",
    must=["narrative-contradicts/promise"],
    scenes=("promise",),
    touches=["story"],
)
def another_promise(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    promised = script.boxes["promise"]
    yuan = promised["amount_fen"] // 100 + chance.choice((300, 1700, 4000))
    due = date.fromisoformat(promised["due_on"])
    script.told["promise"] = f"承诺{say_day(chance, due)}前还{say_sum(chance, yuan)}"


@fabrication(
    "promise in words alone",
    must=["promise-only-in-narrative"],
    may=["narrative-contradicts/outcome"],
    scenes=("refused",),
    touches=["story"],
)
def promise_in_words(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    due = script.day + timedelta(days=chance.randrange(4, 20))
    sum_ = say_sum(chance, chance.choice((1000, 2500, 6000)))
    script.told["outcome"] = f"债务人承诺{say_day(chance, due)}前还{sum_}"


@fabrication(
    "words say nobody was met",
    must=["narrative-contradicts/met"],
    scenes=DEBTOR,
    may=["narrative-contradicts/letters"],
    touches=["story", "letters", "mood"],
)
def nobody_in_words(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    kept = {name: script.told[name] for name in ("arrive", "detail", "leave")}
    script.told = {
        "arrive": kept["arrive"],
        "door": "敲门无人应答",
        "detail": kept["detail"],
        "leave": kept["leave"],
    }


@fabrication(
    "words say the debtor was met",
    must=["narrative-contradicts/met"],
    may=["narrative-contradicts/outcome"],
    scenes=("nobody",),
    touches=["story"],
)
def debtor_in_words(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.told["door"] = chance.choice(("债务人本人开门", "见到债务人本人", "敲门后债务人开门"))


@fabrication(
    "words put the letter elsewhere",
    must=["narrative-contradicts/letters"],
    scenes=("nobody",),
    touches=["story", "letters"],
)
def letter_elsewhere(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _left(script, chance, "under_door")
    script.told["letter"] = "将通知书投入信箱"


@fabrication(
    "letter in words alone",
    must=["delivery-only-in-narrative"],
    scenes=("nobody",),
    may=["letters-unaccounted"],
    touches=["story", "letters"],
)
def letter_in_words(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.boxes["letters"] = []
    script.carried = []
    script.told["letter"] = chance.choice(("将通知书投入信箱", "把信函从门缝塞入"))


@fabrication(
    "no badge, say the words", must=["narrative-contradicts/identity_shown"], scenes=DEBTOR, touches=["story"]
)
def no_badge_shown(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.told["identity"] = chance.choice(("未出示工作证", "没有出示证件", "忘记出示工作证"))


@fabrication(
    "not announced, say the words",
    must=["narrative-contradicts/recording_announced"],
    scenes=DEBTOR,
    touches=["story"],
)
def not_announced(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.told["recording"] = chance.choice(("未告知录音", "没有告知录音", "未说明录音"))


@fabrication(
    "confirmed in the boxes, disputed in words",
    must=["narrative-contradicts/debt"],
    may=["dispute-only-in-narrative"],
    scenes=("refused", "promise"),
    touches=["story"],
)
def confirmed_anyway(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.told["debt"] = chance.choice(
        ("债务人称金额有误，不认可", "债务人称没办过这张卡", "债务人称已经还清")
    )


@fabrication(
    "dispute not reported", must=["dispute-only-in-narrative"], scenes=("refused",), touches=["story"]
)
def dispute_hidden(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.boxes["debt"] = "not_discussed"
    script.told["debt"] = chance.choice(
        ("债务人称没办过这张卡", "债务人称被盗刷，不是本人消费", "债务人称金额有误")
    )


@fabrication(
    "promise in the boxes, refusal in words",
    must=["narrative-contradicts/outcome"],
    scenes=("promise",),
    touches=["story"],
)
def refused_in_words(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.told["promise"] = chance.choice(
        ("债务人拒绝还款", "债务人表示坚决不还", "债务人说一分钱不给，拒绝还款")
    )


@fabrication(
    "pasted on the door",
    must=["letter-posted"],
    may=["narrative-contradicts/letters", "wording-disclosure"],
    scenes=("nobody",),
    touches=["story", "letters"],
)
def posted(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _left(script, chance, "under_door")
    script.told["letter"] = chance.choice(("将通知书贴在门上", "把催收函贴在大门上", "通知书张贴在单元门口"))


@fabrication(
    "copied from an earlier account",
    must=["narrative-repeated"],
    scenes=("refused", "disputed"),
    touches=["story", "letters", "mood"],
)
def copied(script: Script, chance: random.Random, earlier: Sequence[Script]) -> bool:
    mine = [
        one
        for one in earlier
        if one.crew == script.crew and one.scene == script.scene and one.is_honest
        and not one.boxes.get("letters") and sum(map(len, one.told.values())) > 80
    ]  # fmt: skip
    if not mine or script.boxes.get("letters"):
        return False
    lender = chance.choice(mine)
    script.told, script.clock_style, script.runs_on = dict(lender.told), lender.clock_style, lender.runs_on
    return True


@fabrication(
    "the account turned round",
    must=["amendment-reverses"],
    scenes=("refused",),
    touches=["account", "talk", "story"],
)
def turned_round(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    due = script.day + timedelta(days=7)
    promise = {"amount_fen": 100_000, "due_on": due.isoformat()}
    text = f"补充：债务人答应{say_day(chance, due)}还1000元。"
    script.amendments = [Amendment({"outcome": "promise", "promise": promise}, text)]
    (sound,) = script.sounds
    sound.lines = [one for one in sound.lines if "还" not in one.text]


# Letters.


def _left(script: Script, chance: random.Random, delivery: str) -> None:
    script.carried = [Carried("notice-1")]
    script.boxes["letters"] = [a_letter(delivery, "nobody")]
    if not any(one.purpose == "delivery" for one in script.photos):
        script.photos.append(a_photo(chance, script, "delivery", seconds=14))


def _handed(script: Script, chance: random.Random, **more: Any) -> None:
    script.carried = [Carried("notice-1")]
    script.boxes["letters"] = [a_letter("handed_to_debtor", "debtor", **more)]
    script.told["letter"] = "将通知书交给债务人"
    script.photos = [one for one in script.photos if one.purpose != "signature"]
    if not any(one.purpose == "delivery" for one in script.photos):
        script.photos.append(a_photo(chance, script, "delivery", seconds=14))


@fabrication(
    "handed to a debtor who was away",
    must=["delivery-contradicts"],
    may=["narrative-contradicts/letters"],
    scenes=("third_party", "nobody"),
    touches=["letters"],
)
def handed_to_nobody(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _handed(script, chance)
    script.told.pop("letter")


@fabrication("a letter nobody gave them", must=["letter-not-on-permit"], scenes=DEBTOR, touches=["letters"])
def own_letter(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _handed(script, chance)
    script.boxes["letters"][0]["template"] = "final-warning"


@fabrication(
    "the guarantor's letter handed to the debtor",
    must=["letter-wrong-recipient"],
    scenes=DEBTOR,
    touches=["letters"],
)
def wrong_hands(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _handed(script, chance)
    script.boxes["letters"] = [a_letter("handed_to_liable_person", "liable_person")]
    script.told["letter"] = "将信函递给在场的人"


@fabrication(
    "left in the mailbox although met", must=["letter-left-although-met"], scenes=DEBTOR, touches=["letters"]
)
def left_anyway(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _left(script, chance, "mailbox")
    script.told["letter"] = "走时将通知书投入信箱"
    script.photos = [one for one in script.photos if one.purpose != "signature"]


@fabrication(
    "left at an unsure address",
    must=["letter-at-unsure-address"],
    may=["address-unverified"],
    scenes=("nobody",),
    touches=["letters", "address"],
)
def unsure(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.is_verified = False
    _left(script, chance, "mailbox")
    script.told["letter"] = "将通知书投入信箱"


@fabrication(
    "left without a photo", must=["letter-left-without-photo"], scenes=("nobody",), touches=["letters"]
)
def left_unseen(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _left(script, chance, "mailbox")
    script.told["letter"] = "将通知书投入信箱"
    script.photos = [one for one in script.photos if one.purpose != "delivery"]


@fabrication("handed over without a photo", must=["evidence-not-taken"], scenes=DEBTOR, touches=["letters"])
def handed_unseen(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _handed(script, chance)
    script.photos = [one for one in script.photos if one.purpose != "delivery"]


@fabrication(
    "sealed to a neighbour", must=["letter-sealed-to-other"], scenes=("third_party",), touches=["letters"]
)
def sealed_to_other(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _left(script, chance, "mailbox")
    script.boxes["letters"] = [a_letter("sealed_to_adult_co_resident", "nobody", relation="neighbour")]
    script.told.pop("letter", None)


@fabrication(
    "sealed to somebody nobody names",
    must=["letter-sealed-without-relation"],
    scenes=("third_party",),
    touches=["letters"],
)
def sealed_to_whom(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _left(script, chance, "mailbox")
    script.boxes["letters"] = [a_letter("sealed_to_adult_co_resident", "co_resident")]
    script.told.pop("letter", None)


@fabrication(
    "signed for, without a signature", must=["letter-signature-missing"], scenes=DEBTOR, touches=["letters"]
)
def unsigned(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    _handed(script, chance, signed=True)
    script.told["letter"] = "将通知书交给债务人，其签收"


@fabrication(
    "letters that nobody accounts for", must=["letters-unaccounted"], scenes=("nobody",), touches=["letters"]
)
def unaccounted(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    script.carried = [Carried("notice-1")]
    script.boxes["letters"] = []
    script.told.pop("letter", None)


# Words nobody may use: one kind of fabrication a topic of the lexicon.

FORBIDDEN = {
    "insult": ("我骂他是老赖", "我们当面说他不要脸", "骂债务人是无赖"),
    "answered-with-abuse": ("我们与其争吵了几句", "搭档忍不住回骂"),
    "personal-attack": ("我说他没出息", "说他是穷鬼"),
    "labelling": ("告知他已是失信被执行人", "对其称已列为黑名单人员"),
    "authorities": ("告诉他不还要坐牢", "说会移交公安处理", "告知其已构成信用卡诈骗"),
    "threat": ("警告他后果自负", "我们说不还就天天来"),
    "impersonation": ("我们自称法院工作人员", "搭档自称警察"),
    "cash": ("我们收取现金五百元代为存入", "收了现金三百元", "让其转到我微信"),
    "waiver": ("我们答应减免利息", "我们承诺停息", "我们答应分期"),
    "disclosure": ("我们告诉邻居其欠款", "我们告知物业其欠款情况"),
    "third-party-pays": ("要求家属还款", "让其妻子代还"),
    "smoking-and-drinking": ("我们抽烟聊了一会", "陪其喝了两杯"),
    "indecent": ("拿出合成照片给他看", "说认识社会上的人"),
}
_ALSO = {
    "cash": ("promise-only-in-narrative",),
    "disclosure": (),
    "third-party-pays": (),
    "threat": ("narrative-contradicts/outcome",),
}


def _writes(topic: str, sentences: Sequence[str]) -> None:
    def deed(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
        script.told["mood"] = chance.choice(sentences)

    fabrication(
        f"writes of it: {topic}",
        must=[f"wording-{topic}"],
        may=_ALSO.get(topic, ()),
        scenes=DEBTOR,
        touches=["mood"],
    )(deed)


for _topic, _sentences in FORBIDDEN.items():
    _writes(_topic, _sentences)

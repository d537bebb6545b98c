"""What gives the recording away? What should be heard and is not, and what nobody may say."""

import random
from collections.abc import Sequence
from datetime import date, timedelta

from bench.reconciliation import wording as words
from bench.reconciliation.fabrications.registry import DEBTOR, fabrication
from bench.reconciliation.honest import say_day, say_sum
from bench.reconciliation.script import Line, Script


@fabrication("not announced", must=["announcement-not-heard"], scenes=DEBTOR, touches=["talk", "greeting"])
def not_announced(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    greeting = chance.choice(("您好，我们是受银行委托来的，请看工作证。", "你好，我们代表银行来拜访一下。"))
    script.sounds[0].lines[0] = Line("lead", greeting)


@fabrication(
    "no word of whose people they are", must=["role-not-heard"], scenes=DEBTOR, touches=["talk", "greeting"]
)
def no_role(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    greeting = chance.choice(
        ("你好，今天的谈话全程录音，可以进去说吗？", "您好，打扰了，谈话会录音，坐下聊聊。")
    )
    script.sounds[0].lines[0] = Line("lead", greeting)


@fabrication("another sum was promised", must=["promise-not-heard"], scenes=("promise",), touches=["talk"])
def another_sum(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    promised = script.boxes["promise"]
    yuan = promised["amount_fen"] // 100 + chance.choice((-300, 1700, 4000))
    due = date.fromisoformat(promised["due_on"])
    _says(script, f"那我{say_day(chance, due)}之前还{say_sum(chance, yuan)}。")


@fabrication("another day was promised", must=["promise-not-heard"], scenes=("promise",), touches=["talk"])
def another_day(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    promised = script.boxes["promise"]
    due = date.fromisoformat(promised["due_on"]) + timedelta(days=chance.randrange(2, 15))
    _says(script, f"{say_day(chance, due)}我先还{say_sum(chance, promised['amount_fen'] // 100)}。")


def _says(script: Script, text: str) -> None:
    """Have the promise said otherwise."""
    lines = script.sounds[0].lines
    place = next(
        n for n, line in enumerate(lines) if "还" in line.text and ("元" in line.text or "块" in line.text)
    )
    lines[place] = Line("other", text)


@fabrication("it was somebody else", must=["person-differs"], scenes=DEBTOR, touches=["talk"])
def somebody_else(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    said = chance.choice(("他不在家，我是他爱人。", "我是他弟弟，他出差了。", "她不在，我是她妈妈。"))
    script.sounds[0].lines[1] = Line("other", said)


@fabrication(
    "the family was told", must=["debt-told-to-third-party"], scenes=("third_party",), touches=["talk"]
)
def family_told(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
    said = chance.choice(("他欠银行的钱逾期很久了。", "他信用卡还没还，您知道吗？", "他欠款好几万了。"))
    script.sounds[0].lines.insert(2, Line("lead", said))


# What only a collector would say: one kind a topic of the lexicon.

SPOKEN = {
    "insult": ("你就是个老赖。", "你还要不要脸？"),
    "personal-attack": ("你没教养。", "活该没工作。"),
    "labelling": ("让你上黑名单。", "把你列入失信。"),
    "authorities": ("再拖就是刑事责任。", "派出所会找你。", "让你坐牢。"),
    "threat": ("你不还就走着瞧。", "我们天天来找你。", "去你单位闹。"),
    "impersonation": ("我们是法院的。", "我们是派出所的。"),
    "cash": ("你把现金给我就行。", "转到我微信吧。"),
    "waiver": ("我做主给你减一半。", "我帮你免掉利息。"),
    "third-party-pays": ("你们家里人得还。", "找亲戚借一点。"),
    "indecent": ("小心给你送花圈。", "道上的兄弟我也认识。"),
}


def _is_said(topic: str, sentences: Sequence[str]) -> None:
    def deed(script: Script, chance: random.Random, _: Sequence[Script]) -> None:
        lines = script.sounds[0].lines
        lines.insert(len(lines) - 1, Line("mate", chance.choice(sentences)))
        lines[-1] = Line("other", chance.choice(words.NOISE_WORDS))

    fabrication(
        f"says it: {topic}", must=[f"heard-{topic}"], scenes=DEBTOR, touches=["talk", f"says {topic}"]
    )(deed)


for _topic, _sentences in SPOKEN.items():
    _is_said(_topic, _sentences)

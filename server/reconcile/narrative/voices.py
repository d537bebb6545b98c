"""Whose words is a clause: ours, the debtor's, somebody else's?

A subject speaks until the sentence ends or another subject takes over. After a verb of speech the rest of the
sentence is what that subject says. Quoted words belong to whoever was speaking.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from server.reconcile.narrative.cast import (
    RELATIVES,
    Named,
    Sex,
    is_debtor,
    pronoun,
    relation_of,
    sex_of,
    sex_of_debtor,
    sex_of_pronoun,
)
from server.reconcile.narrative.clauses import Clause
from server.reconcile.narrative.words import WORDS, finder, pattern

Voice = Literal["us", "debtor", "other", "unknown"]
DEBTOR: Final = finder("debtor")
_SPOUSES: Final = re.compile(pattern(WORDS["relations"]["spouse"]))
_LIABLE: Final = finder("debtor", "liable")
_POSSESSED: Final = finder("debtor", "possessed")
_US: Final = finder("us")
WE_ASK: Final = re.compile(f"(?:已经|已|均已|再次|随后|并)?(?:{pattern(WORDS['us']['asks'])})")
_SPEECH: Final = finder("speech")
# Whoever is spoken of as 他 or 其 right after being asked or told is not the one who asks.
_SPOKEN_OF: Final = re.compile("他|她|其|对方")
# Whoever is called out behind another's name is the debtor: 请工友叫他出来.
_CALLED: Final = re.compile("[叫喊请把找唤](?P<who>他|她)[^，。]{0,3}(?:出来|下来|过来|回来|上来|来|到)")
_REPLIES: Final = re.compile(
    r"\s*(?:均|都|皆|便|就|则)?(?:答复?|回答|回复|回称|回说|说|称|讲|反映|告知|表示|云)(?!明|清)"
)
_ACTS_HERE: Final = re.compile(f".{{0,2}}?(?:{pattern(WORDS['third_party']['acts_of_present'])})")
_ASKED: Final = re.compile(
    "(?:问|见|碰|遇|找|请|跟|和|与|向|对|给|由|托)(?:到|见|上|着|了|过)?[^，。和跟与]{0,6}$"
)
_KIN_AS_OBJECT: Final = re.compile("[让怕替陪被瞒骂](?:着|到)?(?:他|她|其|自己|家里)?的?$")
# Nobody is quoted as saying "we told him": a clause that opens so ends what the debtor says.
_WE_DO: Final = re.compile(
    "(?:我们|我方|我司|我|搭档|外访员)(?:当面|再次|随即|则|也|便|就)?"
    "(?:[骂说对劝催](?:他|她|其|对方|债务人|持卡人)|(?<!我)(?:说|讲|告诉|告知|警告|答复|解释|回复))"
)

# In what is told without quotation marks, 我们 who act are the writers: 他要拿车抵，我们当场拒绝.
_WE_ACT: Final = re.compile(
    "(?:我们|我方|我司)(?!家|这|那|村|厂|单位|公司|老|俩|夫妻|两口|全家|欠|没钱|是|的)"
)

# 我 after somebody else is that person, quoted without a word of speech; the writer acts: 我建议, 我递上.
_I_SAY: Final = re.compile(
    "[这那]?[钱账帐债卡]?我(?![们方司与和跟同俩等就便则随即再又把将让叫请问劝说讲告递给打拿回看记先当在没敲按到走进见向对]"
    "|解释|建议|要求|提醒|出示)"
)


# Behind what somebody tells the writer goes on: 说人不在，后来他自己出来了.
_COMES_OUT: Final = re.compile(
    "(?:[一二两三四五六七八九十几半\\d]+(?:分钟|个?小时)(?:之?后)?[他她](?![的们家])[^，说]{0,6}"
    "|(?:后来|结果|这时候?|[没不过]了?一会儿?|最后|随后|忽然|突然)?"
    "[他她](?:[^，说的们家]{1,6}着|后来|自己|本人|就|倒是?|却|才){1,2}[^，说]{0,5})(?:出来|下来|过来|起来|上来|现身|露面)"
)
_HERE_NOW: Final = re.compile(
    "\\s*(?:正|就|还|便|又|抽空|特意|专门|自己|光着膀子|抽了个空)?(?:(?:坐|站|蹲|躺|靠|趴|倚)(?:在|着)(?!车|火|飞|高铁|医院)|开了?门"
    "|(?:跑|走|下|上|出|进)(?:了)?(?:来|出来|下来|过来|进来)|出来|接过|接了信|签了|给我们(?!打|发|回)|跟我们(?!打|说好)|和我们)"
)
_WITH_HIM: Final = re.compile(
    "(?:我们?|结果|后来|最后)?[^，。；没未不]{0,10}(?:[谈聊见](?:的(?:他|她|面)?|了(?:[一几十两半]|面))|(?:叫|喊|请)(?:他|她)?(?:出|下|过|回)来)(?!过)\\s*$"
)
# 一个年轻女人，说是他老婆，他值班.
_INTRODUCES: Final = re.compile(
    f"(?:自称|说|称)(?:自己|她|他)?(?:是|系)?(?:他|她|其)(?:的|家)?(?:{RELATIVES.pattern})"
)
# 我们到时其妻正送客: when we came says nothing of who acts.
_WHEN: Final = re.compile(
    "们?(?:俩|两人|几个)?(?:到|去|来|上门|赶到|进门|进屋|敲门)(?:的时候|达?时(?!间)|之?后)"
)
# What comes to be talked about, by nobody in particular: 提到儿子，他不作声.
_TOPIC: Final = re.compile("\\s*(?:一|刚)?(?:提到|提起|说起|说到|问起|问到|谈起|谈到)")
_GESTURES: Final = re.compile(
    "[^，]{0,3}(?:嘴一撇|撇撇?嘴|手一摆|摆摆?手|摇摇?头|两手一摊|一摊手|叹了?口?气|冷笑(?:一声)?|哼了?一声|头也不[抬回]|没好气|翻白眼)"
)
_AGED: Final = re.compile(r"^(?:[\d一二三四五六七八九十多]+岁|年迈|年老|患病|卧床)的?")
# Behind these stands who is spoken to or acted on, not who acts: 跟我们的单子一样.
_OBJECT: Final = re.compile("(?:[跟与和同向对给把被骂问求赶推应许]|[给骂赶应许]了|答应)$")

BETWEEN_CLAUSES: Final = 1  # characters: a comma; a quotation that ends and another that begins are more


@dataclass(frozen=True, slots=True)
class Voiced:
    """A clause, who is its subject, and from where in it that subject is being quoted (None: nowhere).

    `he`: where a pronoun stands that is the debtor and opens the clause. `named`: of which sex somebody else
    is who was named last before its end (`unnamed`: nobody since the debtor); `sex`: that of the debtor.
    `is_nameless`: nobody is named in the account but 大姐 and 阿姨, who may be the debtor.
    """

    clause: Clause
    voice: Voice
    said_from: int | None
    names_subject: bool
    he: int | None = None
    named: Named = "unnamed"
    sex: Sex | None = None
    is_nameless: bool = False

    def is_debtor(self, pronoun: str) -> bool:
        """Whether a pronoun in the clause is the debtor."""
        return is_debtor(pronoun, self.named, self.sex)

    def is_said(self, place: int) -> bool:
        """Whether a place in the clause is within somebody's reported speech."""
        return self.said_from is not None and place >= self.said_from


def voiced(clauses: Sequence[Clause]) -> tuple[Voiced, ...]:
    """Say of each clause who speaks."""
    text = "\n".join(one.text for one in clauses)
    sex = sex_of_debtor(text, (one.group() for one in _SPOUSES.finditer(text)))
    kin = {relation_of(match.group()) for match in RELATIVES.finditer(text)}
    is_nameless = kin == {"elder"} and not DEBTOR.search(text)  # 阿姨说账是对的
    found: list[Voiced] = []
    named: Named = "unnamed"
    has_others = False
    for clause in clauses:
        before = _before(found, clause)
        if clause.is_quoted:
            one = Voiced(clause, _quoted(found, clause, named, has_others=has_others), 0, names_subject=False)
        else:
            one = _of_pronoun(clause, before, named, sex) or _voice(clause, before)
            named = _named_after(one, before, named)
            has_others = has_others or one.voice == "other"
        found.append(replace(one, named=named, sex=sex, is_nameless=is_nameless))
    return tuple(found)


def _of_pronoun(clause: Clause, before: Voiced | None, named: Named, sex: Sex | None) -> Voiced | None:
    """Say who speaks in a clause that opens with a pronoun, or answers what we asked without a subject."""
    is_told = before is not None and before.voice != "us" and _is_quoting(before)
    if is_told and not _COMES_OUT.match(clause.text):
        return None  # 他 in what somebody says is anybody
    if match := pronoun(clause.text):
        is_theirs = is_debtor(match["he"], named, sex)
        spoken = _speech(clause.text, match.end(), goes_on=False)
        place = match.start("he") if is_theirs else None
        return Voiced(clause, "debtor" if is_theirs else "other", spoken, names_subject=False, he=place)
    is_asked = before is not None and before.voice == "us" and not before.names_subject
    if is_asked and _REPLIES.match(clause.text):
        voice = "debtor" if named == "unnamed" else "other"
        return Voiced(clause, voice, _speech(clause.text, 0, goes_on=False), names_subject=False)
    return None


def _is_quoting(before: Voiced) -> bool:
    """Whether somebody speaks behind a clause: 他说, and 母亲 with a colon."""
    is_named = before.voice == "other" and before.names_subject and before.clause.stop in ("：", ":")
    return before.said_from is not None or is_named


def _named_after(one: Voiced, before: Voiced | None, named: Named) -> Named:
    """Return of which sex somebody else is who was named last, behind a clause of the writer's."""
    is_told = before is not None and before.said_from is not None and before.voice != "us"
    called = _CALLED.search(one.clause.text)
    is_same = called is not None and named is not None and sex_of_pronoun(called["who"]) == named
    if (called and not is_same) or (one.names_subject and one.voice == "debtor"):
        return "unnamed"
    who = None if is_told or one.he is not None else _named_in(one.clause.text, one)
    return named if who is None else sex_of(who)


def _before(found: Sequence[Voiced], clause: Clause) -> Voiced | None:
    """Return what stands before a clause in its sentence; behind a quotation, what led to it."""
    earlier = (one for one in reversed(found) if clause.is_quoted or not one.clause.is_quoted)
    before = next(earlier, None)
    return before if before and before.clause.sentence == clause.sentence else None


def _quoted(found: Sequence[Voiced], clause: Clause, named: Named, *, has_others: bool) -> Voice:
    """Return whose a quotation is: what stands behind our question without a colon is the answer to it."""
    if not found:
        return "unknown"
    before = found[-1]
    theirs: Voice = "debtor" if named == "unnamed" else "other"
    if before.voice == "us" and _is_answered(before, clause):
        return theirs
    asks = WE_ASK.match(before.clause.text.strip())
    if has_others and before.voice == "debtor" and _is_spoken_of(before):
        return "other"
    is_ours = before.names_subject or before.clause.is_quoted or (asks and before.clause.stop in ("：", ":"))
    if before.voice != "us" or is_ours:
        return before.voice
    return theirs


def _is_answered(before: Voiced, clause: Clause) -> bool:
    """Whether a quotation opens behind what we have said to its end: 我说抹不了。“那就不抹。”"""
    opens_anew = clause.start - before.clause.end > BETWEEN_CLAUSES
    if before.clause.is_quoted:
        return opens_anew
    return before.clause.stop in "。！" and opens_anew


def _is_spoken_of(before: Voiced) -> bool:
    """Whether a quotation right behind the debtor's name is what somebody else says: 其姐开门。CH“进厂了”."""
    is_bare = before.said_from is None and before.clause.stop in "“「『" and before.names_subject
    return is_bare and any(
        one.end() == len(before.clause.text) for one in DEBTOR.finditer(before.clause.text)
    )


def _named_in(text: str, one: Voiced) -> str | None:
    """Return who of kin and neighbours takes part in a clause: as its subject, or asked, or met."""
    until = len(text) if one.said_from is None or one.voice == "us" else one.said_from
    found = [
        match.group()
        for match in (*_LIABLE.finditer(text), *relatives_in(text))
        if match.start() < until and (one.voice == "other" or _ASKED.search(text, 0, match.start()))
    ]
    return None if not found else found[0] if one.voice == "other" else found[-1]


def _voice(clause: Clause, before: Voiced | None) -> Voiced:
    inherited: Voice = before.voice if before else "unknown"
    text = clause.text
    is_named = before is not None and (before.names_subject or before.he is not None)
    is_introduced = before is not None and is_named and before.clause.stop in ("：", ":")
    goes_on = (
        before is not None
        and (before.said_from is not None or is_introduced)
        and not _WE_DO.match(text.lstrip())
        and not _WE_ACT.match(text.lstrip())
    )
    is_passive = (
        before is not None and before.voice == "other" and before.clause.text.lstrip().startswith("被")
    )
    asks = None if is_passive else WE_ASK.match(text.strip())  # 被门卫拦下，告知他今天休息
    debtors = tuple(debtors_in(text))
    if asks and (
        inherited in ("unknown", "us")
        or any(one.start() <= asks.end() + 2 for one in debtors)
        or _SPOKEN_OF.match(text.lstrip(), asks.end())
    ):
        return Voiced(clause, "us", asks.end(), names_subject=False)
    is_theirs = (goes_on and inherited != "us") or (
        inherited in ("debtor", "other") and _I_SAY.match(text.lstrip()) is not None
    )
    if before is not None and inherited in ("unknown", "us") and _INTRODUCES.fullmatch(text.strip()):
        return Voiced(clause, "other", len(text), names_subject=True)
    ours = (
        ()
        if is_theirs
        else (
            one
            for one in _US.finditer(text)
            if not _OBJECT.search(text, 0, one.start()) and not _WHEN.match(text, one.end())
        )
    )
    named: tuple[tuple[Voice, Iterable[re.Match[str]]], ...] = (
        ("debtor", debtors),
        (
            "other",
            (
                one
                for one in (*relatives_in(text), *_LIABLE.finditer(text))
                if not _KIN_AS_OBJECT.search(text, 0, one.start())
            ),
        ),
        ("us", ours),
    )
    subjects: list[tuple[int, Voice]] = [(one.start(), voice) for voice, found in named for one in found]
    if not subjects:
        said = _speech(text, 0, goes_on=goes_on)
        if said is None and inherited == "other" and _GESTURES.fullmatch(text):
            said = len(text)  # 婆婆牵着孙子，嘴一撇，早跟人跑了
        return Voiced(clause, inherited, said, names_subject=False)
    place, voice = min(subjects, key=lambda one: one[0])
    if voice == "other" and goes_on and inherited != "us" and not _takes_over(text, place):
        return Voiced(clause, inherited, 0, names_subject=False)
    spoken = None if _TOPIC.match(text) else _SPEECH.search(text)
    if spoken and spoken.start() < place and inherited != "unknown":
        return Voiced(clause, inherited, _speech(text, 0, goes_on=goes_on), names_subject=False)
    if spoken and spoken.start() < place and (voice != "us" or len(text[: spoken.start()].strip()) > 1):
        return Voiced(clause, "unknown", _speech(text, 0, goes_on=False), names_subject=True)
    if _TOPIC.match(text):
        return Voiced(clause, inherited, None, names_subject=False)
    return Voiced(clause, voice, _speech(text, place, goes_on=False), names_subject=True)


def _takes_over(text: str, place: int) -> bool:
    """Whether somebody who is named in what another says acts here themselves: 债务人说没钱，其妻在旁哭."""
    who = RELATIVES.match(text, place) or _LIABLE.match(text, place)
    return who is not None and _ACTS_HERE.match(text, who.end()) is not None


def _speech(text: str, place: int, *, goes_on: bool) -> int | None:
    if goes_on:
        return 0
    spoken = _SPEECH.search(text, place)
    return spoken.end() if spoken else None


def acts_here(clauses: Sequence[Voiced], place: int) -> bool:
    """Whether who is the subject of a clause goes on to act before us: 没上班，坐在门口."""
    sentence = clauses[place].clause.sentence
    for one in clauses[place + 1 : place + 4]:
        is_another = one.names_subject or one.clause.is_quoted or one.said_from is not None
        if one.clause.sentence != sentence or (is_another and not _WITH_HIM.match(one.clause.text)):
            return False
        if _HERE_NOW.match(one.clause.text) or _WITH_HIM.match(one.clause.text):
            return True
    return False


def relatives_in(text: str) -> Iterator[re.Match[str]]:
    """Find who is somebody's relative or neighbour: 这家人 are those who are spoken of."""
    for match in RELATIVES.finditer(text):
        if match.group() != "家人" or not text.endswith(("这", "那", "该", "全", "一"), 0, match.start()):
            yield match


def is_possessed(rest: str) -> bool:
    """Whether what stands behind the debtor's name makes it a thing of theirs, no relative: 债务人租屋."""
    return _POSSESSED.match(rest) is not None and RELATIVES.match(_AGED.sub("", rest)) is None


def debtors_in(text: str) -> Iterator[re.Match[str]]:
    """Find the debtor as a person: not their house, their shop or their wife."""
    for match in DEBTOR.finditer(text):
        rest = text[match.end() :]
        is_another = text.endswith(("共同", "共", "联合"), 0, match.start())  # 共同借款人
        if not (is_another or _POSSESSED.match(rest) or RELATIVES.match(_AGED.sub("", rest))):
            yield match

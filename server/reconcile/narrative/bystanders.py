"""Who else was met: kin, neighbours, workmates, officials, whoever answers for the debt?

Somebody who is only talked about was not: what the debtor says of a wife, a neighbour of the debtor. Whoever
acts in the account, is asked something or introduces themselves, was.
"""

import re
from collections.abc import Container, Iterator, Sequence
from itertools import zip_longest
from typing import Final

from server.reconcile.narrative.absences import AWAY
from server.reconcile.narrative.cast import ADDRESSES, CHILDREN, CIVIL, RELATION, RELATIVES, relation_of
from server.reconcile.narrative.claim import Claim
from server.reconcile.narrative.debtors import ACTS, OPENS, OWNERS, PHONE, SEEN, UNMET_AFTER
from server.reconcile.narrative.voices import WE_ASK, Voice, Voiced
from server.reconcile.narrative.words import WORDS, finder, pattern

_ONE: Final = r"(?:[一两三四五几]?[个位家户名对])?(?:[^，与和的]{1,5}的|[\d一二三四五六七八九十多]+岁)?"
_MET_BEFORE: Final = re.compile(
    f"(?:{pattern(WORDS['third_party']['met_before'])}|(?<![未没不难])见)了?(?:{OWNERS})?{_ONE}$"
)
_NOT_MET_BEFORE: Final = re.compile(
    f"(?:{pattern(WORDS['third_party']['unmet_before'])})(?:{OWNERS})?{_ONE}$"
)
_ACTS_OF_PRESENT: Final = re.compile(pattern(WORDS["third_party"]["acts_of_present"]))
_ALSO: Final = re.compile("(?:也|均|都|又|还|已经?|则|刚|一直|早就?)*")
_NOT_HERE: Final = finder("third_party", "not_here")
_OUTSIDERS: Final = frozenset({"neighbour", "property", "landlord", "tenant", "colleague", "other", "friend"})
_IS_DEBTOR: Final = re.compile(
    "(?:(?<![不非])(?:自称|确认|核实|证实|系|是|为)[其他她]?(?:就?是|系|为)?|[（(])"
    f"(?:{pattern(['<debtor><not_kin>'])})"
)
# Named behind a word of speech, and there all the same: 自称债务人妻子, 问了对门邻居.
_INTRODUCED: Final = re.compile(
    f"(?:^(?:[她他]|对方|此人|来人|这位)(?:就)?[是系]|自称|[说称](?:自己|[他她其])?是|称系|^[^称说讲]{{0,4}}(?:询?问|咨询)[了过到]?)[是系为]?(?:{OWNERS})?{_ONE}"
    f"(?:{pattern(WORDS['third_party']['opens'])})*$"
)
_WITH: Final = re.compile("[与和跟我带]$")
# Whoever speaks of a son is a parent: 老太太说儿子不在.
_KIN_TOLD: Final = re.compile(
    "[^。；]{0,20}?(?:说|讲|称|道|话|问|答|告)[^。；]{0,4}?(?:我|他|她|自己|自家|家里|你们?找)?"
    "(?:(?P<parent>(?<=我)儿(?!女|媳|子)|儿子|女儿|闺女|崽|娃儿?(?!娃)|小儿|大儿|幺儿|丫头|他们?小子)"
    "|(?P<spouse>丈夫|老公|男人|老婆|媳妇|爱人|老伴|当家的|娃他[爹妈]|孩子他?[爸妈爹])"
    "|(?P<relative>侄|外甥|女婿|姑爷|孙|妹夫|姐夫|弟媳|小叔子|儿媳|小舅子|小姨子|大舅子)"
    "|(?P<child>爸爸?|妈妈?|我爹|我娘))"
)
_OWNED: Final = re.compile(f"(?:{OWNERS}|家)的?$")
_IS_THE_DEBTOR: Final = re.compile(f"(?:也?就是|也即|即|系|为|是)?(?:{pattern(['<debtor><not_kin>'])})")
_MISTAKEN: Final = re.compile("(?:我们|以为|当成|冒充|假装|假扮|装作|误)[^，]{0,3}[是成作]$")
# What a person has or suffers is not a person who is there: 他妈药费, 父母双亡.
_AFFAIRS: Final = re.compile(
    "判给|归|还小|在读|读书|上学|几岁|多大|双亡|柜台|门口|养的|家的狗|的狗|药费|医药|学费|生活费|工资|退休金|养老|低保|病|癌|瘫|走得早|(?:去年|前年|早年|早)就?走|早就?不在|没了|不知情|不管|债|账|钱|卡|生意|单位|名义|名字|身份|证件|借|贷|那里|那儿|手里|手上|口中|嘴里|关系|感情|下葬|葬礼|丧事|周年|手术|住院费"
)
_SAYS_KIN: Final = re.compile(
    f"(?:自称|自我介绍|[说称讲])(?:自己)?[，：:]?[是系](?:{OWNERS})(?:的|家|亲)?(?P<kin>{RELATIVES.pattern})"
)
# 门口乘凉的几位邻居
_DESCRIBED: Final = re.compile(
    "(?:门口|楼下|楼道里?|院里|村口|巷口|路边)[^，。；我他她其债说讲问找]{1,6}的(?:[一两三几]?[个位])?"
)
_SIDES: Final = frozenset(["隔壁", "对门", "对面"])  # where somebody is, as well as who
_OWNS: Final = re.compile(f"家?的(?:{RELATIVES.pattern})")
_SIDE_OF: Final = re.compile(f"[^，说讲]{{1,4}}的(?:{RELATIVES.pattern})")
_AUNTS: Final = frozenset(["嬢嬢", "孃孃"])  # any woman, but the debtor's own
_DOES_TO_US: Final = re.compile("[^，]{0,2}(?:告知|告诉|拦|请|劝|赶|轰|骂|挡|拒|推|撵|叫住|领|带)")
_IS_KIN: Final = re.compile(f"(?:{OWNERS})?(?:{RELATIVES.pattern})")
# Whoever the debtor calls, or leads, or leans on, does not take part by that.
_DEBTORS_OBJECT: Final = re.compile(
    "(?:叫|喊|找|让|靠|求|怪|怨|恨|托|带|管|打给|瞒|怕|送|接|哄|支开|梦见)(?:着|了|过|完)?(?:他|她|其|自己)?的?$"
)
_THINGS: Final = re.compile(
    "圈|喂[饭奶药]|换尿|洗澡|洗头|辅导作业|支开|打发走|家(?![人属长里的])|家的(?:门|狗|房|店|地|院)|养的|的?狗|的(?:车|房|店|铺|卡|名|号|钱|手机|厂|公司|单位|摊|地址|生日|身份|病历|化验单|药|遗像|存折|工资)|闹|扯皮|柜台|药费|双亡|家的门|的?(?:聊天|微信|短信|通话|转账|录音|照片|合影|电话|消息|名字)|开的[^，]{0,4}(?:店|铺|厂|馆|超市|公司|摊|档)"
    "|[^，]{0,6}(?:打官司|吵过架|有矛盾|闹翻|有过节)"
)
_AT_PLACE: Final = re.compile("(?:正|也|就)?在[^，外]{1,6}$")
_NAMED: Final = re.compile("\\s*[老小]?[\u4e00-\u9fff]{0,3}(?:本人|家里?)?\\s*")
_CHIEF: Final = re.compile(
    f"(?:{pattern(WORDS['third_party']['opens'])}|[他她其]的?|\\s)*"
    "(?P<who>[\u4e00-\u9fff]?(?:队长|组长|主管|经理|站长|会计|主任|老师|校长|老总|总监|科长|所长|师傅)(?:[老小][\u4e00-\u9fff])?)"
)
_TELLS_OF_HIM: Final = re.compile(
    "(?:出来|出面|接待|告诉我们?|反映|也|就|都|则|只)*(?:说|讲|称|表示|道|答)[，：:“]?(?:[他她人其]|该|这|老|小)(?![们家])"
)
_WORK_PLACE: Final = re.compile(
    "(?:到|去|找|来|在|进|是)[^，。我]{0,8}(?:厂|车间|公司|单位|店|站|工地|酒店|学校|超市|矿|场|前台)"
)
# What the debtor is: 债务人是单位的保安.
_IS_HIMSELF: Final = re.compile(
    f"(?:{pattern(WORDS['debtor']['words'])}|[他她])(?:现在|目前|以前|自己|原来|本身|本来)*(?:就)?(?:是|在做|当过?|做)[^，]{{0,6}}$"
)
_RINGS: Final = re.compile(
    "(?:给|跟|和|与)(?P<who>[^，给跟和与]{1,6}?)(?:打(?:了|过去|去|个|一个|通)|拨|去了?电话|通了?电话|开视频|视频)"
)
_NOT_LIABLE: Final = re.compile("(?:不是|并非|不算|没有?|找|联系|不做|当过?)(?:什么)?$")
_VISITED: Final = re.compile("进行了?(?:走访|约谈|催告|核实)")
_NEXT_DOOR: Final = re.compile(
    f"(?:{pattern(['<beside>'])}[^，。说讲称是有]{{0,4}}|(?:楼[上下道]|门口|院[里外]|巷口|村口|隔壁)[^，。说讲称是有卖收送修管]{{0,9}}的)$"
)
_NEXT_HOME: Final = re.compile(f"{pattern(['<beside>'])}(?:那家|家|人家|那户|户)?的$")
_NEXT_SHOP: Final = re.compile("(?:隔壁|对门|对面|旁边)(?:的|铺位?|摊位?|店)?[^，。说讲]{0,3}$")
_LIVES: Final = re.compile("(?:一起|共同|已经?|早就?)?(?:同住|居住|生活|分居|离婚)")
ADDRESSED_WITHIN: Final = 3  # characters behind a verb of asking


def liable_in(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    for one, following in zip_longest(clauses, clauses[1:]):
        if one is None:
            return
        for match in finder("debtor", "liable").finditer(one.clause.text):
            rest = one.clause.text[match.end() :]
            speaks = following is not None and following.voice == "other" and following.said_from is not None
            is_there = (
                ACTS.match(rest)
                or _VISITED.match(rest)
                or _NAMED.fullmatch(rest)
                or SEEN.search(one.clause.text, 0, match.start())
            )
            is_away = UNMET_AFTER.match(rest) and not (speaks and _AT_PLACE.match(rest))
            is_one = not _NOT_LIABLE.search(one.clause.text, 0, match.start())
            if not one.is_said(match.start()) and is_there and is_one and not is_away:
                place = one.clause.start
                yield Claim("met", "liable_person", place + match.start(), place + match.end())


def others_in(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    elders: list[Claim] = []
    others: list[Claim] = []
    teller: Voice | None = None
    called: dict[int, set[str]] = {}  # whom somebody telephones, by sentence
    for place, one in enumerate(clauses):
        called.setdefault(one.clause.sentence, set()).update(_telephoned(one.clause.text))
        if PHONE.search(one.clause.text) or one.clause.is_quoted:
            continue
        following = clauses[place + 1 : place + 5]
        found = list(_of_clause(one, following, teller=teller, called=called[one.clause.sentence]))
        for relation, claim in found:
            (elders if relation == "elder" else others).append(claim)
        goes_on = (
            teller and not found and RELATIVES.search(one.clause.text) and one.clause.stop in ("，", ",")
        )
        teller = one.voice if one.said_from is not None else teller if goes_on else None
    if not any(_IS_DEBTOR.search(one.clause.text) for one in clauses):
        others = others or elders
    yield from others


def _telephoned(text: str) -> Iterator[str]:
    """Return by what name somebody is called who is on the telephone: 给他哥打过去，他哥说没钱."""
    for match in _RINGS.finditer(text):
        kin = RELATIVES.search(match["who"])
        if kin:
            yield kin.group()


def _of_clause(
    one: Voiced, following: Sequence[Voiced], *, teller: Voice | None, called: Container[str]
) -> Iterator[tuple[str, Claim]]:
    """Find who of kin, neighbours and passers-by takes part in a clause."""
    text, start = one.clause.text, one.clause.start
    if one.clause.stop in ("（", "(") and following and _IS_THE_DEBTOR.match(following[0].clause.text):
        return  # 老板（就是持卡人）
    is_named_again = (
        one.clause.stop in tuple("（(：:") and following and _IS_KIN.match(following[0].clause.text)
    )
    last = None
    for match in RELATIVES.finditer(text):
        before = text[: match.start()]
        relation = relation_of(match.group())
        if is_named_again and relation == "family" and match.end() == len(text):
            continue  # 家属（妻子）
        is_same = last is not None and last[0] in _OUTSIDERS and last[1] == match.start()
        last = (relation, match.end())
        is_introduced = one.voice != "debtor" and _INTRODUCED.search(before) is not None
        is_said = one.is_said(match.start()) and not (is_introduced or _is_addressed(one, match.start()))
        if match.group() in called:
            continue
        if is_same or is_said or not _takes_part(text, match, relation, teller=teller):
            continue
        if one.voice == "debtor" and _DEBTORS_OBJECT.search(before):
            continue
        told = text[match.end() :] + "".join(other.clause.text for other in following)
        relation = _who(match.group(), relation, before, told)
        if relation:
            value = "third_party:other" if relation == "elder" else f"third_party:{relation}"
            yield relation, Claim("met", value, start + match.start(), start + match.end())


def chiefs_in(clauses: Sequence[Voiced]) -> Iterator[Claim]:
    """Find who at work comes out or tells of the debtor; 组长 and 经理 may be ours elsewhere."""
    is_at_work = False
    for one in clauses:
        text = one.clause.text
        match = _CHIEF.match(text)
        if (
            match
            and not one.clause.is_quoted
            and (one.said_from is None or one.said_from > match.start("who"))
        ):
            tells = _TELLS_OF_HIM.match(text, match.end("who"))
            if tells or (is_at_work and ACTS.match(text, match.end("who"))):
                place = one.clause.start
                yield Claim(
                    "met", "third_party:colleague", place + match.start("who"), place + match.end("who")
                )
        is_at_work = is_at_work or _WORK_PLACE.search(text) is not None


def _who(word: str, relation: str, before: str, told: str) -> str | None:
    """Return whose kin somebody is, by what they are called, where they live or whom they speak of."""
    if not _OWNED.search(before) and (word in ADDRESSES or (word in CIVIL and _NEXT_DOOR.search(before))):
        relation = "elder"
    if relation == "other" and word not in RELATION and _NEXT_SHOP.search(before):
        return "neighbour"  # 隔壁铺卖鞋的大姐
    if relation in ("spouse", "child", "relative") and _NEXT_HOME.search(before):
        return "neighbour"  # 楼上那家的媳妇
    if relation != "elder":
        return relation
    if word in _AUNTS and _OWNED.search(before):
        return "relative"
    introduced = _SAYS_KIN.match(told)
    if introduced:
        return relation_of(introduced["kin"])  # 老奶奶自称是他奶奶
    if _NEXT_DOOR.search(before) and word not in CHILDREN:
        return "neighbour"
    kin = _KIN_TOLD.match(told)
    if kin:
        return next(name for name, said in kin.groupdict().items() if said)
    return None if word in CHILDREN else relation


def _is_addressed(one: Voiced, place: int) -> bool:
    """Whether we turn to the person at a place: 请物业保安转交, 问了邻居."""
    asked = WE_ASK.match(one.clause.text)
    return one.voice == "us" and asked is not None and 0 <= place - asked.end() <= ADDRESSED_WITHIN


def _takes_part(text: str, match: re.Match[str], relation: str, *, teller: Voice | None) -> bool:
    """Whether somebody does something here. Behind what others tell (`teller`) it takes a plain act."""
    before, rest = text[: match.start()], text[match.end() :]
    if match.group() in _SIDES and before.endswith(("在", "到", "去")):
        return False
    if _OWNS.match(rest) or (match.group() in _SIDES and _SIDE_OF.match(rest)):
        return False  # 包工头的司机, 隔壁科室的同事
    if before.endswith("被") and _DOES_TO_US.match(rest):
        return True
    if (
        _NOT_MET_BEFORE.search(before)
        or (_IS_HIMSELF.search(before) and not _INTRODUCED.search(before))
        or _MISTAKEN.search(before)
        or _LIVES.match(rest)
    ):
        return False
    if _THINGS.match(rest):
        return False
    if relation == "colleague" and _WITH.search(before):
        return False  # ours
    is_subject = OPENS.fullmatch(before) is not None or _DESCRIBED.fullmatch(before) is not None
    if teller in ("debtor", "other") and (teller == "debtor" or not _MET_BEFORE.search(before)):
        return is_subject and _ACTS_OF_PRESENT.match(rest) is not None
    if is_subject and _is_elsewhere(rest):
        return False
    if ACTS.match(rest) or _MET_BEFORE.search(before) or _INTRODUCED.search(before):
        return True
    is_colleague_of_ours = match.group() in ("同事", "领导", "员工") and not before.strip()
    return is_subject and not is_colleague_of_ours and not _AFFAIRS.match(rest)


def _is_elsewhere(rest: str) -> bool:
    """Whether the words behind somebody say of them that they did not take part, or are away."""
    said = _ALSO.match(rest)
    begun = said.end() if said else 0
    return any(found.match(rest, begun) or found.match(rest) for found in (_NOT_HERE, AWAY))

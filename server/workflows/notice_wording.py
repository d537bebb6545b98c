"""What does a notice to a client say?

Fixed, neutral sentences around the client's own case reference: no name, no number, no judgement of anybody.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

CHINA: Final = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Wording:
    """Subject and body of one kind of notice; `{reference}`, `{client}` and `{at}` are filled in."""

    subject: str
    body: str


_STOPPED = "我方已自上述时间起暂停该案件的全部催收工作,在收到贵方书面指示之前不再继续。"

WORDINGS: Final = {
    "identity_disputed": Wording(
        "关于案件{reference}身份异议的通报",
        "{client}:\n{at},贵方委托的案件{reference}中有人表示本人并非该案件的债务人。"
        + _STOPPED
        + "请贵方核实身份后书面回复处理意见。",
    ),
    "transaction_denied": Wording(
        "关于案件{reference}交易异议的通报",
        "{client}信用卡服务中心:\n{at},案件{reference}的债务人否认相关交易。"
        + _STOPPED
        + "请贵方核实交易后书面回复处理意见。",
    ),
    "activation_denied": Wording(
        "关于案件{reference}卡片激活异议的通报",
        "{client}信用卡服务中心:\n{at},案件{reference}的债务人对卡片激活提出质疑。"
        + _STOPPED
        + "请贵方核实激活情况后书面回复处理意见。",
    ),
    "amount_disputed": Wording(
        "关于案件{reference}欠款金额异议的通报",
        "{client}:\n{at},案件{reference}的债务人对欠款金额提出强烈异议,我方已先行口头报告。"
        + _STOPPED
        + "请贵方核对金额后书面回复处理意见。",
    ),
    "complaint_escalated": Wording(
        "关于案件{reference}投诉升级倾向的通报",
        "{client}:\n{at},案件{reference}的投诉经安抚未能平息,投诉人有升级投诉的意向。"
        "该案件的催收工作已暂停,由我方主管跟进。请贵方知悉并告知处理意见。",
    ),
    "publicity_risk": Wording(
        "关于案件{reference}舆情风险的通报",
        "{client}:\n{at},案件{reference}存在可能引发舆情风险的重大投诉隐患。"
        "该案件的催收工作已暂停,由我方主管跟进。请贵方知悉并告知处理意见。",
    ),
    "incident": Wording(
        "关于案件{reference}外访突发事件的通报",
        "{client}:\n{at},案件{reference}的外访过程中发生涉及人身安全的突发事件,我方人员已停止外访。"
        "事态经过及处理结果由我方主管续报。该案件的催收工作已暂停。",
    ),
}


def write(kind: str, *, reference: str, client: str, at: datetime) -> tuple[str, str]:
    """Return subject and body of a notice; times are written in China time."""
    local = at.astimezone(CHINA)
    moment = f"{local.year}年{local.month}月{local.day}日{local.hour}时{local.minute:02}分"
    wording = WORDINGS[kind]
    filled = {"reference": reference, "client": client, "at": moment}
    return wording.subject.format(**filled), wording.body.format(**filled)

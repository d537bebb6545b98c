"""Which columns does each kind of import row have, by which headings, and how is each read?

Headings are ours, or those Chinese agencies and banks commonly write. `target` is the value's name in a row
that was read; it is the table's column where there is one.
"""

from dataclasses import dataclass
from typing import Final

from server.intake import cells
from server.intake.cells import Reader

KINDS: Final = (
    "clients", "status_codes", "debtors", "cases", "contacts", "addresses", "ledger", "promises", "payments",
)  # fmt: skip
HARDSHIPS: Final = {
    "serious_illness": "serious_illness", "重大疾病": "serious_illness", "重病": "serious_illness",
    "financial_hardship": "financial_hardship", "经济困难": "financial_hardship",
    "生活困难": "financial_hardship", "pregnancy": "pregnancy", "怀孕": "pregnancy", "孕妇": "pregnancy",
}  # fmt: skip
HANDS: Final = {
    "first": "first", "1": "first", "一手": "first", "second": "second", "2": "second", "二手": "second",
    "third": "third", "3": "third", "三手": "third",
}  # fmt: skip
CHANNELS: Final = {
    "call": "call", "电话": "call", "电催": "call", "letter": "letter", "信函": "letter", "visit": "visit",
    "外访": "visit", "上门": "visit", "inbound": "inbound", "来电": "inbound", "客户来电": "inbound",
}  # fmt: skip
STATUSES: Final = {
    "verified": "verified", "已核实": "verified", "已确认": "verified", "unverified": "unverified",
    "未核实": "unverified", "invalid": "invalid", "无效": "invalid",
}  # fmt: skip
STATES: Final = {
    "open": "open", "在催": "open", "closed": "closed", "结案": "closed",
    "已结案": "closed", "退案": "closed",
}  # fmt: skip
MEANINGS: Final = {
    "promise": "promise", "承诺": "promise", "跟票": "promise", "tracing": "tracing", "寻人": "tracing",
    "other": "other", "其他": "other",
}  # fmt: skip
DATUMS: Final = {"wgs-84": "WGS-84", "wgs84": "WGS-84", "gcj-02": "GCJ-02", "gcj02": "GCJ-02"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `is_past`: the day or time must not lie in the future."""

    name: str
    target: str
    read: Reader
    headings: tuple[str, ...] = ()
    required: bool = False
    is_past: bool = False


def _column(
    name: str, read: Reader, *headings: str, target: str = "", required: bool = False, is_past: bool = False
) -> Column:
    return Column(name, target or name, read, headings, required, is_past)


_CODE = cells.code_of(200)
_SHORT = cells.text_of(200)
_LONG = cells.text_of(4000)
_CLIENT = _column(
    "client_reference", _CODE, "委托机构编号", "委托方编号", "委托方", "银行代码", required=True
)
_OF_CASE = _column("case_reference", _CODE, "案件编号", "案件号", "所属案件编号", required=True)


def _reference(*headings: str) -> Column:
    return _column("reference", _CODE, *headings, required=True)


COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    "clients": (
        _reference("委托机构编号", "委托方编号", "银行代码"),
        _column("name", _SHORT, "委托机构", "委托方", "银行名称", "名称", required=True),
        _column("instructions", _LONG, "委托要求", "要求"),
    ),
    "status_codes": (
        _CLIENT,
        _column(
            "code", cells.code_in_address(64), "状态码", "案件状态码", "行动代码", target="reference",
            required=True,
        ),
        _column("title", _SHORT, "名称", "说明", "含义说明"),
        _column("meaning", cells.one_of(MEANINGS), "类别", "含义"),
    ),
    "debtors": (
        _CLIENT,
        _reference("债务人编号", "客户号", "客户编号", "持卡人编号"),
        _column("name", _SHORT, "姓名", "债务人姓名", "客户姓名", "持卡人姓名", required=True),
        _column("id_number", cells.identity_number, "身份证号", "身份证号码", "证件号码", "证件号"),
        _column("phone", cells.phone_number, "手机", "手机号", "手机号码", "电话", "联系电话"),
        _column("hardship", cells.several(cells.one_of(HARDSHIPS)), "特殊困难", "困难情形"),
    ),
    "cases": (
        _CLIENT,
        _reference("案件编号", "案件号"),
        _column("debtor_reference", _CODE, "债务人编号", "客户号", "客户编号", "持卡人编号", required=True),
        _column("account_number", cells.code_of(64), "账号", "卡号", "信用卡号"),
        _column("principal", cells.amount_fen, "本金", "欠款本金", target="principal_fen"),
        _column("outstanding", cells.amount_fen, "欠款金额", "欠款总额", "余额", target="outstanding_fen"),
        _column("balance_as_of", cells.day, "余额日期", "欠款截止日期", "数据日期", is_past=True),
        _column("overdue_since", cells.day, "逾期日期", "逾期起始日", is_past=True),
        _column("hand", cells.one_of(HANDS), "手别", "委案手别"),
        _column("status_code", cells.code_of(64), "状态码", "案件状态码"),
        _column("allocated_on", cells.day, "委案日期", "委托日期", "分案日期", is_past=True),
        _column("daily_visit_cap", cells.whole_number(0, 2), "每日外访上限"),
        _column("special_flags", cells.several(cells.text_of(100)), "特殊标识", "特殊标记"),
        _column("special_note", _LONG, "特别说明", "特殊备注", "备注"),
        _column("state", cells.one_of(STATES), "案件状态"),
    ),
    "contacts": (
        _CLIENT,
        _reference("联系人编号"),
        _OF_CASE,
        _column("name", _SHORT, "姓名", "联系人姓名", "联系人"),
        _column("phone", cells.phone_number, "手机", "手机号", "手机号码", "电话", "联系电话", "联系人电话"),
        _column("relation", _SHORT, "关系", "与债务人关系"),
        _column("liable", cells.yes_or_no, "担保人", "是否担保人", "是否责任人"),
        _column("sensitive_occupation", _SHORT, "敏感职业"),
        _column("stop_contact", cells.yes_or_no, "停止联系", "拒绝联系"),
        _column("stop_reason", _SHORT, "停止联系原因"),
    ),
    "addresses": (
        _CLIENT,
        _reference("地址编号"),
        _OF_CASE,
        _column("contact_reference", _CODE, "联系人编号"),
        _column("address_kind", cells.text_of(64), "地址类型", target="kind"),
        _column("text", cells.text_of(1000), "地址", "详细地址", required=True),
        _column("latitude", cells.degrees(90), "纬度"),
        _column("longitude", cells.degrees(180), "经度"),
        _column("datum", cells.one_of(DATUMS), "坐标系"),
        _column("status", cells.one_of(STATUSES), "核实状态", "地址状态"),
        _column("source", _SHORT, "来源", "地址来源"),
        _column("verified_on", cells.day, "核实日期", is_past=True),
    ),
    "ledger": (
        _CLIENT,
        _reference("记录编号", "流水号"),
        _OF_CASE,
        _column("channel", cells.one_of(CHANNELS), "催收方式", "联系方式", "渠道", required=True),
        _column("at", cells.instant, "时间", "催收时间", "联系时间", required=True, is_past=True),
        _column("effective", cells.yes_or_no, "有效联系", "是否有效"),
        _column("connected", cells.yes_or_no, "是否接通", "接通"),
        _column("counterpart", _SHORT, "联系对象", "对象"),
        _column("result", _LONG, "结果", "催收结果"),
        _column("received_on", cells.day, "签收日期", "收到日期", is_past=True),
        _column("asks_for_visit", cells.yes_or_no, "要求上门", "约定上门"),
        _column("visit_on", cells.day, "约定上门日期"),
    ),
    "promises": (
        _CLIENT,
        _reference("承诺编号", "记录编号"),
        _OF_CASE,
        _column(
            "amount", cells.amount_paid_fen, "承诺金额", "承诺还款金额", target="amount_fen", required=True
        ),
        _column("due_on", cells.day, "承诺还款日", "承诺还款日期", required=True),
        _column("made_at", cells.moment, "承诺日期", "承诺时间", "登记日期", required=True, is_past=True),
        _column("follow_up_on", cells.day, "跟进日期", "下次跟进日期"),
    ),
    "payments": (
        _CLIENT,
        _reference("还款编号", "还款流水号", "交易流水号"),
        _OF_CASE,
        _column(
            "amount", cells.amount_paid_fen, "还款金额", "缴款金额", target="amount_fen", required=True
        ),
        _column("paid_on", cells.day, "还款日期", "缴款日期", "入账日期", required=True, is_past=True),
    ),
}  # fmt: skip

ORDERED_DAYS: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    "ledger": (
        ("received_on", "at", "Lies before the letter was sent (at). Correct one of them."),
        ("visit_on", "at", "Lies before the day on which it was asked for (at). Correct one of them."),
    ),
    "promises": (
        ("due_on", "made_at", "Lies before the promise was made (made_at). Correct one of them."),
        ("follow_up_on", "made_at", "Lies before the promise was made (made_at). Correct one of them."),
        ("due_on", "follow_up_on", "Lies before its follow-up (follow_up_on). Correct one of them."),
    ),
}
"""Kind -> (a day, the day it cannot lie before, what to say)."""


def folded(heading: str) -> str:
    """Fold a heading for comparison: case, spaces, full width and decorations do not matter."""
    return cells.narrow(heading).strip(" \t\ufeff\u00a0*").lower().replace(" ", "_")


BY_HEADING: Final[dict[str, dict[str, Column]]] = {
    kind: {folded(name): column for column in columns for name in (column.name, *column.headings)}
    for kind, columns in COLUMNS.items()
}

"""A template that a bank might approve: say what is different about yours."""

from datetime import date
from typing import Any

from server.letters.rendering import Merged
from server.letters.template import Template

PHONE = "400-820-1234"
PARTS = {
    "debt_cause": "您名下信用卡账户自约定还款日起未足额还款。",
    "bank_measures": "我们已多次以电话方式提示您还款。",
    "expectation": "请您于{{ pay_by }}前通过官方渠道还款，或与我们联系说明情况。",
    "reminder": "如对上述金额有异议，请致电核实。",
}
BODY = """{{ recipient_name }}：
案件编号{{ case_reference }}。{{ debt_cause }}截至{{ balance_as_of }}，尚欠{{ outstanding_amount }}。
{{ bank_measures }}
{{ expectation }}
{{ reminder }}
受{{ client_name }}委托，{{ agency_name }}，电话{{ agency_phone }}。
{{ seal }}"""
SLIP = "请您在方便时致电{{ agency_name }}，电话{{ agency_phone }}。"


def a_notice(**facts: Any) -> Template:
    defaults: dict[str, Any] = {
        "kind": "notice",
        "title": "还款提示函",
        "body": BODY,
        "parts": PARTS,
        "agency_name": "诚信服务公司",
        "agency_phone": PHONE,
    }
    return Template(**{**defaults, **facts})


def a_slip(**facts: Any) -> Template:
    return a_notice(**{"kind": "callback_slip", "title": "回电通知单", "body": SLIP, "parts": {}, **facts})


def some_data(**facts: Any) -> Merged:
    defaults: dict[str, Any] = {
        "case_reference": "C1001",
        "recipient_name": "张小明",
        "outstanding_fen": 1_234_500,
        "balance_as_of": date(2026, 11, 20),
        "pay_by": date(2026, 12, 1),
        "client_name": "示例银行",
        "pairing_code": "KD7P-3XQA",
    }
    return Merged(**{**defaults, **facts})

"""Who works at the sample agency, and which cases was it entrusted with?

Plain data, told in the words of the import file. Days are relative to the story's day, so that balances are
fresh and letters old enough whenever the demonstration runs. All people are invented.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

ZONE: Final = ZoneInfo("Asia/Shanghai")
# A Tuesday of a published year: the story is the same at night, on a holiday, and in any later year.
DAY: Final = date(2026, 6, 9)
TOMORROW: Final = DAY + timedelta(days=1)
HOLIDAY: Final = date(2026, 6, 19)
CLIENT: Final = "CITY-BANK"


def at(day: date, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """Return a time of day in China."""
    return datetime.combine(day, time(hour, minute, second), ZONE)


@dataclass(frozen=True, slots=True)
class Colleague:
    """A member of staff. Visitors without `is_qualified` have not passed their exam."""

    number: str
    name: str
    role: str
    is_qualified: bool = True


DISPATCHER: Final = Colleague("D001", "何静", "dispatcher")
SUPERVISOR: Final = Colleague("S001", "郑国强", "supervisor")
AUDITOR: Final = Colleague("A001", "苏敏", "auditor")
LIN: Final = Colleague("V001", "林涛", "visitor")
LIN_MATE: Final = Colleague("V002", "周娟", "visitor")
ZHAO: Final = Colleague("V003", "赵磊", "visitor")
ZHAO_MATE: Final = Colleague("V004", "吴洁", "visitor")
QIAN: Final = Colleague("V005", "钱勇", "visitor")
QIAN_MATE: Final = Colleague("V006", "孙慧", "visitor")
TRAINEE: Final = Colleague("V007", "李想", "visitor", is_qualified=False)
STAFF: Final = (
    DISPATCHER,
    SUPERVISOR,
    AUDITOR,
    LIN,
    LIN_MATE,
    ZHAO,
    ZHAO_MATE,
    QIAN,
    QIAN_MATE,
    TRAINEE,
)
TEAMS: Final = {LIN.number: (LIN, LIN_MATE), ZHAO.number: (ZHAO, ZHAO_MATE), QIAN.number: (QIAN, QIAN_MATE)}


@dataclass(frozen=True, slots=True)
class Entrusted:
    """One case with its debtor and home. `name` is how the story calls it."""

    name: str
    debtor: str
    lat: float
    lon: float
    address: str
    hardship: str = ""
    status: str = "verified"
    last_visit_days_ago: int | None = None
    asked_for_visit: bool = False


CASES: Final = (
    Entrusted("honest", "王建国", 39.90870, 116.46050, "北京市朝阳区建国路88号5号楼1203室"),
    Entrusted(
        "hardship", "陈秀英", 39.92110, 116.44320, "北京市朝阳区工人体育场北路21号3单元502", "serious_illness"
    ),
    Entrusted("held", "刘洋", 39.93250, 116.43890, "北京市东城区东直门外大街48号2单元901"),
    Entrusted("reused", "杨帆", 39.94180, 116.42710, "北京市东城区安定门外大街138号1号楼307"),
    Entrusted("cut", "黄磊", 39.89510, 116.47830, "北京市朝阳区广渠路15号院8号楼1501"),
    Entrusted("short", "徐丽", 39.88620, 116.45980, "北京市朝阳区劲松三区302号楼5门"),
    Entrusted("faked", "马超", 39.87540, 116.47120, "北京市朝阳区潘家园南里12号楼208"),
    Entrusted("popular", "郭敏", 39.91560, 116.40270, "北京市东城区王府井大街138号6层", asked_for_visit=True),
    Entrusted(
        "hardship-visited",
        "何伟",
        39.90420,
        116.41930,
        "北京市东城区崇文门外大街3号1205",
        "financial_hardship",
        last_visit_days_ago=2,
    ),
    Entrusted("unverified", "高翔", 39.95310, 116.41550, "北京市朝阳区安慧里二区9号楼", status="unverified"),
    Entrusted("third-party", "梁爽", 39.96020, 116.40880, "北京市朝阳区大屯路222号同事宿舍"),
    Entrusted("listed", "宋佳", 39.91990, 116.48840, "北京市朝阳区甜水园东街5号楼101"),
)


def import_lines(day: date) -> list[dict[str, Any]]:
    """Return the client's file for the story's day: parents before children."""
    lines: list[dict[str, Any]] = [{"kind": "clients", "reference": CLIENT, "name": "城市银行信用卡中心"}]
    for number, case in enumerate(CASES, start=1):
        lines += _case_lines(case, number=number, day=day)
    return lines


def _case_lines(case: Entrusted, *, number: int, day: date) -> list[dict[str, Any]]:
    owner = {"client_reference": CLIENT}
    of_case = {**owner, "case_reference": f"case-{case.name}"}
    contact_reference = None
    lines: list[dict[str, Any]] = [
        {
            "kind": "debtors",
            **owner,
            "reference": f"debtor-{case.name}",
            "name": case.debtor,
            "id_number": f"11010119900307{number:03}X",
            "phone": f"138{number:08}",
            "hardship": case.hardship,
        },
        {
            "kind": "cases",
            **owner,
            "reference": f"case-{case.name}",
            "debtor_reference": f"debtor-{case.name}",
            "account_number": f"622700001234{number:04}",
            "principal": "18000.00",
            "outstanding": f"{12000 + number * 100}.00",
            "balance_as_of": day.isoformat(),
            "overdue_since": (day - timedelta(days=120)).isoformat(),
            "allocated_on": (day - timedelta(days=60)).isoformat(),
        },
    ]
    if case.name == "third-party":
        contact_reference = "contact-colleague"
        colleague = {
            "reference": contact_reference,
            "name": "同事甲",
            "relation": "colleague",
            "liable": "false",
        }
        lines.append({"kind": "contacts", **of_case, **colleague})
    lines.append(
        {
            "kind": "addresses",
            **of_case,
            "reference": f"address-{case.name}",
            "contact_reference": contact_reference,
            "address_kind": "home",
            "text": case.address,
            "latitude": case.lat,
            "longitude": case.lon,
            "status": case.status,
            "source": "client file",
        }
    )
    return lines + [{"kind": "ledger", **of_case, **entry} for entry in _contacts(case, day=day)]


def _contacts(case: Entrusted, *, day: date) -> list[dict[str, Any]]:
    """Return calls on two days and a letter long received, and what makes this case special."""

    def entry(name: str, channel: str, days_ago: int, **facts: Any) -> dict[str, Any]:
        moment = at(day - timedelta(days=days_ago), 10)
        return {"reference": f"{name}-{case.name}", "channel": channel, "at": moment.isoformat(), **facts}

    received = (day - timedelta(days=28)).isoformat()
    found = [
        entry("call-1", "call", 40),
        entry("call-2", "call", 36, effective="true"),
        entry("letter", "letter", 31, received_on=received),
    ]
    if case.last_visit_days_ago is not None:
        found.append(entry("visit", "visit", case.last_visit_days_ago, effective="true"))
    if case.asked_for_visit:
        found.append(
            entry(
                "request",
                "inbound",
                1,
                asks_for_visit="true",
                visit_on=(day + timedelta(days=1)).isoformat(),
                counterpart="debtor",
            )
        )
    return found


REMINDER: Final[dict[str, Any]] = {
    "client": CLIENT,
    "reference": "reminder-1",
    "version": 1,
    "kind": "notice",
    "title": "还款提示函",
    "body": "{{ recipient_name }}:\n案件编号{{ case_reference }}。{{ debt_cause }}截至{{ balance_as_of }},"
    "尚欠{{ outstanding_amount }}。\n{{ bank_measures }}\n{{ expectation }}\n{{ reminder }}\n"
    "受{{ client_name }}委托,{{ agency_name }},电话{{ agency_phone }}。\n{{ seal }}",
    "parts": {
        "debt_cause": "您名下信用卡账户自约定还款日起未足额还款。",
        "bank_measures": "我们已多次以电话方式提示您还款。",
        "expectation": "请您通过官方渠道还款,或与我们联系说明情况。",
        "reminder": "如对上述金额有异议,请致电核实。",
    },
    "agency_name": "诚信服务公司",
    "agency_phone": "400-820-1234",
    "approved_by": "信用卡中心 王经理",
    "approval_reference": "批-2026-7",
    "approved_on": "2026-01-05",
}
"""The one letter that the client approved for this agency (H2)."""

"""The yearly notice, read as it is published; a day misread is a visit on a holiday."""

from datetime import date, timedelta

import pytest
from chinese_calendar import constants
from hypothesis import given
from hypothesis import strategies as st

from server.intake.holiday_notice import FaultyNotice, MarkedDay, contradictions, read_notice

OF_2026 = """
    一、元旦:1月1日(周四)至3日(周六)放假调休,共3天。1月4日(周日)上班。
    二、春节:2月15日(农历腊月二十八、周日)至23日(农历正月初七、周一)放假调休,共9天。2月14日(周六)、2月28日(周六)上班。
    三、清明节:4月4日(周六)至6日(周一)放假,共3天。
    四、劳动节:5月1日(周五)至5日(周二)放假调休,共5天。5月9日(周六)上班。
    五、端午节:6月19日(周五)至21日(周日)放假,共3天。
    六、中秋节:9月25日(周五)至27日(周日)放假,共3天。
    七、国庆节:10月1日(周四)至7日(周三)放假调休,共7天。9月20日(周日)、10月10日(周六)上班。
"""
OF_2025 = """
一、元旦:1月1日(周三)放假1天,不调休。
二、春节:1月28日(农历除夕、周二)至2月4日(农历正月初七、周二)放假调休,共8天。1月26日(周日)、2月8日(周六)上班。
三、清明节:4月4日(周五)至6日(周日)放假,共3天。
四、劳动节:5月1日(周四)至5日(周一)放假调休,共5天。4月27日(周日)上班。
五、端午节:5月31日(周六)至6月2日(周一)放假,共3天。
六、国庆节、中秋节:10月1日(周三)至8日(周三)放假调休,共8天。9月28日(周日)、10月11日(周六)上班。
"""
OF_2024 = """
一、元旦:1月1日放假,与周末连休。
二、春节:2月10日至17日放假调休,共8天。2月4日(星期日)、2月18日(星期日)上班。鼓励各单位落实带薪年休假,安排职工在除夕(2月9日)休息。
三、清明节:4月4日至6日放假调休,共3天。4月7日(星期日)上班。
四、劳动节:5月1日至5日放假调休,共5天。4月28日(星期日)、5月11日(星期六)上班。
五、端午节:6月10日放假,与周末连休。
六、中秋节:9月15日至17日放假调休,共3天。9月14日(星期六)上班。
七、国庆节:10月1日至7日放假调休,共7天。9月29日(星期日)、10月12日(星期六)上班。
"""


def marked(days: tuple[MarkedDay, ...], kind: str) -> set[date]:
    return {one.day for one in days if one.kind == kind}


@pytest.mark.parametrize(
    ("text", "year", "joined"),
    [
        (OF_2026, 2026, set[date]()),
        (OF_2025, 2025, set[date]()),
        (OF_2024, 2024, {date(2023, 12, 30), date(2023, 12, 31), date(2024, 6, 8), date(2024, 6, 9)}),
    ],
)
def test_published_notices_give_the_days_that_two_libraries_know(text: str, year: int, joined: set[date]):
    days = read_notice(text, year=year)

    assert marked(days, "makeup") == {day for day in constants.workdays if day.year == year}
    off = {day for day in constants.holidays if day.year == year}
    if year in (2024,):
        assert marked(days, "holiday") == off | joined
    else:  # the library leaves out weekends that need no rearrangement
        assert marked(days, "holiday") >= off
        assert all(day.weekday() >= 5 for day in marked(days, "holiday") - off)


def test_a_break_that_begins_in_december_is_read_across_the_year():
    text = "一、元旦:2022年12月31日至2023年1月2日放假调休,共3天。"

    days = read_notice(text, year=2023)

    assert [one.day.isoformat() for one in days] == ["2022-12-31", "2023-01-01", "2023-01-02"]


@pytest.mark.parametrize(
    ("line", "place", "words"),
    [
        ("一、国庆节:10月1日(周五)放假1天。", "国庆节", "not a 周五"),
        ("一、国庆节:10月1日至7日放假调休,共8天。", "国庆节", "Says 8 days and names 7"),
        ("一、国庆节:2月30日放假。", "国庆节", "does not exist"),
        ("一、国庆节:1日放假。", "国庆节", "no month"),
        ("一、国庆节:10月7日至1日放假。", "国庆节", "backwards"),
        ("一、国庆节:10月1日放假。10月9日上班。", "国庆节 2026-10-09", "worked anyway"),
        ("一、国庆节:2027年10月1日放假。", "国庆节 2027-10-01", "Does not lie in 2026"),
        ("一、国庆节:10月10日上班。", "国庆节", "Names no day off"),
        ("一、国庆节:10月1日放假。10月12日。", "国庆节", "neither 放假 nor 上班"),
        (
            "一、中秋节:10月1日放假。\n二、国庆节:10月1日至3日放假。",
            "国庆节 2026-10-01",
            "twice, also by 中秋节",
        ),
        ("一、国庆节:10月3日放假。10月3日(周六)上班。", "国庆节 2026-10-03", "both off and worked"),
        ("国庆节放假七天", "text", "No festival was found"),
    ],
)
def test_what_cannot_be_right_is_told_with_its_place(line: str, place: str, words: str):
    with pytest.raises(FaultyNotice) as faulty:
        read_notice(line, year=2026)

    assert any(fault.place == place and words in fault.reason for fault in faulty.value.faults)


def test_every_fault_is_told_at_once():
    text = "一、元旦:1月1日(周五)放假1天。\n二、国庆节:10月1日至7日放假调休,共9天。"

    with pytest.raises(FaultyNotice) as faulty:
        read_notice(text, year=2026)

    assert [fault.place for fault in faulty.value.faults] == ["元旦", "国庆节"]


@given(first=st.dates(date(2026, 1, 1), date(2026, 12, 1)), length=st.integers(1, 10))
def test_any_break_written_as_the_notices_do_is_read_day_by_day(first: date, length: int):
    last = first + timedelta(days=length - 1)
    until = f"至{last.month}月{last.day}日" if length > 1 else ""
    text = f"一、节日:{first.month}月{first.day}日{until}放假调休,共{length}天。"

    days = read_notice(text, year=2026)

    assert [one.day for one in days] == [first + timedelta(days=n) for n in range(length)]


@given(text=st.text(alphabet="一二、:。月日年至上班放假共天周0123456789 \n", max_size=200))
def test_no_text_whatever_raises_anything_but_its_faults(text: str):
    try:
        days = read_notice(text, year=2026)
    except FaultyNotice as faulty:
        assert faulty.faults
    else:
        assert list(contradictions(days, year=2026)) == []

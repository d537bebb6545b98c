"""Which sums, times and days a narrative names, and what is none of them."""

from datetime import date

import pytest

from server.reconcile.narrative import Kind, read_narrative
from tests.reconcile.reading import TUESDAY, told


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("欠五千元", 500_000),
        ("欠2万3", 2_300_000),
        ("欠三万五", 3_500_000),
        ("欠1.2万", 1_200_000),
        ("欠4万2千", 4_200_000),
        ("欠一万零五百元", 1_050_000),
        ("欠两百五十块", 25_000),
        ("欠伍仟陆佰元整", 560_000),
        ("欠人民币贰万元整", 2_000_000),
        ("欠23,456.78元", 2_345_678),
        ("欠¥800", 80_000),
        ("还１２００元", 120_000),
        ("欠十一万五", 11_500_000),
        ("还3k", 300_000),
        ("还８，７００元", 870_000),
        ("给千五", 150_000),
        ("过数两千", 200_000),
        ("拿2000来", 200_000),
        ("挤出三百一个月", 30_000),
        ("欠八百房租", 80_000),
        ("还两千下月再说", 200_000),
        ("不还。8500。", 850_000),
        ("减到8000一次性结清", 800_000),
        ("挤出四千一一个月", 410_000),
        ("寄一千回来还账", 100_000),
        ("欠的另有2,350：不认", 235_000),
        ("多收三十六块八", 3_680),
        ("多收37块6", 3_760),
        ("少了八毛钱", 80),
        ("五块一斤卖的", 500),
        ("还五千块一定到账", 500_000),
        ("一月一千一", 110_000),
    ],
)
def test_a_sum_is_read_however_it_is_written(text: str, fen: int) -> None:
    assert told(text, "amount") == [str(fen)]


@pytest.mark.parametrize(
    "text",
    [
        "欠几百块",
        "欠五千多元",
        "还一两千",
        "欠十几万",
        "欠近万元",
        "来了3次",
        "住2号楼501室",
        "一块去的",
        "第三期",
        "欠十来万",
        "还两千来块",
        "欠数千元",
        "报了110，再谈还款",
        "四十来岁，欠钱",
        "门牌8500。",
        "三百五百的凑着还",
        "15、16号还款",
    ],
)
def test_an_open_sum_and_what_is_no_sum_say_nothing(text: str) -> None:
    assert told(text, "amount") == []


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("下午三点半到达", "arrived", "15:30"),
        ("15:20到达", "arrived", "15:20"),
        ("三点一刻离开", "left", "03:15|15:15"),
        ("中午12点半到", "arrived", "12:30"),
        ("中午一点到", "arrived", "13:00"),
        ("晚上七点四十到", "arrived", "19:40"),
        ("二十点十分离开", "left", "20:10"),
        ("十点差五分走", "left", "09:55|21:55"),
        ("三点差二十走", "left", "02:40|14:40"),
        ("两点过一刻走", "left", "02:15|14:15"),
        ("9点3刻走", "left", "09:45|21:45"),
        ("五点过半走", "left", "05:30|17:30"),
        ("六点三个字走", "left", "06:15|18:15"),
        ("5:10PM走", "left", "17:10"),
        ("到达时间9:05", "arrived", "09:05|21:05"),
        ("09:05到达", "arrived", "09:05"),
        ("10:12：离开", "left", "10:12"),
        ("直到13点13分才离开", "left", "13:13"),
        ("等到16:20离开", "left", "16:20"),
        ("等到16:20债务人才回来", "time", "16:20"),
        ("原定14:00", "time", "14:00"),
        ("15:02债务人签收", "time", "15:02"),
        ("14:10-14:50谈话", "left", "14:50"),
    ],
)
def test_a_time_keeps_its_part_in_the_visit_and_both_halves_of_the_day(
    text: str, kind: Kind, value: str
) -> None:
    assert value in told(text, kind)


@pytest.mark.parametrize(
    "text", ["下午1点多到的", "七点以后才有人", "有一点钱", "十一点不到就走了", "晚上十二点到"]
)
def test_a_vague_time_says_nothing(text: str) -> None:
    assert [told(text, kind) for kind in ("arrived", "left", "time")] == [[], [], []]


@pytest.mark.parametrize(
    ("text", "day", "value"),
    [
        ("明天还", TUESDAY, "2026-11-25"),
        ("下周三还", TUESDAY, "2026-12-02"),
        ("周五还", TUESDAY, "2026-11-27"),
        ("月底还", TUESDAY, "2026-11-30"),
        ("15号还", TUESDAY, "2026-12-15"),
        ("28号还", TUESDAY, "2026-11-28"),
        ("上次说15号还", TUESDAY, "2026-11-15"),
        ("许下月底前还", TUESDAY, "2026-11-30"),
        ("ptp 12.5 2k", TUESDAY, "2026-12-05"),
        ("去年12月5号办的卡", TUESDAY, "2025-12-05"),
        ("大前天来过", TUESDAY, "2026-11-21"),
        ("20261215还", TUESDAY, "2026-12-15"),
        ("下月10号还", TUESDAY, "2026-12-10"),
        ("12月5日还", TUESDAY, "2026-12-05"),
        ("1月5日还", date(2026, 12, 29), "2027-01-05"),
        ("12月20日还过", date(2027, 1, 4), "2026-12-20"),
        ("31号还", date(2026, 11, 24), "2026-12-31"),
        ("元旦前还", TUESDAY, "2027-01-01"),
        ("三天内还", TUESDAY, "2026-11-27"),
        ("两周后还", TUESDAY, "2026-12-08"),
        ("上周五来过", TUESDAY, "2026-11-20"),
        ("下月底还", date(2027, 1, 31), "2027-02-28"),
        ("3/10还", date(2027, 2, 26), "2027-03-10"),
        ("2026年12月5日还", TUESDAY, "2026-12-05"),
        ("下下月1号还", TUESDAY, "2027-01-01"),
        ("去年年底还清", TUESDAY, "2025-12-31"),
        ("2024年底办的卡", TUESDAY, "2024-12-31"),
        ("上月十六已经还了", TUESDAY, "2026-10-16"),
        ("九月二十三百", date(2026, 8, 18), "2026-09-20"),
        ("月底三十号还", TUESDAY, "2026-11-30"),
    ],
)
def test_a_day_is_counted_from_the_day_of_the_visit(text: str, day: date, value: str) -> None:
    assert told(text, "date", day=day) == [value]


@pytest.mark.parametrize(
    ("text", "day", "value"),
    [
        ("腊月廿六还", TUESDAY, "2027-02-02"),
        ("腊月三十还", TUESDAY, "2027-02-05"),  # that month has 29 days
        ("大年初三还", TUESDAY, "2027-02-08"),
        ("去年腊月二十三还的", TUESDAY, "2026-02-10"),
        ("农历7月15还", date(2026, 8, 1), "2026-08-27"),
        ("六月初五还", date(2025, 6, 1), "2025-06-29"),
        ("阴历七月底还", date(2026, 8, 1), "2026-09-10"),
        ("下月初七还", TUESDAY, "2026-12-15"),
        ("初八还", date(2026, 2, 18), "2026-02-24"),
        ("初八还", date(2025, 7, 26), "2025-08-01"),  # of the leap month
        ("中秋还", date(2026, 9, 1), "2026-09-25"),
        ("冬至还", TUESDAY, "2026-12-22"),
        ("明年清明还", TUESDAY, "2027-04-05"),
        ("国庆前还", date(2026, 9, 1), "2026-10-01"),
    ],
)
def test_a_lunar_day_and_a_festival_are_days_of_the_common_calendar(text: str, day: date, value: str) -> None:
    assert told(text, "date", day=day) == [value]


@pytest.mark.parametrize(
    "text",
    ["闰六月初五还", "小年还", "春节还", "上初一的女儿", "当初三个人", "十一月初一次性还", "二月三十二还"],
)
def test_what_only_looks_like_a_lunar_day_says_none(text: str) -> None:
    assert told(text, "date") == []


@pytest.mark.parametrize("day", [date(1, 1, 1), date(1901, 1, 1), date(2100, 6, 1), date(9999, 12, 31)])
def test_a_visit_that_no_lunar_calendar_reaches_has_no_lunar_days(day: date) -> None:
    assert told("腊月初八、初八、中秋、清明", "date", day=day) == []


@pytest.mark.parametrize(
    "text",
    [
        "下周还",
        "月中还",
        "过几天还",
        "周二还",
        "每周五还",
        "上次说月底还",
        "25-28号之间还",
        "2月30日还",
        "住3号楼",
        "0000年1月1日",
    ],
)
def test_a_day_that_is_no_single_day_says_nothing(text: str) -> None:
    assert told(text, "date") == []


@pytest.mark.parametrize(
    "text", ["见到债务人\n 15:20离开", "债务人开门。 下午三点二十走", "外访：\n\n三点到"]
)
def test_a_time_at_the_beginning_of_a_line_is_read(text: str) -> None:
    assert told(text, "left") or told(text, "arrived")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("14:20到村口，14:26敲的门，14:50走。", ["arrived=14:20", "time=14:26", "left=14:50"]),
        ("14:05到，14:31谈完，14:37出小区。", ["arrived=14:05", "time=14:31", "left=14:37"]),
        ("14:20，灯亮着，没人应。14:40下楼。", ["arrived=14:20", "left=14:40"]),
        ("0935到，0958撤。", ["arrived=09:35", "left=09:58"]),
        ("刑期到2028年。", []),
        ("到达时间14:05，14:40他关了门，我们离开。", ["arrived=14:05", "left=14:40"]),
        # Where no arrival is told, it is the first time of the visit, not that of the way there.
        ("8:50出发，9:30按门铃，9:40走。", ["time=08:50|20:50", "arrived=09:30|21:30", "left=09:40|21:40"]),
        ("债务人说没钱。15:10我们又敲，没再开。", ["time=15:10"]),
        ("16:30债务人租屋，房东开的门。", ["arrived=16:30"]),
        ("16:30债务人下班回家。", ["time=16:30"]),
        ("第一趟上午九点没人，第二趟15:30再去。", ["arrived=09:00", "arrived=15:30"]),
        # A time that somebody else takes, tells or waits for is not ours.
        ("债务人到14:35才下来。", ["time=14:35"]),
        ("12:20他发消息说在开会，12:50才到。", ["time=12:20", "time=12:50"]),
        ("车堵到15:00。", ["time=15:00"]),
        ("聊到15:20。", ["left=15:20"]),
        ("物业说他20:00走的。", ["time=20:00"]),
        ("叫我们明天14:00到店里谈。", ["time=14:00"]),
        ("等到17:40，没等到人。", ["time=17:40"]),
        ("等到17:40才走。", ["left=17:40"]),
        ("到1401离1422。", ["arrived=14:01", "left=14:22"]),
        ("9时12分抵达，9时40分离开。", ["arrived=09:12", "left=09:40"]),
        ("上午9点出门，10:30到。", ["time=09:00", "arrived=10:30"]),
        ("差十分五点离开。", ["left=04:50|16:50"]),
        ("10：20 到  10：45 走", ["arrived=10:20", "left=10:45"]),
        ("15:42 到 15:50 说老公在外地 15:52 走", ["arrived=15:42", "time=15:50", "left=15:52"]),
        ("10:20按约到茶馆。", ["arrived=10:20"]),
        ("0915 到户，0922 撤。", ["arrived=09:15", "left=09:22"]),
        ("债务人短信：我下午5点到家。", ["time=17:00"]),
        ("按计划14:00拜访，14:25才抵达。", ["time=14:00", "arrived=14:25"]),
        ("他17:20下班，我们17:00就在厂门口等。", ["time=17:20", "arrived=17:00"]),
    ],
)
def test_the_times_of_an_account_are_read_in_their_order(text: str, values: list[str]) -> None:
    times = ("arrived", "left", "time")

    read = [f"{one.kind}={one.value}" for one in read_narrative(text, TUESDAY) if one.kind in times]

    assert read == values

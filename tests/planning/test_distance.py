"""The planner's distances are the geodesic's, but for a metre in a hundred kilometres."""

from fractions import Fraction

from geographiclib.geodesic import Geodesic
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from server.planning.distance import Places
from server.planning.problem import Point, TravelModel

latitudes = st.floats(-60, 60)
longitudes = st.floats(-180, 180)


def geodesic(here: Point, there: Point) -> float:
    return Geodesic.WGS84.Inverse(here.latitude, here.longitude, there.latitude, there.longitude)["s12"]


@settings(max_examples=80, deadline=None)
@given(latitudes, longitudes, st.floats(-3, 3), st.floats(-3, 3))
def test_within_a_province_the_error_is_below_a_metre_in_100_km(
    latitude: float, longitude: float, north: float, east: float
):
    here, there = Point(latitude, longitude), Point(latitude + north, (longitude + east + 180) % 360 - 180)
    true = geodesic(here, there)
    assume(true < 500_000)

    counted = int(Places([here, there], TravelModel()).metres(0)[1])

    assert abs(counted - true) <= 0.51 + true / 100_000


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1.0, 12.5, 15.0, 40.0]), st.integers(0, 30))
def test_a_way_takes_full_minutes_and_never_less_than_its_speed_allows(
    metres: int, kmh: float, overhead: int
):
    minutes = TravelModel(kmh, overhead).minutes(metres)

    exactly = overhead + Fraction(metres * 60) / Fraction(kmh * 1000)
    assert minutes - 1 < exactly <= minutes


def test_rows_of_minutes_are_the_model_s():
    travel = TravelModel(12.5, 7)
    places = Places([Point(39.9, 116.4 + step / 90) for step in range(9)], travel)

    for place in range(9):
        assert list(places.minutes(place)) == [travel.minutes(int(m)) for m in places.metres(place)]
    assert int(places.metres(3)[3]) == 0

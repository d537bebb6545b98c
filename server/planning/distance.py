"""How far is it from one place to thousands of others?

The straight line through the ellipsoid, bent back onto the surface: three subtractions and a root instead of
an iteration, for whole rows at once. Against the true geodesic it is off by less than a metre in 100 km
(`tests/planning/test_distance.py` holds it to that).
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from server.planning.problem import Point, TravelModel

Row = NDArray[np.int64]
EQUATOR_M: Final = 6_378_137.0
ECCENTRICITY_2: Final = 0.006_694_379_990_14
RADIUS_M: Final = 6_371_008.8


class Places:
    """Numbered places; the row of a place is counted when it is first asked for, and kept."""

    def __init__(self, points: Sequence[Point], travel: TravelModel) -> None:
        self._travel = travel
        self._at = _through_space(points)
        self._rows: dict[int, tuple[Row, Row]] = {}

    def metres(self, place: int) -> Row:
        """Return the metres from a place to every place."""
        return self._row(place)[0]

    def minutes(self, place: int) -> Row:
        """Return the minutes from a place to every place."""
        return self._row(place)[1]

    def _row(self, place: int) -> tuple[Row, Row]:
        row = self._rows.get(place)
        if row is None:
            chord = np.sqrt(((self._at - self._at[place]) ** 2).sum(axis=1))
            bent = 2 * RADIUS_M * np.arcsin(np.minimum(1.0, chord / (2 * RADIUS_M)))
            metres = np.rint(bent).astype(np.int64)
            minutes = self._travel.overhead_minutes - (-metres * 60 // self._travel.metres_per_hour)
            row = self._rows[place] = (metres, minutes)
        return row


def _through_space(points: Sequence[Point]) -> NDArray[np.float64]:
    """Return x, y, z of places on the ellipsoid."""
    degrees: Any = np.array([(point.latitude, point.longitude) for point in points], dtype=np.float64)
    latitude, longitude = np.radians(degrees.reshape(-1, 2)).T
    normal = EQUATOR_M / np.sqrt(1 - ECCENTRICITY_2 * np.sin(latitude) ** 2)
    return np.stack(
        [
            normal * np.cos(latitude) * np.cos(longitude),
            normal * np.cos(latitude) * np.sin(longitude),
            normal * (1 - ECCENTRICITY_2) * np.sin(latitude),
        ],
        axis=1,
    )

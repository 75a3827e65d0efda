"""Events a simulated shop has none of: persons without a user id, nobody at all, equal times, odd texts and numbers, no session id."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

COUNT = 4_000
NAMES = ["page_view", "click", "search", "add_to_cart", "video_play", "purchase", "custom", "signup"]
URLS = ["/shop/item-12", "/shop/Item-12", "/", "", "/café/ü", "/a%b_c", "/shop/item-1200?x=1", "/shop/item-7\n", " /shop"]
COUNTRIES = ["US", "us", "DE", "", "Ελλάδα", "BR"]
DEVICES = ["mobile", "desktop", "tablet", "tv"]
PRICES = [0, 10, 10.5, -3, 49.99, 1e9, 0.1, 0.2, 250]
TERMS = ["red shoes", "Red Shoes", "'quoted' \"text\"", "back\\slash", "日本 語", "a.b*c", "%", "_"]
HOUR_MS = 3_600_000


def odd_events(seed: int, first_day: datetime) -> list[dict[str, Any]]:
    """The same events for a seed and day, as the API takes them, all of them within 90 days from `first_day`."""
    draw = random.Random(seed)
    start_ms = int(first_day.timestamp() * 1_000)
    events: list[dict[str, Any]] = []
    while len(events) < COUNT:
        # A handful of events around one moment, some of them in the same millisecond, by few persons: so that funnels hold together.
        moment_ms = start_ms + draw.choice(_edges(draw))
        person = _person(draw)
        session = draw.choice([None, f"odd-{draw.randrange(300)}"])
        for _ in range(draw.randrange(1, 9)):
            moment_ms += draw.choice([0, 0, 1, 5_000, 60_000, HOUR_MS // 2, HOUR_MS // 2 + 1, HOUR_MS])
            events.append(_event(draw, moment_ms, person, session, len(events)))
    return events


def _edges(draw: random.Random) -> list[int]:
    """Milliseconds from the start: anywhere, at a midnight, at a full hour, just before one."""
    anywhere = draw.randrange(89 * 24 * HOUR_MS)
    hour = anywhere // HOUR_MS * HOUR_MS
    return [anywhere, anywhere, anywhere // (24 * HOUR_MS) * 24 * HOUR_MS, hour, hour + HOUR_MS - 1]


def _person(draw: random.Random) -> dict[str, Any]:
    number = draw.randrange(400)
    return draw.choice(
        [
            {"user_id": f"odd-{number}"},
            {"anonymous_id": f"anon-{number}"},
            # Linked to a visitor without events of its own: the other engines know no identity.
            {"user_id": f"odd-{number}", "anonymous_id": f"device-{number}"},
            {"user_id": None},
        ]
    )


def _event(draw: random.Random, time_ms: int, person: dict[str, Any], session: str | None, number: int) -> dict[str, Any]:
    choices: dict[str, list[Any]] = {
        "url": URLS,
        "country": COUNTRIES,
        "device_type": DEVICES,
        "browser": ["Chrome", "Lynx"],
        "plan": ["free", "pro", "Pro "],
        "price": PRICES,
        "term": TERMS,
        "currency": ["EUR", "USD"],
    }
    properties = {name: draw.choice(values) for name, values in choices.items() if draw.random() < 0.6}
    event: dict[str, Any] = {"name": draw.choice(NAMES), "timestamp": time_ms, "properties": properties, **person}
    if session is not None:
        event["session_id"] = session
    if draw.random() < 0.5:
        event["insert_id"] = f"odd-{number}"
    return event

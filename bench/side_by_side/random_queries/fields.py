"""What random requests may name, and the values they compare with."""

from __future__ import annotations

from ..columns import Kind

# Fields that group, with the kind of their values.
GROUP_FIELDS = {
    "country": Kind.TEXT,
    "device_type": Kind.TEXT,
    "browser": Kind.TEXT,
    "plan": Kind.TEXT,
    "currency": Kind.TEXT,
    "referrer": Kind.TEXT,
    "event": Kind.TEXT,
    "url": Kind.TEXT,
    "term": Kind.TEXT,
    "price": Kind.FLOAT,
    "user_id": Kind.TEXT,
}
# Fields that filters name, with values some events have and some have not.
FILTER_VALUES: dict[str, list[str]] = {
    "country": ["US", "us", "DE", "IN", "Ελλάδα", "", "XX"],
    "device_type": ["mobile", "desktop", "tv", "console"],
    "browser": ["Chrome", "Safari", "Lynx", "Samsung Internet"],
    "plan": ["free", "pro", "Pro ", "team"],
    "currency": ["EUR", "USD"],
    "referrer": ["", "https://www.google.com/", "https://t.example.com/"],
    "event": ["page_view", "click", "purchase", "search", "nothing"],
    "url": ["/shop/item-12", "/shop/Item-12", "/", "", "/café/ü", "/a%b_c", "/shop/item-7\n", "/shop/item-3"],
    "term": ["red shoes", "'quoted' \"text\"", "back\\slash", "日本 語", "a.b*c", "%", "_", "bike"],
    "user_id": ["user-1", "user-77", "odd-3", "anon-3"],
    "anonymous_id": ["anon-3", "anon-77"],
    "session_id": ["odd-12", "s0-0"],
}
NUMBERS = [0, 10, 10.5, -3, 49.99, 100, 1e9, 2.0, 272.63]
PARTS = ["item-1", "Item", "/", "é", "%", "_", "red", "shoes", "'", "\\", "o", "user-1", "-3", " "]
PATTERNS = [
    "^/shop/item-1",
    "[0-9]{3}$",
    "item-(7|8)",
    "(?i)ITEM-2",
    "^red",
    "s$",
    "é",
    r"\.",
    r"\\",
    "^$",
    "[A-Z][a-z]+",
    "(red|blue) [a-z]+",
]
EVENTS = ["page_view", "click", "search", "add_to_cart", "video_play", "purchase", "custom", "signup"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Auckland", "America/Sao_Paulo"]
# System fields and how the tables call them; every other name is a property of that name.
KINDS = {**dict.fromkeys(FILTER_VALUES, Kind.TEXT), "price": Kind.FLOAT, "time": Kind.TIME, "ref_id": Kind.TEXT, "insert_id": Kind.TEXT}

"""Q1 to Q8 and Q12: counts, distinct persons, groups and filters."""

from __future__ import annotations

from ..answers import table_rows, without_other
from .question import Question

# Five standard errors of the coarsest of the three sketches.
SKETCH_TOLERANCE = 0.08

COUNTS = [
    Question(
        "Q1 events per day, 90 days",
        "query",
        {"metric": "events", "interval": "day"},
        "d90",
        "SELECT epoch_ms(day::TIMESTAMP), n FROM (SELECT time::DATE AS day, count(*) AS n FROM events WHERE {d90} GROUP BY day)",
        "SELECT toUnixTimestamp(toDate(time)) * 1000 AS day, count() FROM events WHERE {d90} GROUP BY day",
        keys=1,
    ),
    Question(
        "Q2 page views by country, 7 days",
        "query",
        {"metric": "events", "event": "page_view", "group_by": "country"},
        "d7",
        "SELECT country, count(*) FROM events WHERE {d7} AND event = 'page_view' GROUP BY country",
        "SELECT country, count() FROM events WHERE {d7} AND event = 'page_view' GROUP BY country",
        keys=1,
    ),
    Question(
        "Q3 unique users, 90 days, exact",
        "query",
        {"metric": "unique_users"},
        "d90",
        "SELECT count(DISTINCT user_id) FROM events WHERE {d90}",
        "SELECT uniqExact(user_id) FROM events WHERE {d90}",
        keys=0,
    ),
    Question(
        "Q3s unique users, 90 days, by sketch",
        "query",
        {"metric": "unique_users_approx"},
        "d90",
        "SELECT approx_count_distinct(user_id) FROM events WHERE {d90}",
        "SELECT uniq(user_id) FROM events WHERE {d90}",
        keys=0,
        tolerance=SKETCH_TOLERANCE,
    ),
    Question(
        "Q4 unique purchasers by device",
        "query",
        {"metric": "unique_users", "event": "purchase", "group_by": "device_type"},
        "d90",
        "SELECT device_type, count(DISTINCT user_id) FROM events WHERE {d90} AND event = 'purchase' GROUP BY device_type",
        "SELECT device_type, uniqExact(user_id) FROM events WHERE {d90} AND event = 'purchase' GROUP BY device_type",
        keys=1,
    ),
    Question(
        "Q5 daily unique users, 90 days, exact",
        "query",
        {"metric": "unique_users", "interval": "day"},
        "d90",
        "SELECT epoch_ms(day::TIMESTAMP), n FROM (SELECT time::DATE AS day, count(DISTINCT user_id) AS n FROM events WHERE {d90} GROUP "
        "BY day)",
        "SELECT toUnixTimestamp(toDate(time)) * 1000 AS day, uniqExact(user_id) FROM events WHERE {d90} GROUP BY day",
        keys=1,
    ),
    Question(
        "Q6 top 10 urls by page views",
        "query",
        {"metric": "events", "event": "page_view", "group_by": "url", "limit": 10},
        "d90",
        "SELECT url, count(*) AS n FROM events WHERE {d90} AND event = 'page_view' GROUP BY url ORDER BY n DESC, url LIMIT 10",
        "SELECT url, count() AS n FROM events WHERE {d90} AND event = 'page_view' GROUP BY url ORDER BY n DESC, url LIMIT 10",
        keys=1,
        read=lambda answer: without_other(table_rows(answer)),
    ),
    Question(
        "Q7 revenue and p95 price by plan and country",
        "query",
        {"metrics": ["sum:price", "p95:price"], "event": "purchase", "group_by": ["plan", "country"], "limit": 100},
        "d90",
        "SELECT plan, country, sum(price), quantile_cont(price, 0.95) FROM events WHERE {d90} AND event = 'purchase' GROUP BY plan, "
        "country",
        "SELECT plan, country, sum(price), quantileExactInclusive(0.95)(price) FROM events WHERE {d90} AND event = 'purchase' "
        "GROUP BY plan, country",
        keys=2,
    ),
    Question(
        "Q8 url contains item-12, US: events and users",
        "query",
        {
            "metrics": ["events", "unique_users"],
            "filters": [
                {"property": "url", "op": "contains", "value": "item-12"},
                {"property": "country", "op": "eq", "value": "US"},
            ],
        },
        "d90",
        "SELECT count(*), count(DISTINCT user_id) FROM events WHERE {d90} AND contains(url, 'item-12') AND country = 'US'",
        "SELECT count(), uniqExact(user_id) FROM events WHERE {d90} AND position(url, 'item-12') > 0 AND country = 'US'",
        keys=0,
    ),
    Question(
        "Q12 events and users by country, device, browser, top 20",
        "query",
        {"metrics": ["events", "unique_users"], "group_by": ["country", "device_type", "browser"], "limit": 20},
        "d90",
        "SELECT country, device_type, browser, count(*) AS n, count(DISTINCT user_id) FROM events WHERE {d90} "
        "GROUP BY country, device_type, browser ORDER BY n DESC, country, device_type, browser LIMIT 20",
        "SELECT country, device_type, browser, count() AS n, uniqExact(user_id) FROM events WHERE {d90} "
        "GROUP BY country, device_type, browser ORDER BY n DESC, country, device_type, browser LIMIT 20",
        keys=3,
        read=lambda answer: without_other(table_rows(answer)),
    ),
]

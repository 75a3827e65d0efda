export interface Example {
  title: string;
  sql: string;
}

/** Statements that answer on any app, and show what each table is for. */
export const EXAMPLES: readonly Example[] = [
  {
    title: "Events and persons by name",
    sql: `SELECT event, count(*) AS events, count(DISTINCT person) AS persons
FROM events
GROUP BY event
ORDER BY events DESC
LIMIT 20`,
  },
  {
    title: "Events and persons by day",
    sql: `SELECT date_trunc('day', time) AS day, count(*) AS events, count(DISTINCT person) AS persons
FROM events
WHERE time >= now() - INTERVAL '30 days'
GROUP BY day
ORDER BY day`,
  },
  {
    title: "Sessions by day and length",
    sql: `SELECT date_trunc('day', started_at) AS day,
  count(*) AS sessions,
  median(duration_ms) / 1000 AS median_seconds
FROM sessions
GROUP BY day
ORDER BY day`,
  },
  {
    title: "What came before each event",
    sql: `SELECT before, event, count(*) AS times
FROM (
  SELECT event, lag(event) OVER (PARTITION BY person ORDER BY time) AS before
  FROM events
  WHERE person IS NOT NULL
) AS steps
GROUP BY before, event
ORDER BY times DESC
LIMIT 50`,
  },
  {
    title: "Most active persons",
    sql: `SELECT person, events, first_seen, last_seen
FROM persons
ORDER BY events DESC
LIMIT 100`,
  },
  {
    title: "New persons by week",
    sql: `SELECT date_trunc('week', first_seen) AS week, count(*) AS new_persons
FROM persons
GROUP BY week
ORDER BY week`,
  },
];

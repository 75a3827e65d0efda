"""Throng, ClickHouse's engine and DuckDB on the same rows and the same questions: answers compared, times and sizes measured."""

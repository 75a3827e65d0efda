"""Tests of what judges the answers."""

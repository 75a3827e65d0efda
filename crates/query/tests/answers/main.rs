//! Whole questions, from JSON to JSON, on the real Parquet store.

#![allow(clippy::unwrap_used, clippy::panic)]

mod dataset;
mod exports;
mod golden;
mod pages;
mod period_zones;
mod rollups;
mod segments;
mod sql;

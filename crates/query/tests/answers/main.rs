//! Whole questions, from JSON to JSON, on the real Parquet store.

mod dataset;
mod golden;
mod pages;

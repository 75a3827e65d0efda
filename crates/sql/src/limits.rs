//! The bounds of a statement. Each is checked before anything is planned, because a planner does not look up from its work: what it
//! does with a statement within these bounds takes milliseconds (`tests/attacks.rs` measures it).

/// Longest text of a statement, bytes.
pub const MAX_STATEMENT_BYTES: usize = 32 << 10;
/// Words, numbers, texts and signs in a statement, spaces not counted.
pub(crate) const MAX_TOKENS: usize = 4_000;
/// Brackets within brackets. The parser tries some brackets in two or three ways, so its work doubles with each level.
pub(crate) const MAX_BRACKET_DEPTH: usize = 12;
/// Names joined by dots.
pub(crate) const MAX_DOTTED_NAMES: usize = 3;
/// Depth the parser may reach.
pub(crate) const MAX_PARSER_DEPTH: usize = 200;
/// Operators within operators; a chain `a + b + c` is as deep as it is long.
pub(crate) const MAX_EXPRESSION_DEPTH: usize = 64;
/// SELECT lists, views and subqueries that are read, a WITH query once for each time it is named.
pub(crate) const MAX_SCANS: usize = 16;
/// Queries within queries.
pub(crate) const MAX_QUERY_DEPTH: usize = 8;
/// Terms after every column of a subquery is replaced by what it stands for.
pub(crate) const MAX_EXPANDED_TERMS: usize = 20_000;
/// Columns of one SELECT list.
pub(crate) const MAX_COLUMNS: usize = 100;
/// Combinations that GROUPING SETS, CUBE and ROLLUP of one SELECT stand for.
pub(crate) const MAX_GROUPING_SETS: usize = 32;
/// Different properties that a statement reads.
pub(crate) const MAX_PROPERTIES: usize = 50;
/// Longest name of a property, as ingestion has it.
pub(crate) const MAX_PROPERTY_NAME_BYTES: usize = 1_024;
/// Longest pattern of `LIKE`, `~` and the functions on regular expressions.
pub(crate) const MAX_PATTERN_BYTES: usize = 1_000;

/// Rows of one batch between operators.
pub(crate) const BATCH_ROWS: usize = 8_192;
/// Rows that a join by conditions compares with all rows of its other side before it looks up.
pub(crate) const LOOP_JOIN_ROWS: usize = 16;
/// Rows that a join by keys looks up in its other side before it looks up.
pub(crate) const HASH_JOIN_ROWS: usize = 32;
/// Text of one batch from a view before it is given on early.
pub(crate) const BATCH_TEXT_BYTES: usize = 2 << 20;
/// Batches that wait between a view and its reader.
pub(crate) const WAITING_BATCHES: usize = 2;
/// Text that one call of a function may make of a batch, and the longest single text.
pub(crate) const MAX_MADE_TEXT_BYTES: usize = 32 << 20;
/// The stack of the thread that parses and plans.
pub(crate) const PLANNER_STACK_BYTES: usize = 64 << 20;
/// Statements whose time is up but whose thread has not ended; with so many, no new one begins.
pub(crate) const MAX_OVERDUE: usize = 2;

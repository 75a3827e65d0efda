//! Building the `$overflow` column: one JSON object a row of the properties that have no column.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;
use event::write_json_string;

use crate::columns::{MAX_OVERFLOW_NAMES, OverflowNames};

/// Names seen in an overflow, up to the bound.
#[derive(Clone, Debug, Default)]
pub(crate) struct OverflowSet {
    names: BTreeSet<String>,
    any: bool,
}

impl OverflowSet {
    pub(crate) fn add(&mut self, name: &str) {
        if self.any || self.names.contains(name) {
            return;
        }
        self.names.insert(name.to_string());
        if self.names.len() > MAX_OVERFLOW_NAMES {
            self.any = true;
            self.names.clear();
        }
    }

    pub(crate) fn add_all(&mut self, names: &OverflowNames) {
        match names {
            OverflowNames::Any => {
                self.any = true;
                self.names.clear();
            }
            OverflowNames::Listed(names) => names.iter().for_each(|name| self.add(name)),
        }
    }

    pub(crate) fn finish(self) -> OverflowNames {
        if self.any { OverflowNames::Any } else { OverflowNames::Listed(self.names.into_iter().collect()) }
    }
}

/// Members `"name":value` in the order they were added, chained per row, so that no row costs an allocation.
pub(crate) struct OverflowColumn {
    rows: usize,
    text: String,
    /// `(row, end in text)`; a member begins where the one before ends.
    members: Vec<(u32, u32)>,
    names: OverflowSet,
}

impl OverflowColumn {
    pub(crate) fn new(rows: usize) -> Self {
        Self { rows, text: String::new(), members: Vec::new(), names: OverflowSet::default() }
    }

    /// Adds a member to a row that does not have the name yet.
    pub(crate) fn add(&mut self, row: u32, name: &str, write_value: &mut dyn FnMut(&mut String)) {
        write_json_string(name, &mut self.text);
        self.text.push(':');
        write_value(&mut self.text);
        self.members.push((row, self.text.len() as u32));
        self.names.add(name);
    }

    /// Adds members that are already written, `"a":1,"b":2`; their names are the caller's to declare.
    pub(crate) fn add_members(&mut self, row: u32, members: &str) {
        self.text.push_str(members);
        self.members.push((row, self.text.len() as u32));
    }

    /// The column and the names in it; `None` when no row has any.
    pub(crate) fn finish(self) -> Result<(Option<ArrayRef>, OverflowNames), ArrowError> {
        if self.members.is_empty() {
            return Ok((None, self.names.finish()));
        }
        let mut starts = Vec::with_capacity(self.members.len());
        let mut start = 0;
        for &(_, end) in &self.members {
            starts.push(start);
            start = end;
        }
        let mut order: Vec<u32> = (0..self.members.len() as u32).collect();
        order.sort_by_key(|&i| self.members[i as usize].0);
        let mut bytes = String::with_capacity(self.text.len() + 3 * self.rows);
        let mut offsets: Vec<i32> = Vec::with_capacity(self.rows + 1);
        offsets.push(0);
        let mut valid = Vec::with_capacity(self.rows);
        let mut next = order.into_iter().peekable();
        for row in 0..self.rows as u32 {
            let mut first = true;
            while let Some(i) = next.next_if(|&i| self.members[i as usize].0 == row) {
                bytes.push(if first { '{' } else { ',' });
                first = false;
                bytes.push_str(&self.text[starts[i as usize] as usize..self.members[i as usize].1 as usize]);
            }
            if !first {
                bytes.push('}');
            }
            valid.push(!first);
            offsets.push(bytes.len() as i32);
        }
        let nulls = NullBuffer::new(BooleanBuffer::from(valid));
        let array = StringArray::try_new(OffsetBuffer::new(ScalarBuffer::from(offsets)), bytes.into_bytes().into(), Some(nulls))?;
        Ok((Some(Arc::new(array)), self.names.finish()))
    }
}

/// The members inside of an overflow object that this store wrote.
pub(crate) fn inner_members(object: &str) -> &str {
    object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default()
}

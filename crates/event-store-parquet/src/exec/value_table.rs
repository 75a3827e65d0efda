//! Distinct values with dense codes.

use hashbrown::HashTable;

use super::value::{OwnedScalar, Scalar};

/// Distinct values in order of first appearance; a code is a position. A float that is a whole number is the integer.
#[derive(Default)]
pub(super) struct ValueTable {
    table: HashTable<(u64, u32)>,
    values: Vec<OwnedScalar>,
}

/// Bytes an entry takes beside its text, for memory budgets.
pub(super) const ENTRY_BYTES: usize = 64;

impl ValueTable {
    /// The code of a value, and whether it is new.
    pub(super) fn intern(&mut self, value: Scalar<'_>) -> (u32, bool) {
        let value = value.normal();
        let hash = value.distinct_hash().unwrap_or(0);
        if let Some(&(_, code)) = self.table.find(hash, |&(known, code)| known == hash && self.values[code as usize].as_scalar() == value) {
            return (code, false);
        }
        let code = self.values.len() as u32;
        self.values.push(value.to_owned());
        self.table.insert_unique(hash, (hash, code), |&(hash, _)| hash);
        (code, true)
    }

    /// The value of a code.
    pub(super) fn get(&self, code: u32) -> Scalar<'_> {
        self.values[code as usize].as_scalar()
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_dense_and_typed() {
        let mut table = ValueTable::default();
        assert_eq!(table.intern(Scalar::Str("1")), (0, true));
        assert_eq!(table.intern(Scalar::Int(1)), (1, true));
        assert_eq!(table.intern(Scalar::Float(1.0)), (1, false));
        assert_eq!(table.intern(Scalar::Null), (2, true));
        assert_eq!(table.intern(Scalar::Json("1")), (3, true));
        assert_eq!(table.intern(Scalar::Str("1")), (0, false));
        assert_eq!(table.get(1), Scalar::Int(1));
        assert_eq!(table.len(), 4);
    }
}

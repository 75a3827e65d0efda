//! From the arrays that a part gives to the forms that are kept.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, MutableArrayData, StringArray, UInt64Array, make_array};
use arrow::datatypes::{DataType, FieldRef, Int32Type, TimestampMillisecondType, UInt64Type};
use arrow::error::ArrowError;

use super::column::{Codes, Decoded, Ordinals, SegmentTable, SessionCodes, SharedText, Times};
use super::load::{LoadFailure, PersonForm};
use super::persons::NO_PERSON;
use super::space::AppSpace;
use crate::columns;
use crate::segment::SegmentSessions;

/// Texts of a row group that are fewer than this have codes, however few rows there are.
const FEW_TEXTS: usize = 1_024;

/// How arrays become columns.
#[derive(Clone)]
pub(super) struct Decoder<'d> {
    pub(super) space: &'d AppSpace,
    pub(super) persons: PersonForm,
    /// What stands for each number of a person, where the rows have numbers.
    pub(super) person_table: Option<Decoded>,
    /// The session ids by number, where the rows have numbers.
    pub(super) session_table: Option<Arc<SegmentSessions>>,
    /// Rows of the row group the arrays are from.
    pub(super) group_rows: usize,
}

impl Decoder<'_> {
    /// The blocks that lie at `ranges` of one array.
    ///
    /// # Errors
    /// [`LoadFailure::PersonsFull`] where persons are to be ordinals; what Arrow does not do.
    pub(super) fn decode(&self, field: &FieldRef, array: &ArrayRef, ranges: &[Range<usize>]) -> Result<Vec<Decoded>, LoadFailure> {
        if array.null_count() == array.len() {
            return Ok(ranges.iter().map(|range| self.nothing(field, range.len())).collect());
        }
        if let Some(text) = array.as_dictionary_opt::<Int32Type>().filter(|text| text.values().data_type() == &DataType::Utf8) {
            return self.text(field, text, ranges);
        }
        let slice = |range: &Range<usize>| array.slice(range.start, range.len());
        let each = |range: &Range<usize>| -> Result<Decoded, LoadFailure> {
            let array = slice(range);
            if field.name() == columns::PERSON {
                return self.persons(&array);
            }
            if array.null_count() == array.len() {
                return Ok(Decoded::Absent);
            }
            if let Some(numbers) = array.as_primitive_opt::<Int32Type>().filter(|_| field.name() == columns::SESSION_ID) {
                return self.sessions(numbers);
            }
            match array.as_primitive_opt::<TimestampMillisecondType>() {
                Some(times) if times.null_count() == 0 => Ok(Decoded::Times(Times::new(times.values().clone()))),
                _ => Ok(Decoded::Array(copy(&array)?)),
            }
        };
        ranges.iter().map(each).collect()
    }

    /// A block of which no row has a value.
    fn nothing(&self, field: &FieldRef, rows: usize) -> Decoded {
        if field.name() == columns::PERSON && self.persons == PersonForm::Ordinals {
            return Decoded::Persons(Ordinals { values: vec![NO_PERSON; rows].into(), largest: NO_PERSON });
        }
        Decoded::Absent
    }

    fn persons(&self, persons: &ArrayRef) -> Result<Decoded, LoadFailure> {
        if let Some(keys) = persons.as_primitive_opt::<UInt64Type>() {
            return match self.persons {
                PersonForm::Ordinals => Ok(Decoded::Persons(ordinals(self.space, keys)?)),
                PersonForm::Keys if keys.null_count() == keys.len() => Ok(Decoded::Absent),
                PersonForm::Keys => Ok(Decoded::Array(copy(persons)?)),
            };
        }
        let beyond = || LoadFailure::Damaged("a row has a person that its table lacks");
        match (persons.as_primitive_opt::<Int32Type>(), &self.person_table) {
            (Some(numbers), Some(Decoded::Persons(table))) => {
                let values = of_numbers(numbers, &table.values, NO_PERSON).ok_or_else(beyond)?;
                let largest = values.iter().copied().max().unwrap_or(NO_PERSON);
                Ok(Decoded::Persons(Ordinals { values: values.into(), largest }))
            }
            (Some(numbers), Some(Decoded::Table(SegmentTable::Persons(table)))) => {
                let keys = of_numbers(numbers, table.keys(), 0).ok_or_else(beyond)?;
                let keys = UInt64Array::new(keys.into(), numbers.nulls().cloned());
                match self.persons {
                    PersonForm::Ordinals => Ok(Decoded::Persons(ordinals(self.space, &keys)?)),
                    PersonForm::Keys => Ok(Decoded::Array(Arc::new(keys))),
                }
            }
            _ => Err(LoadFailure::column("its persons are neither keys nor numbers")),
        }
    }

    fn sessions(&self, numbers: &Int32Array) -> Result<Decoded, LoadFailure> {
        let table = self.session_table.as_ref().ok_or_else(|| LoadFailure::column("its session ids were not read"))?;
        let sessions = table.ids().len();
        let code = |number: Option<i32>| match number {
            None => Some(0),
            Some(number) => (0..sessions).contains(&(number as usize)).then_some(number as u32 + 1),
        };
        let codes = numbers.iter().map(code).collect::<Option<Vec<u32>>>();
        let codes = codes.ok_or(LoadFailure::Damaged("a row has a session that its table lacks"))?;
        Ok(Decoded::Sessions(SessionCodes { codes: Codes::new(codes), table: table.clone() }))
    }

    fn text(&self, field: &FieldRef, text: &DictionaryArray<Int32Type>, ranges: &[Range<usize>]) -> Result<Vec<Decoded>, LoadFailure> {
        let values = text.values().as_string::<i32>();
        // Where most rows have a text of their own, codes would only be larger.
        let is_few = values.len() <= FEW_TEXTS || values.len() <= self.group_rows / 2;
        let texts = self.space.texts(field.name());
        let shared = is_few.then(|| texts.codes_of(values)).flatten();
        let each = |range: &Range<usize>| -> Result<Decoded, LoadFailure> {
            let keys = text.keys().slice(range.start, range.len());
            if keys.null_count() == keys.len() {
                return Ok(Decoded::Absent);
            }
            Ok(match &shared {
                Some(shared) => match gather(&keys, shared) {
                    Codes::One(0) => Decoded::Absent,
                    codes => Decoded::Text(SharedText { codes, texts: texts.clone() }),
                },
                None => Decoded::Array(own_dictionary(&keys, values)?),
            })
        };
        ranges.iter().map(each).collect()
    }
}

/// The ordinals of persons.
///
/// # Errors
/// [`LoadFailure::PersonsFull`].
pub(super) fn ordinals(space: &AppSpace, keys: &UInt64Array) -> Result<Ordinals, LoadFailure> {
    let values = space.persons().number(keys).ok_or(LoadFailure::PersonsFull)?;
    let largest = values.iter().copied().max().unwrap_or(NO_PERSON);
    Ok(Ordinals { values: values.into(), largest })
}

/// What stands for the number of each row, `nobody` where there is none; `None` where a number has nothing.
fn of_numbers<T: Copy>(numbers: &Int32Array, table: &[T], nobody: T) -> Option<Vec<T>> {
    match numbers.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => numbers.values().iter().map(|&number| table.get(number as usize).copied()).collect(),
        Some(_) => numbers.iter().map(|number| number.map_or(Some(nobody), |number| table.get(number as usize).copied())).collect(),
    }
}

/// The shared code of each row.
fn gather(keys: &Int32Array, shared: &[u32]) -> Codes {
    let code = |key: i32| shared.get(key as usize).copied().unwrap_or(0);
    let codes: Vec<u32> = match keys.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => keys.values().iter().map(|&key| code(key)).collect(),
        Some(nulls) => keys.values().iter().zip(nulls.iter()).map(|(&key, is_set)| if is_set { code(key) } else { 0 }).collect(),
    };
    Codes::new(codes)
}

/// The rows with a dictionary of just their own texts, so that nothing is kept but what is counted.
fn own_dictionary(keys: &Int32Array, values: &StringArray) -> Result<ArrayRef, ArrowError> {
    let mut own: Vec<i32> = vec![-1; values.len()];
    let mut used: Vec<usize> = Vec::new();
    let mut own_key = |key: i32| {
        let own = &mut own[key as usize];
        if *own < 0 {
            *own = used.len() as i32;
            used.push(key as usize);
        }
        *own
    };
    let keys: Int32Array = keys.iter().map(|key| key.map(&mut own_key)).collect();
    let values: StringArray = used.into_iter().map(|key| (!values.is_null(key)).then(|| values.value(key))).collect();
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values))?))
}

/// The array with buffers of its own, without what lies beside it in those it was cut from.
fn copy(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let data = array.to_data();
    let mut own = MutableArrayData::new(vec![&data], false, array.len());
    own.try_extend(0, 0, array.len())?;
    Ok(make_array(own.freeze()))
}

#[cfg(test)]
mod tests {
    use arrow::array::Float64Array;

    use super::*;
    use crate::decoded::DecodedCache;

    fn cache() -> DecodedCache {
        DecodedCache::new(1 << 20, 100)
    }

    #[test]
    fn text_has_the_same_code_in_every_row_group() {
        let cache = cache();
        let space = cache.space(&event::AppId::new("A").unwrap());
        let decoder = Decoder { space: &space, persons: PersonForm::Ordinals, person_table: None, session_table: None, group_rows: 4 };
        let field = columns::field("s:country");
        let decode = |texts: Vec<Option<&str>>, ranges: &[Range<usize>]| {
            let array: ArrayRef = Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>());
            decoder.decode(&field, &array, ranges).unwrap()
        };
        let texts = |column: &Decoded| match column {
            Decoded::Text(text) => (0..2).map(|row| text.texts.text(text.codes.get(row)).to_string()).collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        let first = decode(vec![Some("DE"), Some("US"), None, None], &[0..2, 2..4]);
        let second = decode(vec![Some("US"), None], std::slice::from_ref(&(0..2)));
        assert_eq!(texts(&first[0]), ["DE", "US"]);
        assert!(matches!(first[1], Decoded::Absent));
        assert_eq!(texts(&second[0]), ["US", ""]);
        let (Decoded::Text(a), Decoded::Text(b)) = (&first[0], &second[0]) else { panic!("text is text") };
        assert_eq!((a.codes.get(1), b.codes.get(1)), (b.codes.get(0), 0));
        assert!(Arc::ptr_eq(&a.texts, &b.texts));
    }

    #[test]
    fn nothing_is_kept_beside_the_rows() {
        let cache = cache();
        let space = cache.space(&event::AppId::new("A").unwrap());
        let decoder = Decoder { space: &space, persons: PersonForm::Keys, person_table: None, session_table: None, group_rows: 4_000 };
        let unique: Vec<String> = (0..4_000).map(|i| format!("id {i}")).collect();
        let array: ArrayRef = Arc::new(unique.iter().map(|text| Some(text.as_str())).collect::<DictionaryArray<Int32Type>>());
        let columns = decoder.decode(&columns::field("s:id"), &array, std::slice::from_ref(&(10..20))).unwrap();
        let Decoded::Array(own) = &columns[0] else { panic!("unique text has no codes") };
        assert_eq!(own.as_dictionary::<Int32Type>().values().len(), 10);
        assert_eq!(own.as_any_dictionary().values().as_string::<i32>().value(3), "id 13");

        let numbers: ArrayRef = Arc::new(Float64Array::from_iter((0..100_000).map(|i| (i % 3 > 0).then_some(f64::from(i)))));
        let columns = decoder.decode(&columns::field("n:price"), &numbers, std::slice::from_ref(&(50_000..50_010))).unwrap();
        let Decoded::Array(own) = &columns[0] else { panic!("numbers are kept as they are") };
        assert_eq!(own.as_ref(), numbers.slice(50_000, 10).as_ref());
        assert!(own.get_array_memory_size() < 1_000);
    }

    #[test]
    fn too_many_persons_are_no_ordinals() {
        let cache = DecodedCache::new(1 << 20, 3);
        let space = cache.space(&event::AppId::new("A").unwrap());
        let field = columns::field(columns::PERSON);
        let persons: ArrayRef = Arc::new(UInt64Array::from(vec![1 << 60, 2 << 60, 3 << 60, 4 << 60]));
        let decoder = |persons| Decoder { space: &space, persons, person_table: None, session_table: None, group_rows: 4 };
        assert!(decoder(PersonForm::Ordinals).decode(&field, &persons, std::slice::from_ref(&(0..3))).is_ok());
        assert!(matches!(
            decoder(PersonForm::Ordinals).decode(&field, &persons, std::slice::from_ref(&(0..4))),
            Err(LoadFailure::PersonsFull)
        ));
        assert!(matches!(decoder(PersonForm::Keys).decode(&field, &persons, std::slice::from_ref(&(0..4))).unwrap()[0], Decoded::Array(_)));
        let nobody: ArrayRef = Arc::new(UInt64Array::from(vec![None, None]));
        let columns = decoder(PersonForm::Ordinals).decode(&field, &nobody, std::slice::from_ref(&(0..2))).unwrap();
        assert!(matches!(&columns[0], Decoded::Persons(persons) if persons.values[..] == [0, 0]));
    }
}

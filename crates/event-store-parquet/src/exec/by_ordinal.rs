//! Events of persons with ordinals, collected by each thread and laid out person by person.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use event_store::{QueryContext, QueryError};

use super::scan::{Query, Reserved};

/// Persons of one partition: few enough that what is known of them stays in the processor's cache.
pub(super) const PARTITION_PERSONS: usize = 1 << PARTITION_BITS;
const PARTITION_BITS: u32 = 13;
const ITEM_BYTES: usize = size_of::<u16>() + size_of::<u64>();

/// The partition of an ordinal, and its place in there.
#[inline]
pub(super) fn partition_of(ordinal: u32) -> (usize, usize) {
    ((ordinal >> PARTITION_BITS) as usize, ordinal as usize & (PARTITION_PERSONS - 1))
}

/// What one thread has collected: a payload for a person, as often as it comes.
pub(super) struct OrdinalLists {
    partitions: Vec<List>,
    memory: Reserved,
}

#[derive(Default)]
struct List {
    places: Vec<u16>,
    payloads: Vec<u64>,
}

/// The payloads of the persons of one partition, each person's ascending.
#[derive(Default)]
pub(super) struct PersonLists {
    /// By place; one more than there are persons. Empty where nothing was collected.
    starts: Vec<u32>,
    payloads: Vec<u64>,
}

impl OrdinalLists {
    pub(super) fn new(context: &QueryContext) -> Self {
        Self { partitions: Vec::new(), memory: Reserved::new(context) }
    }

    /// Adds a payload.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    #[inline]
    pub(super) fn push(&mut self, ordinal: u32, payload: u64) -> Result<(), QueryError> {
        let (partition, place) = partition_of(ordinal);
        if partition >= self.partitions.len() {
            self.partitions.resize_with(partition + 1, List::default);
        }
        let list = &mut self.partitions[partition];
        if list.payloads.len() == list.payloads.capacity() {
            let more = list.payloads.capacity().max(64);
            self.memory.grow(more * ITEM_BYTES)?;
            list.payloads.reserve_exact(more);
            list.places.reserve_exact(more);
        }
        list.places.push(place as u16);
        list.payloads.push(payload);
        Ok(())
    }

    /// Lays out what the threads collected, partition by partition. Their memory is given back with the second part.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(super) fn merge(threads: Vec<Self>, query: &Query<'_>) -> Result<(Vec<PersonLists>, Vec<Reserved>), QueryError> {
        let count = threads.iter().map(|thread| thread.partitions.len()).max().unwrap_or(0);
        let mut collected: Vec<Vec<List>> = (0..count).map(|_| Vec::new()).collect();
        let mut memory = Vec::new();
        for thread in threads {
            memory.push(thread.memory);
            collected.iter_mut().zip(thread.partitions).for_each(|(all, list)| all.push(list));
        }
        let mut laid_out = Reserved::new(query.context);
        laid_out.grow(count * PARTITION_PERSONS * size_of::<u32>())?;
        memory.push(laid_out);
        let partitions: Vec<Mutex<(Vec<List>, PersonLists)>> =
            collected.into_iter().map(|lists| Mutex::new((lists, PersonLists::default()))).collect();
        query.parallel(count, &|| (), &|(), partition| {
            let (lists, persons) = &mut *partitions[partition].lock().unwrap_or_else(PoisonError::into_inner);
            *persons = PersonLists::of(std::mem::take(lists));
            Ok(())
        })?;
        let lists = partitions.into_iter().map(|partition| partition.into_inner().unwrap_or_else(PoisonError::into_inner).1);
        Ok((lists.collect(), memory))
    }
}

impl PersonLists {
    /// A counting sort by person; then each person's few payloads.
    fn of(lists: Vec<List>) -> Self {
        let total: usize = lists.iter().map(|list| list.payloads.len()).sum();
        if total == 0 {
            return Self::default();
        }
        let mut ends = vec![0u32; PARTITION_PERSONS + 1];
        lists.iter().flat_map(|list| &list.places).for_each(|&place| ends[place as usize + 1] += 1);
        (1..ends.len()).for_each(|place| ends[place] += ends[place - 1]);
        let starts = ends.clone();
        let mut payloads = vec![0; total];
        for list in lists {
            for (place, payload) in list.places.into_iter().zip(list.payloads) {
                let end = &mut ends[place as usize];
                payloads[*end as usize] = payload;
                *end += 1;
            }
        }
        let lists = Self { starts, payloads };
        lists.sorted()
    }

    fn sorted(mut self) -> Self {
        for place in 0..PARTITION_PERSONS {
            let of_person = &mut self.payloads[self.starts[place] as usize..self.starts[place + 1] as usize];
            if !of_person.is_sorted() {
                of_person.sort_unstable();
            }
        }
        self
    }

    /// The payloads of the person at a place.
    #[inline]
    pub(super) fn get(&self, place: usize) -> &[u64] {
        &self.payloads[self.span(place)]
    }

    /// Where the payloads of the person at a place are among all of the partition.
    #[inline]
    fn span(&self, place: usize) -> Range<usize> {
        match self.starts.get(place..place + 2) {
            Some(&[start, end]) => start as usize..end as usize,
            _ => 0..0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::decoded::DecodedCache;
    use crate::exec::tests::world::context;
    use crate::snapshot::Snapshot;

    #[test]
    fn every_person_has_all_payloads_in_order() {
        let (context, snapshot, decoded) = (context(), Snapshot::default(), Arc::new(DecodedCache::new(0, 0)));
        let query = Query { snapshot: &snapshot, context: &context, threads: 2, decoded: &decoded };
        let fill = |from: u64| {
            let mut lists = OrdinalLists::new(&context);
            (from..from + 60_000).for_each(|i| lists.push((i * 7_919 % 20_000) as u32, i ^ 5).unwrap());
            lists
        };
        let (lists, memory) = OrdinalLists::merge(vec![fill(0), fill(60_000)], &query).unwrap();
        let mut expected = vec![Vec::new(); 20_000];
        (0..120_000u64).for_each(|i| expected[(i * 7_919 % 20_000) as usize].push(i ^ 5));
        for (ordinal, mut expected) in expected.into_iter().enumerate() {
            expected.sort_unstable();
            let (partition, place) = partition_of(ordinal as u32);
            assert_eq!(lists[partition].get(place), expected);
        }
        assert_eq!(lists.len(), 3);
        drop(memory);
        let none = OrdinalLists::merge(vec![OrdinalLists::new(&context)], &query).unwrap().0;
        assert!(none.is_empty());
    }
}

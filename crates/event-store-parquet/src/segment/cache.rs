//! The segments whose footers are in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::failure::SegmentFailure;
use super::read::OpenSegment;

/// Footers by use: the least recently used one goes first. Holds file handles, so their number is bounded as well.
pub(crate) struct OpenSegments {
    max_bytes: usize,
    max_files: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, (Arc<OpenSegment>, u64)>,
    bytes: usize,
    clock: u64,
}

impl OpenSegments {
    pub(crate) fn new(max_bytes: usize, max_files: usize) -> Self {
        Self { max_bytes, max_files, state: Mutex::default() }
    }

    /// The open segment, opened outside of the lock when it is not here; two that open it at once both succeed.
    pub(crate) fn get_or_open(
        &self,
        id: u64,
        open: impl FnOnce() -> Result<OpenSegment, SegmentFailure>,
    ) -> Result<Arc<OpenSegment>, SegmentFailure> {
        {
            let mut state = self.lock();
            state.clock += 1;
            let now = state.clock;
            if let Some((segment, used)) = state.open.get_mut(&id) {
                *used = now;
                return Ok(segment.clone());
            }
        }
        let opened = Arc::new(open()?);
        let mut state = self.lock();
        state.clock += 1;
        let now = state.clock;
        state.bytes += opened.memory_bytes();
        if let Some((before, _)) = state.open.insert(id, (opened.clone(), now)) {
            state.bytes -= before.memory_bytes();
        }
        while state.open.len() > self.max_files || (state.bytes > self.max_bytes && state.open.len() > 1) {
            let oldest = state.open.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
            let Some(oldest) = oldest else { break };
            remove(&mut state, oldest);
        }
        Ok(opened)
    }

    pub(crate) fn forget(&self, id: u64) {
        remove(&mut self.lock(), id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(state: &mut State, id: u64) {
    if let Some((segment, _)) = state.open.remove(&id) {
        state.bytes -= segment.memory_bytes();
    }
}

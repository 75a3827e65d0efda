use std::sync::{Mutex, PoisonError};

use event::EventBatchBuilder;

use crate::parser::Scratch;

/// The memory one request is worked on in.
#[derive(Default)]
pub(crate) struct Buffers {
    pub(crate) batch: EventBatchBuilder,
    pub(crate) scratch: Scratch,
    pub(crate) inflated: Vec<u8>,
}

/// Warm buffers for the next requests; an ordinary request then allocates nothing per event.
#[derive(Default)]
pub(crate) struct BufferPool {
    free: Mutex<Vec<Buffers>>,
}

/// As many as there are ever threads worth having; one more is simply dropped.
const MAX_POOLED: usize = 32;

/// Buffers that a giant request has grown beyond this are given back to the system.
const MAX_POOLED_BYTES: usize = 1024 * 1024;

impl BufferPool {
    /// Runs `work` on buffers that hold rests of earlier requests.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Buffers) -> T) -> T {
        let pooled = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffers = pooled.unwrap_or_default();
        let done = work(&mut buffers);
        let bytes = buffers.batch.retained_bytes() + buffers.scratch.retained_bytes() + buffers.inflated.capacity();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes <= MAX_POOLED_BYTES && free.len() < MAX_POOLED {
            free.push(buffers);
        }
        done
    }
}

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::IntGauge;

use crate::refusal::Refusal;

/// The bytes of all bodies that are not answered yet, and their bound.
pub(crate) struct InFlight {
    bytes: AtomicUsize,
    max_bytes: usize,
    gauge: IntGauge,
}

impl InFlight {
    pub(crate) fn new(max_bytes: usize, gauge: IntGauge) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicUsize::new(0), max_bytes, gauge })
    }
}

/// One request's share; given back when it is dropped.
pub(crate) struct Held {
    in_flight: Arc<InFlight>,
    bytes: usize,
}

impl Held {
    pub(crate) fn none(in_flight: &Arc<InFlight>) -> Self {
        Self { in_flight: Arc::clone(in_flight), bytes: 0 }
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`Refusal::Overloaded`] when the bound is reached; nothing was taken then.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let before = self.in_flight.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.in_flight.max_bytes {
            self.in_flight.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Refusal::Overloaded);
        }
        self.bytes += bytes;
        self.in_flight.gauge.add(bytes as i64);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.in_flight.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.in_flight.gauge.sub(self.bytes as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_and_is_given_back() {
        let in_flight = InFlight::new(10, IntGauge::new("g", "g").unwrap());
        let mut a = Held::none(&in_flight);
        let mut b = Held::none(&in_flight);
        a.grow(6).unwrap();
        assert!(matches!(b.grow(5), Err(Refusal::Overloaded)));
        b.grow(4).unwrap();
        assert_eq!(in_flight.gauge.get(), 10);
        drop(a);
        b.grow(6).unwrap();
        drop(b);
        assert_eq!((in_flight.gauge.get(), in_flight.bytes.load(Ordering::Relaxed)), (0, 0));
    }
}

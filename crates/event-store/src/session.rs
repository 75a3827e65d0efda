//! Where sessions begin: the one rule of sessions, paths and SQL.

use event::TimestampMs;

/// How sessions are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRule {
    /// A longer gap than this begins a new session.
    pub idle_ms: i64,
    /// A session is cut when it would become longer than this.
    pub max_ms: Option<i64>,
}

/// Cuts the events of a person that have no session id of the client's, event by event in order of time.
pub struct SessionCuts {
    rule: SessionRule,
    start_ms: TimestampMs,
    last_ms: Option<TimestampMs>,
}

impl SessionCuts {
    /// Before the first event.
    pub fn new(rule: SessionRule) -> Self {
        Self { rule, start_ms: 0, last_ms: None }
    }

    /// Whether a session begins with the next event.
    #[inline]
    pub fn begins(&mut self, time_ms: TimestampMs) -> bool {
        let goes_on = self.last_ms.is_some_and(|last_ms| {
            let short_gap = time_ms.saturating_sub(last_ms) <= self.rule.idle_ms;
            short_gap && self.rule.max_ms.is_none_or(|max_ms| time_ms.saturating_sub(self.start_ms) <= max_ms)
        });
        self.last_ms = Some(time_ms);
        if !goes_on {
            self.start_ms = time_ms;
        }
        !goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginnings(rule: SessionRule, times: &[TimestampMs]) -> Vec<bool> {
        let mut cuts = SessionCuts::new(rule);
        times.iter().map(|&time_ms| cuts.begins(time_ms)).collect()
    }

    #[test]
    fn a_session_ends_by_a_gap_and_by_its_length() {
        let idle = SessionRule { idle_ms: 10, max_ms: None };
        assert_eq!(beginnings(idle, &[0, 10, 20, 31, 31]), [true, false, false, true, false], "the idle time itself is no gap");
        let bounded = SessionRule { max_ms: Some(15), ..idle };
        assert_eq!(beginnings(bounded, &[0, 8, 15, 16, 20]), [true, false, false, true, false]);
        assert_eq!(beginnings(idle, &[i64::MIN, i64::MAX]), [true, true]);
    }
}

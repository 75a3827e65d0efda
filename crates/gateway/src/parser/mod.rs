//! JSON body -> columns of a batch, in one pass and without a tree.
//!
//! One bad event never sinks its batch: it is refused with its reason and its bytes, and reading goes on behind it.

mod bounds;
mod fields;
mod number;
mod reader;
mod scan;
mod text;
mod unknown;

use event::{CheckedTime, EventBatchBuilder, PropertyValue, Reject, RejectCode, TimestampMs, clock_correction_ms};
use thiserror::Error;

use fields::Fields;
use reader::{Fault, Reader, fault};
use text::BodyText;

pub(crate) use bounds::Bounds;
pub(crate) use reader::Scratch;
pub(crate) use unknown::UnknownFields;

/// What the times of a request are judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) received_at_ms: TimestampMs,
    /// The client's clock at sending, as far as it is known.
    pub(crate) sent_at_ms: Option<TimestampMs>,
    /// Older events are refused; `i64::MIN` where the app keeps them for ever.
    pub(crate) oldest_ms: TimestampMs,
}

/// What a body says beside its events.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) app_id: Option<String>,
    pub(crate) write_key: Option<String>,
    pub(crate) sent_at_ms: Option<TimestampMs>,
    /// `sent_at` was there but is not a time; the events then keep the client's clock.
    pub(crate) sent_at_was_ignored: bool,
    /// Elements of `events`, good and bad.
    pub(crate) event_count: usize,
    /// Events ahead of their receipt that were placed at it.
    pub(crate) future_events: usize,
    /// The earliest time of an accepted event, `i64::MAX` without one.
    pub(crate) earliest_ms: TimestampMs,
    /// Events that `sent_at` would have moved where no event can be, and that kept their own time.
    pub(crate) uncorrected_events: usize,
    /// Events whose anonymous id is the sender's of the day.
    pub(crate) cookieless_events: usize,
    /// Fields of events that nobody reads.
    pub(crate) unknown_fields: UnknownFields,
}

/// A body of which nothing can be kept.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// Not JSON before any event was found.
    #[error("{0}")]
    InvalidJson(String),
    /// Without a list of events.
    #[error("events is missing: send {{\"events\": [ ... ]}}")]
    MissingEvents,
    /// A field of the body with a type it may not have.
    #[error("{message}")]
    InvalidType { field: &'static str, message: String },
    /// Over the limit.
    #[error("events has more than {max} events: send several batches")]
    TooManyEvents { max: usize },
}

/// What the gateway adds to events from what it knows of their sender.
#[derive(Clone, Copy)]
pub(crate) struct Derived<'a> {
    /// For every event that has not its own: `(key, value)`.
    pub(crate) properties: &'a [(&'static str, &'a str)],
    pub(crate) daily_id: DailyId<'a>,
}

/// The anonymous id of events that say `cookieless` and have no `user_id`.
#[derive(Clone, Copy)]
pub(crate) enum DailyId<'a> {
    /// Not made yet, since it depends on the app: such events are counted, read as events without a person, and the body is to be read once more.
    Pending,
    Known(&'a str),
    /// The events are not their sender's own, as with an import.
    Unknowable,
}

/// Reads a body into `batch`, which is started anew. Of `clock`, `sent_at_ms` is read from the body.
///
/// `sent_at` may stand behind the events: where that makes a difference to their times, the body is read once more.
///
/// # Errors
/// [`BodyFault`]; the batch is then of no use.
pub(crate) fn read_batch(
    body: &[u8],
    mut clock: Clock,
    derived: &Derived<'_>,
    bounds: Bounds,
    batch: &mut EventBatchBuilder,
    scratch: &mut Scratch,
) -> Result<Envelope, BodyFault> {
    let text = BodyText::new(body);
    let mut reading = BatchReading::new(&text, clock, derived, bounds, batch, scratch);
    reading.read()?;
    let (assumed, envelope) = (reading.clock.sent_at_ms, reading.envelope);
    let correction_ms = |sent_at_ms| clock_correction_ms(sent_at_ms, clock.received_at_ms);
    if correction_ms(assumed) == correction_ms(envelope.sent_at_ms) {
        return Ok(envelope);
    }
    clock.sent_at_ms = envelope.sent_at_ms;
    let mut reading = BatchReading::new(&text, clock, derived, bounds, batch, scratch);
    reading.sent_at_is_known = true;
    reading.read()?;
    Ok(reading.envelope)
}

enum Broken {
    /// Nothing can be kept.
    Body(BodyFault),
    /// The structure around the events is broken here; the events before it stand.
    Json(Fault),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Json(fault)
    }
}

struct BatchReading<'a> {
    text: &'a BodyText<'a>,
    reader: Reader<'a>,
    clock: Clock,
    /// `clock.sent_at_ms` was found by an earlier reading and stands above what comes before the events.
    sent_at_is_known: bool,
    derived: &'a Derived<'a>,
    bounds: Bounds,
    batch: &'a mut EventBatchBuilder,
    envelope: Envelope,
    saw_events: bool,
}

impl<'a> BatchReading<'a> {
    fn new(
        text: &'a BodyText<'a>,
        clock: Clock,
        derived: &'a Derived<'a>,
        bounds: Bounds,
        batch: &'a mut EventBatchBuilder,
        scratch: &'a mut Scratch,
    ) -> Self {
        let reader = Reader::new(text.as_str(), scratch);
        let envelope = Envelope { earliest_ms: TimestampMs::MAX, ..Envelope::default() };
        Self { text, reader, clock, sent_at_is_known: false, derived, bounds, batch, envelope, saw_events: false }
    }

    fn read(&mut self) -> Result<(), BodyFault> {
        match self.read_envelope() {
            Ok(()) if self.saw_events => Ok(()),
            Ok(()) => Err(BodyFault::MissingEvents),
            Err(Broken::Body(fault)) => Err(fault),
            Err(Broken::Json(fault)) if !self.saw_events => Err(BodyFault::InvalidJson(fault.message.into_owned())),
            Err(Broken::Json(fault)) => {
                self.refuse_rest(*fault);
                Ok(())
            }
        }
    }

    fn read_envelope(&mut self) -> Result<(), Broken> {
        if !self.reader.eat(b'{') {
            return Err(self.reader.syntax("an object with a list of events").into());
        }
        let mut first = true;
        while let Some(key) = self.reader.next_key(first)? {
            first = false;
            let token = self.reader.peek_token();
            match self.reader.get(key).as_bytes() {
                b"events" if token == Some(b'[') => self.read_events()?,
                b"events" => return Err(self.wrong_type("events", "a list")),
                b"app_id" => self.envelope.app_id = self.owned_text(token, "app_id")?,
                b"write_key" => self.envelope.write_key = self.owned_text(token, "write_key")?,
                b"sent_at" => self.read_sent_at(token)?,
                _ => self.reader.skip_value()?,
            }
            self.reader.release(0);
        }
        match self.reader.peek_token() {
            None => Ok(()),
            Some(_) => Err(self.reader.syntax("the end of the body").into()),
        }
    }

    fn owned_text(&mut self, token: Option<u8>, field: &'static str) -> Result<Option<String>, Broken> {
        if !matches!(token, Some(b'"' | b'n')) {
            return Err(self.wrong_type(field, "a string"));
        }
        let text = fields::text_field(&mut self.reader, token, field)?;
        Ok(text.map(|text| self.reader.get(text).to_owned()))
    }

    fn wrong_type(&mut self, field: &'static str, expected: &str) -> Broken {
        let fault = fields::wrong_type(&mut self.reader, field, expected);
        match fault.code {
            RejectCode::InvalidType => Broken::Body(BodyFault::InvalidType { field, message: fault.message.into_owned() }),
            _ => Broken::Json(fault),
        }
    }

    /// A wrong `sent_at` costs the clock correction, not the events.
    fn read_sent_at(&mut self, token: Option<u8>) -> Result<(), Broken> {
        let start = self.reader.at;
        self.envelope.sent_at_ms = match fields::time_field(&mut self.reader, token, "sent_at") {
            Ok(sent_at_ms) => sent_at_ms,
            Err(_) => {
                self.envelope.sent_at_was_ignored = true;
                self.reader.at = start;
                self.reader.skip_value()?;
                None
            }
        };
        Ok(())
    }

    /// Reads the list of events; a second list replaces the first, as everywhere in JSON.
    fn read_events(&mut self) -> Result<(), Broken> {
        self.reader.at += 1;
        self.saw_events = true;
        if !self.sent_at_is_known {
            self.clock.sent_at_ms = self.envelope.sent_at_ms;
        }
        self.batch.start(self.clock.received_at_ms);
        for (key, value) in self.derived.properties {
            self.batch.derive(key, PropertyValue::Str(value));
        }
        self.envelope.event_count = 0;
        self.envelope.future_events = 0;
        self.envelope.uncorrected_events = 0;
        self.envelope.cookieless_events = 0;
        self.envelope.earliest_ms = TimestampMs::MAX;
        if self.reader.eat(b']') {
            return Ok(());
        }
        loop {
            self.read_element()?;
            match self.reader.peek_token() {
                Some(b',') => self.reader.at += 1,
                Some(b']') => {
                    self.reader.at += 1;
                    return Ok(());
                }
                // What stands where a comma should is judged as an element of its own, so the events around it are kept.
                Some(_) => {}
                None => return Err(self.reader.syntax("',' or ']'").into()),
            }
        }
    }

    fn read_element(&mut self) -> Result<(), Broken> {
        let index = self.envelope.event_count;
        if index == self.bounds.max_events {
            return Err(Broken::Body(BodyFault::TooManyEvents { max: self.bounds.max_events }));
        }
        let token = self.reader.peek_token();
        let start = self.reader.at;
        let read = match token {
            Some(b'{') => self.read_event(start),
            None => return Err(self.reader.syntax("an event").into()),
            _ => Err(self.not_an_object()),
        };
        match read {
            Ok(time) => {
                self.envelope.event_count += 1;
                self.envelope.future_events += usize::from(time.was_in_future);
                self.envelope.uncorrected_events += usize::from(time.was_left_uncorrected);
                self.envelope.earliest_ms = self.envelope.earliest_ms.min(time.time_ms);
                Ok(())
            }
            Err(fault) => self.refuse_element(start, fault),
        }
    }

    fn read_event(&mut self, start: usize) -> Result<CheckedTime, Fault> {
        let index = self.envelope.event_count as u32;
        let fields = Fields::read(&mut self.reader, self.batch, &self.bounds, &mut self.envelope.unknown_fields, index)?;
        if !self.text.was_valid(start, self.reader.at) {
            return Err(not_utf8());
        }
        let time = fields.finish(&self.reader, &self.clock, self.derived.daily_id, self.batch)?;
        self.envelope.cookieless_events += usize::from(fields.needs_daily_id());
        Ok(time)
    }

    #[cold]
    fn not_an_object(&mut self) -> Fault {
        match self.reader.skip_value() {
            Ok(()) => fault(RejectCode::NotAnObject, "an event must be an object such as {\"name\": \"page_view\", \"user_id\": \"U1\"}"),
            Err(fault) => fault,
        }
    }

    /// Refuses the element that begins at `start` and goes on behind it.
    #[cold]
    fn refuse_element(&mut self, start: usize, fault: Fault) -> Result<(), Broken> {
        let Some(end) = scan::end_of_broken_element(self.text.as_str().as_bytes(), start) else {
            self.reader.at = start;
            return Err(fault.into());
        };
        let fault = if self.text.was_valid(start, end) { fault } else { not_utf8() };
        self.batch.reject_event(self.envelope.event_count as u32, *fault, self.text.original(start, end));
        self.envelope.event_count += 1;
        self.reader.at = end;
        Ok(())
    }

    /// Refuses what is left of the body as one element, since where its events end cannot be told.
    fn refuse_rest(&mut self, reject: Reject) {
        let rest = self.text.original(self.reader.at, self.text.as_str().len());
        self.batch.reject_event(self.envelope.event_count as u32, reject, rest);
        self.envelope.event_count += 1;
    }
}

#[cold]
fn not_utf8() -> Fault {
    fault(RejectCode::InvalidText, "the event has bytes that are not UTF-8: send the body as UTF-8")
}

#[cfg(test)]
mod tests;

use event::AppId;
use event_store::{FunnelMode, FunnelPersonsPage, FunnelStop, FunnelStory, StepOutcome};
use serde_json::{Map, Value as Json, json};
use xxhash_rust::xxh3::xxh3_64;

use super::super::{add_period, frame, value_json};
use super::{semantics, step_label};
use crate::cache::canonical;
use crate::calendar;
use crate::failure::QueryFailure;
use crate::request::{FunnelPersonRequest, FunnelPersonsRequest, FunnelRequest};

/// Where the next page of persons begins. It moves only within the persons that its own request shows, and is refused with any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PersonsCursor {
    /// The range, so that a rolling one does not move between pages.
    pub range: (i64, i64),
    /// Only persons with a larger key.
    pub after: u64,
}

impl PersonsCursor {
    /// Reads the text of a cursor that was made for this app and this request.
    ///
    /// # Errors
    /// It was made for another one, or is no cursor.
    pub fn read(text: &str, app: &AppId, request: &Json) -> Result<Self, QueryFailure> {
        let refused = |message: &str| QueryFailure::invalid("invalid_cursor", "cursor", message);
        let numbers: Option<Vec<u64>> = text.split('.').map(|part| u64::from_str_radix(part, 16).ok()).collect();
        match numbers.as_deref() {
            Some(&[binding, from, to, after]) if binding == Self::binding(app, request) => {
                Ok(Self { range: (from as i64, to as i64), after })
            }
            Some(&[_, _, _, _]) => Err(refused("the cursor belongs to another question: send it with the request of the page before")),
            _ => Err(refused("this is not a cursor of this API")),
        }
    }

    /// The text to send back.
    pub fn write(self, app: &AppId, request: &Json) -> String {
        let (from, to) = (self.range.0 as u64, self.range.1 as u64);
        format!("{:x}.{from:x}.{to:x}.{:x}", Self::binding(app, request), self.after)
    }

    /// The request but for what may differ from page to page.
    fn binding(app: &AppId, request: &Json) -> u64 {
        let mut request = request.clone();
        if let Some(fields) = request.as_object_mut() {
            ["cursor", "limit", "cache", "explain"].iter().for_each(|key| {
                fields.remove(*key);
            });
        }
        let mut text = format!("{app} ");
        canonical(&request, &mut text);
        xxh3_64(text.as_bytes())
    }
}

/// A page of persons.
pub(crate) fn funnel_persons_answer(
    request: &FunnelPersonsRequest,
    page: &FunnelPersonsPage,
    next_cursor: Option<&str>,
) -> Map<String, Json> {
    let zone = &request.funnel.period.zone;
    let person = |person: &event_store::FunnelPerson| {
        json!({
            "person": person.id,
            "entered_at": calendar::iso(zone, person.entry_ms),
            "last_step": person.last_step + 1,
            "last_step_name": step_label(&request.funnel, person.last_step),
            "last_step_at": calendar::iso(zone, person.last_step_ms),
        })
    };
    let mut answer = frame("persons", page.persons.iter().map(person).collect(), true, &page.stats);
    answer.insert("count".to_owned(), json!(page.count));
    answer.insert("step".to_owned(), json!(request.step + 1));
    answer.insert("outcome".to_owned(), json!(if request.outcome == StepOutcome::Reached { "reached" } else { "dropped" }));
    answer.insert("next_cursor".to_owned(), json!(next_cursor));
    add_period(&mut answer, &request.funnel.period);
    answer.insert("semantics".to_owned(), of_users(&request.funnel));
    answer
}

/// The rule by which a person counts: attempts that are added up are not of persons.
fn of_users(request: &FunnelRequest) -> Json {
    semantics(&FunnelRequest { counts_attempts: false, ..request.clone() })
}

/// One person's attempt, why it ends where it does, and the events it is made of.
pub(crate) fn funnel_person_answer(request: &FunnelPersonRequest, story: &FunnelStory) -> Map<String, Json> {
    let funnel = &request.funnel;
    let time = |time_ms: i64| calendar::iso(&funnel.period.zone, time_ms);
    let numbers = |numbers: &[usize]| numbers.iter().map(|number| number + 1).collect::<Vec<_>>();
    let events = story.events.iter().map(|event| {
        let mut out = json!({"name": event.name, "timestamp": time(event.time_ms), "steps": numbers(&event.steps)});
        if !funnel.exclusions.is_empty() {
            out["exclusions"] = json!(numbers(&event.exclusions));
        }
        if !funnel.hold_constant.is_empty() {
            let held = funnel.hold_constant.iter().zip(&event.held).map(|((name, _), value)| (name.clone(), value_json(value)));
            out["held"] = Json::Object(held.collect());
        }
        out
    });
    let steps = story.attempt.iter().enumerate().map(|(step, done)| json!({"step": step_label(funnel, step), "time": done.map(time)}));
    let mut answer = frame("attempt", if story.attempt.is_empty() { Json::Null } else { steps.collect() }, true, &story.stats);
    answer.insert("person".to_owned(), json!(request.person));
    answer.insert("reached".to_owned(), json!(story.attempt.iter().filter(|done| done.is_some()).count()));
    answer.insert("attempts".to_owned(), json!(story.attempts));
    answer.insert("stopped".to_owned(), stop_json(funnel, &story.stop));
    answer.insert("events".to_owned(), events.collect());
    answer.insert("more_events".to_owned(), json!(story.more));
    add_period(&mut answer, &funnel.period);
    answer.insert("semantics".to_owned(), semantics(funnel));
    answer
}

/// The rule that ended the attempt, as a name and in words.
fn stop_json(request: &FunnelRequest, stop: &FunnelStop) -> Json {
    let time = |time_ms: i64| calendar::iso(&request.period.zone, time_ms);
    let name = |step: usize| format!("\"{}\" (step {})", request.steps[step].label, step + 1);
    let told = |rule: &str, step: Option<usize>, at_ms: Option<i64>, words: String| json!({"rule": rule, "step": step.map(|step| step + 1), "at": at_ms.map(time), "words": words});
    match *stop {
        FunnelStop::Converted => told("converted", None, None, "every step was reached".to_owned()),
        FunnelStop::NoEntry => {
            let first = if request.mode == FunnelMode::Unordered { "any step".to_owned() } else { name(0) };
            told("no_entry", None, None, format!("no event in the range is {first}, so no attempt begins"))
        }
        FunnelStop::Excluded { exclusion, at_ms } => {
            let words = format!("every attempt is void: exclusion {} came at {}", exclusion + 1, time(at_ms));
            told("excluded", None, Some(at_ms), words)
        }
        FunnelStop::Interrupted { step } => {
            told("interrupted", Some(step), None, format!("another event came before {}; strict steps follow one another", name(step)))
        }
        FunnelStop::Late { step, at_ms, window_end_ms } => {
            let words = format!("{} came at {}, after the window ended at {}", name(step), time(at_ms), time(window_end_ms));
            told("late", Some(step), Some(at_ms), words)
        }
        FunnelStop::Early { step, at_ms } => {
            told("early", Some(step), Some(at_ms), format!("{} came at {} only, before the step it follows", name(step), time(at_ms)))
        }
        FunnelStop::OtherValue { step, at_ms } => {
            let words = format!("{} came at {} with another value of what is held constant", name(step), time(at_ms));
            told("other_value", Some(step), Some(at_ms), words)
        }
        FunnelStop::Never { step } => told("never", Some(step), None, format!("no further event is {}", name(step))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_request() {
        let app = AppId::new("APP-1").unwrap();
        let request = json!({"steps": ["a", "b"], "step": 2, "limit": 5});
        let cursor = PersonsCursor { range: (-5, 1_773_156_600_000), after: u64::MAX - 1 };
        let text = cursor.write(&app, &request);
        let next = json!({"step": 2, "steps": ["a", "b"], "limit": 7, "cursor": text});
        assert_eq!(PersonsCursor::read(&text, &app, &next), Ok(cursor));
        for (text, app, request) in [
            (text.as_str(), &app, json!({"steps": ["a", "b"], "step": 1})),
            (text.as_str(), &AppId::new("APP-2").unwrap(), request.clone()),
            ("1.2.3", &app, request.clone()),
            ("x", &app, request),
        ] {
            assert_eq!(PersonsCursor::read(text, app, &request).unwrap_err().code, "invalid_cursor");
        }
    }
}

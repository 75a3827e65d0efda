use event_store::{ActivityGroup, ActivityTable, LifecycleCounts, RetentionCohort, RetentionEntry, RetentionMode, RetentionTable, Value};
use serde_json::{Map, Value as Json, json};

use super::order::compare_values;
use super::{add_period, frame, value_json};
use crate::calendar::{self, Interval};
use crate::request::{ActiveUsersRequest, ActivityRequest, Period, RetentionRequest};
use crate::retention_planner::{PlannedActivity, PlannedRetention};

/// The answer to a `/retention` request.
pub(crate) fn retention_answer(request: &RetentionRequest, planned: &PlannedRetention, table: &RetentionTable) -> Map<String, Json> {
    let triangle = Triangle::new(request, planned, &table.total);
    let mut answer = frame("retention", triangle.rows(&table.total), true, &table.stats);
    answer.insert("average".to_owned(), triangle.average(&table.total));
    if request.asked.breakdown.is_some() {
        let groups = table.groups.iter().map(|group| {
            let size: u64 = group.cohorts.iter().map(|cohort| cohort.size).sum();
            json!({
                "value": value_json(&group.value),
                "size": size,
                "retention": triangle.rows(&group.cohorts),
                "average": triangle.average(&group.cohorts),
            })
        });
        answer.insert("breakdown".to_owned(), groups.collect());
    }
    add_period(&mut answer, &request.asked.period);
    let rule = json!({
        "start_event": request.start.0,
        "return_event": request.returns.0,
        "period": period_name(request.asked.interval),
        "bucketing": if request.is_rolling { "rolling" } else { "calendar" },
        "entry": match request.entry {
            RetentionEntry::FirstTime => "first_time",
            RetentionEntry::FirstInRange => "first_in_range",
            RetentionEntry::Recurring => "recurring",
        },
        "mode": if request.mode == RetentionMode::On { "on" } else { "on_or_after" },
    });
    answer.insert("semantics".to_owned(), rule);
    answer
}

/// Which cells of a retention table are shown, have begun, and are over.
struct Triangle<'p> {
    planned: &'p PlannedRetention,
    period: &'p Period,
    has_periods: bool,
    now_ms: i64,
    /// The cohorts that are shown.
    shown: std::ops::Range<usize>,
    /// By cohort, the periods that are shown.
    columns: Vec<usize>,
    /// By cohort, the periods that are over, and were read to their end.
    finished: Vec<usize>,
}

impl<'p> Triangle<'p> {
    fn new(request: &'p RetentionRequest, planned: &'p PlannedRetention, total: &[RetentionCohort]) -> Self {
        let is_set = |cohort: &RetentionCohort| cohort.size > 0;
        let shown = shown(&request.asked.period, total.iter().position(is_set), total.iter().rposition(is_set), total.len());
        let (period, has_periods, now_ms) = (&request.asked.period, request.periods.is_some(), request.asked.now_ms);
        let mut triangle = Self { planned, period, has_periods, now_ms, shown, columns: Vec::new(), finished: Vec::new() };
        triangle.columns = (0..total.len()).map(|cohort| triangle.count_columns(cohort)).collect();
        triangle.finished = (0..total.len()).map(|cohort| triangle.count_finished(cohort)).collect();
        triangle
    }

    /// When period N of a cohort begins for the first of its persons, and is over for the last.
    fn span(&self, cohort: usize, number: usize) -> (i64, i64) {
        let labels = &self.planned.labels;
        match self.planned.plan.rolling_ms {
            None => (labels[cohort + number], labels.get(cohort + number + 1).copied().unwrap_or(i64::MAX)),
            Some(length_ms) => {
                let (first_ms, last_ms) = (labels[cohort].max(self.period.from_ms), labels[cohort + 1].min(self.period.to_ms));
                (first_ms + number as i64 * length_ms, last_ms.saturating_add((number as i64 + 1) * length_ms))
            }
        }
    }

    /// Without `periods`, those that begin in the range are shown.
    fn count_columns(&self, cohort: usize) -> usize {
        let all = self.planned.plan.max_period + 1;
        match (self.has_periods, self.planned.plan.rolling_ms) {
            (true, _) => all,
            (false, None) => self.planned.plan.cohorts - cohort,
            (false, Some(_)) => (0..all).take_while(|&number| self.span(cohort, number).0 < self.period.to_ms).count(),
        }
    }

    fn count_finished(&self, cohort: usize) -> usize {
        let known_to_ms = self.now_ms.min(self.planned.plan.returns_to_ms);
        (0..self.columns[cohort]).take_while(|&number| self.span(cohort, number).1 <= known_to_ms).count()
    }

    fn rows(&self, cohorts: &[RetentionCohort]) -> Json {
        let row = |number: usize| {
            let cohort = &cohorts[number];
            let has_begun = |period: usize| self.span(number, period).0 < self.now_ms;
            let returned = |period: usize| has_begun(period).then(|| cohort.returned[period]);
            let columns = self.columns[number];
            json!({
                "time": calendar::iso(&self.period.zone, self.planned.labels[number]),
                "size": cohort.size,
                "returned": (0..columns).map(returned).collect::<Vec<_>>(),
                "fractions": (0..columns).map(|period| returned(period).and_then(|users| fraction(users, cohort.size))).collect::<Vec<_>>(),
                "finished_periods": self.finished[number],
            })
        };
        self.shown.clone().map(row).collect()
    }

    /// Of every period, the cohorts together for which it is over.
    fn average(&self, cohorts: &[RetentionCohort]) -> Json {
        let columns = self.shown.clone().map(|cohort| self.finished[cohort]).max().unwrap_or(0);
        let of_period = |period: usize| {
            let finished = self.shown.clone().filter(|&cohort| self.finished[cohort] > period);
            finished.fold((0, 0), |(size, returned), cohort| (size + cohorts[cohort].size, returned + cohorts[cohort].returned[period]))
        };
        let sums: Vec<(u64, u64)> = (0..columns).map(of_period).collect();
        json!({
            "size": sums.iter().map(|(size, _)| *size).collect::<Vec<_>>(),
            "returned": sums.iter().map(|(_, returned)| *returned).collect::<Vec<_>>(),
            "fractions": sums.iter().map(|&(size, returned)| fraction(returned, size)).collect::<Vec<_>>(),
        })
    }
}

/// The answer to a `/lifecycle` request.
pub(crate) fn lifecycle_answer(request: &ActivityRequest, planned: &PlannedActivity, table: &ActivityTable) -> Map<String, Json> {
    let asked = &request.asked;
    let is_set = |counts: &LifecycleCounts| *counts != LifecycleCounts::default();
    let total = &table.total.lifecycle;
    let shown = shown(&asked.period, total.iter().position(is_set), total.iter().rposition(is_set), total.len());
    let rows = |group: &ActivityGroup| -> Json {
        let row = |period: usize| {
            let LifecycleCounts { new, returning, resurrected, dormant } = group.lifecycle[period];
            json!({
                "time": calendar::iso(&asked.period.zone, planned.labels[period]),
                "new": new,
                "returning": returning,
                "resurrected": resurrected,
                "dormant": -(dormant as i64),
                "finished": planned.labels[period + 1] <= asked.now_ms,
            })
        };
        shown.clone().map(row).collect()
    };
    let mut answer = frame("lifecycle", rows(&table.total), true, &table.stats);
    if asked.breakdown.is_some() {
        let groups = table.groups.iter().map(|group| json!({"value": value_of(group), "users": group.users, "lifecycle": rows(group)}));
        answer.insert("breakdown".to_owned(), groups.collect());
    }
    let (from_ms, to_ms) = (planned.labels[0], planned.labels[planned.labels.len() - 1]);
    add_period(&mut answer, &Period { from_ms, to_ms, ..asked.period.clone() });
    answer.insert("semantics".to_owned(), semantics(request));
    answer
}

/// The answer to a `/stickiness` request.
pub(crate) fn stickiness_answer(request: &ActivityRequest, planned: &PlannedActivity, table: &ActivityTable) -> Map<String, Json> {
    let asked = &request.asked;
    let most = table.total.stickiness.iter().rposition(|&users| users > 0);
    let shown = shown(&asked.period, most.map(|_| 0), most, table.total.stickiness.len());
    let rows = |group: &ActivityGroup| -> Json {
        let mut at_least = group.users;
        let row = |number: usize| {
            let users = group.stickiness[number];
            let row = json!({
                "periods": number + 1,
                "users": users,
                "fraction": fraction(users, group.users),
                "users_at_least": at_least,
            });
            at_least -= users;
            row
        };
        shown.clone().map(row).collect()
    };
    let mut answer = frame("stickiness", rows(&table.total), true, &table.stats);
    answer.insert("users".to_owned(), json!(table.total.users));
    answer.insert("finished".to_owned(), json!(planned.plan.scan.to_ms <= asked.now_ms));
    if asked.breakdown.is_some() {
        let groups = table.groups.iter().map(|group| json!({"value": value_of(group), "users": group.users, "stickiness": rows(group)}));
        answer.insert("breakdown".to_owned(), groups.collect());
    }
    add_period(&mut answer, &asked.period);
    answer.insert("semantics".to_owned(), semantics(request));
    answer
}

/// The answer to an `/active_users` request.
pub(crate) fn active_users_answer(request: &ActiveUsersRequest, planned: &PlannedActivity, table: &ActivityTable) -> Map<String, Json> {
    let asked = &request.activity.asked;
    let row = |group: &ActivityGroup, day: usize| {
        let [dau, wau, mau] = group.active[day];
        let mut row = Map::new();
        row.insert("time".to_owned(), json!(calendar::iso(&asked.period.zone, planned.labels[day])));
        if let (Some(key), Some(value)) = (&request.group_by, &group.value) {
            row.insert(key.name.clone(), value_json(value));
        }
        let numbers = [
            ("dau", json!(dau)),
            ("wau", json!(wau)),
            ("mau", json!(mau)),
            ("dau_wau", json!(fraction(dau, wau))),
            ("dau_mau", json!(fraction(dau, mau))),
            ("wau_mau", json!(fraction(wau, mau))),
            ("finished", json!(planned.labels[day + 1] <= asked.now_ms)),
        ];
        row.extend(numbers.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Json::Object(row)
    };
    let days = 0..planned.labels.len() - 1;
    let everybody = || days.clone().map(|day| row(&table.total, day)).collect::<Vec<_>>();
    let mut answer = match &request.group_by {
        None => frame("active_users", Json::Array(everybody()), true, &table.stats),
        Some(key) => {
            let of_day = |day: usize| {
                let mut groups: Vec<&ActivityGroup> = table.groups.iter().collect();
                let is_rest = |group: &ActivityGroup| group.value == Some(Value::Other);
                groups.sort_by(|a, b| {
                    let by_value = || compare_values(a.value.as_ref().unwrap_or(&Value::Null), b.value.as_ref().unwrap_or(&Value::Null));
                    is_rest(a).cmp(&is_rest(b)).then(b.active[day][0].cmp(&a.active[day][0])).then_with(by_value)
                });
                groups.into_iter().map(move |group| row(group, day)).collect::<Vec<_>>()
            };
            let mut answer = frame("active_users", days.clone().flat_map(of_day).collect(), true, &table.stats);
            answer.insert("all".to_owned(), Json::Array(everybody()));
            answer.insert("group_by".to_owned(), json!([key.name]));
            answer
        }
    };
    let (from_ms, to_ms) = (planned.labels[0], planned.labels[planned.labels.len() - 1]);
    add_period(&mut answer, &Period { from_ms, to_ms, ..asked.period.clone() });
    let windows = json!({"dau": 1, "wau": 7, "mau": 30});
    answer.insert("semantics".to_owned(), json!({"events": request.activity.events, "windows_days": windows, "days": "calendar"}));
    answer
}

fn value_of(group: &ActivityGroup) -> Json {
    value_json(group.value.as_ref().unwrap_or(&Value::Null))
}

fn semantics(request: &ActivityRequest) -> Json {
    json!({"events": request.events, "period": period_name(request.asked.interval)})
}

/// Of all time, what lies between the first and the last that has something.
fn shown(period: &Period, first: Option<usize>, last: Option<usize>, count: usize) -> std::ops::Range<usize> {
    match (period.is_all, first, last) {
        (false, ..) => 0..count,
        (true, Some(first), Some(last)) => first..last + 1,
        (true, ..) => 0..0,
    }
}

/// A part of a whole; of nothing there is none.
fn fraction(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn period_name(interval: Interval) -> &'static str {
    match interval {
        Interval::Minute => "minute",
        Interval::Hour => "hour",
        Interval::Day => "day",
        Interval::Week => "week",
        Interval::Month => "month",
    }
}

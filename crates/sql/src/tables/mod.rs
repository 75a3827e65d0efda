//! The three views, of one app and as of one moment: all that can be read.

mod batch;
mod events;
mod persons;
mod pushed;
mod sessions;
mod view;

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use event_store::{QueryContext, RowSource, ScanStats};

pub(crate) use view::View;

use crate::engine::SqlApp;
use crate::statement::{Property, Reading, VIEWS};

/// What the views of one statement share.
pub(crate) struct Shared {
    pub app: SqlApp,
    pub rows: Arc<dyn RowSource>,
    pub context: QueryContext,
    /// What was read by all of them.
    pub stats: Mutex<ScanStats>,
}

impl Shared {
    fn add(&self, stats: ScanStats) {
        let mut all = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        all.scanned_events += stats.scanned_events;
        for missing in stats.missing {
            if !all.missing.contains(&missing) {
                all.missing.push(missing);
            }
        }
    }
}

/// A column of a view.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ViewColumn {
    Event,
    Time,
    Person,
    UserId,
    AnonymousId,
    SessionId,
    InsertId,
    ReceivedAt,
    ClientTime,
    Properties,
    Property(Property),
    StartedAt,
    EndedAt,
    DurationMs,
    Events,
    FirstSeen,
    LastSeen,
}

impl ViewColumn {
    const EVENTS: [Self; 10] = [
        Self::Event,
        Self::Time,
        Self::Person,
        Self::UserId,
        Self::AnonymousId,
        Self::SessionId,
        Self::InsertId,
        Self::ReceivedAt,
        Self::ClientTime,
        Self::Properties,
    ];
    const SESSIONS: [Self; 6] = [Self::Person, Self::SessionId, Self::StartedAt, Self::EndedAt, Self::DurationMs, Self::Events];
    const PERSONS: [Self; 6] = [Self::Person, Self::UserId, Self::AnonymousId, Self::FirstSeen, Self::LastSeen, Self::Events];

    fn name(&self) -> String {
        match self {
            Self::Event => "event",
            Self::Time => "time",
            Self::Person => "person",
            Self::UserId => "user_id",
            Self::AnonymousId => "anonymous_id",
            Self::SessionId => "session_id",
            Self::InsertId => "insert_id",
            Self::ReceivedAt => "received_at",
            Self::ClientTime => "client_time",
            Self::Properties => "properties",
            Self::Property(property) => return property.column(),
            Self::StartedAt => "started_at",
            Self::EndedAt => "ended_at",
            Self::DurationMs => "duration_ms",
            Self::Events => "events",
            Self::FirstSeen => "first_seen",
            Self::LastSeen => "last_seen",
        }
        .to_owned()
    }

    fn data_type(&self, timezone: &Arc<str>) -> DataType {
        match self {
            Self::Time | Self::ReceivedAt | Self::ClientTime | Self::StartedAt | Self::EndedAt | Self::FirstSeen | Self::LastSeen => {
                DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::clone(timezone)))
            }
            Self::DurationMs | Self::Events => DataType::Int64,
            Self::Property(property) => match property.reading {
                Reading::Any | Reading::Text => DataType::Utf8,
                Reading::Number => DataType::Float64,
                Reading::Integer => DataType::Int64,
                Reading::Boolean => DataType::Boolean,
            },
            _ => DataType::Utf8,
        }
    }

    fn is_nullable(&self) -> bool {
        matches!(self, Self::Person | Self::UserId | Self::AnonymousId | Self::SessionId | Self::InsertId | Self::Property(_))
    }

    fn schema(columns: &[Self], timezone: &Arc<str>) -> SchemaRef {
        let fields: Vec<Field> =
            columns.iter().map(|column| Field::new(column.name(), column.data_type(timezone), column.is_nullable())).collect();
        Arc::new(Schema::new(fields))
    }
}

/// The views by name.
pub(crate) fn views(shared: &Arc<Shared>, properties: &[Property]) -> Vec<(&'static str, Arc<View>)> {
    let with_properties = |columns: &[ViewColumn]| {
        let mut columns = columns.to_vec();
        columns.extend(properties.iter().cloned().map(ViewColumn::Property));
        columns
    };
    let [events, sessions, persons] = VIEWS;
    vec![
        (events, View::new(view::Kind::Events, with_properties(&ViewColumn::EVENTS), shared)),
        (sessions, View::new(view::Kind::Sessions, ViewColumn::SESSIONS.to_vec(), shared)),
        (persons, View::new(view::Kind::Persons, with_properties(&ViewColumn::PERSONS), shared)),
    ]
}

//! The view `events`: a row an event.

use event_store::{Cell, Field, Filter, QueryError, RowBlock, RowsPlan, Scan};

use super::ViewColumn;
use super::batch::BatchMaker;
use super::view::{Outlet, ReadResult, Reading};

/// Reads the chosen columns of the events that the pushed conditions leave.
pub(super) fn read(reading: &Reading, outlet: &Outlet) -> ReadResult {
    let mut fields: Vec<Field> = Vec::new();
    let mut place = |field: Field| {
        fields.iter().position(|known| *known == field).unwrap_or_else(|| {
            fields.push(field);
            fields.len() - 1
        })
    };
    let columns: Vec<Column<'_>> = reading
        .columns
        .iter()
        .map(|column| match column {
            ViewColumn::Event => Column::Text(place(Field::Event)),
            ViewColumn::UserId => Column::Text(place(Field::UserId)),
            ViewColumn::AnonymousId => Column::Text(place(Field::AnonymousId)),
            ViewColumn::SessionId => Column::Text(place(Field::SessionId)),
            ViewColumn::InsertId => Column::Text(place(Field::InsertId)),
            ViewColumn::ReceivedAt => Column::Time(place(Field::ReceivedAt)),
            ViewColumn::Person => Column::Person(place(Field::UserId), place(Field::AnonymousId)),
            ViewColumn::Property(property) => Column::Property(place(Field::Property(property.name.clone())), property),
            ViewColumn::ClientTime => Column::ClientTime,
            ViewColumn::Properties => Column::Properties,
            _ => Column::EventTime,
        })
        .collect();
    let is_whole = columns.iter().any(|column| matches!(column, Column::ClientTime | Column::Properties));
    let scan = Scan {
        app: reading.shared.app.app.clone(),
        from_ms: reading.pushed.from_ms,
        to_ms: reading.pushed.to_ms,
        events: reading.pushed.events.clone(),
        filter: Filter::all(),
    };
    let plan = RowsPlan { scan, fields, is_whole };
    let context = &reading.shared.context;
    reading.shared.rows.read(&plan, context, &|block| {
        let mut maker = BatchMaker::new(&reading.schema, outlet);
        for row in 0..block.rows() {
            if row % CHECK_ROWS == 0 {
                context.check()?;
            }
            columns.iter().enumerate().for_each(|(i, column)| column.append(i, block, row, &mut maker));
            maker.end_row()?;
        }
        maker.send()
    })
}

/// Rows between two looks at the clock.
const CHECK_ROWS: usize = 1_024;

/// Where the values of a column come from.
enum Column<'c> {
    Text(usize),
    Time(usize),
    /// User id, else anonymous id.
    Person(usize, usize),
    Property(usize, &'c crate::statement::Property),
    EventTime,
    ClientTime,
    Properties,
}

impl Column<'_> {
    fn append(&self, column: usize, block: &dyn RowBlock, row: usize, maker: &mut BatchMaker<'_>) {
        match self {
            Self::Text(field) => maker.text(column, text(block.cell(*field, row))),
            Self::Time(field) => maker.integer(
                column,
                match block.cell(*field, row) {
                    Cell::Int(ms) => Some(ms),
                    // Received when it happened, as far as is known.
                    _ => Some(block.time_ms(row)),
                },
            ),
            Self::Person(user_id, anonymous_id) => maker.text(column, person(block, row, *user_id, *anonymous_id)),
            Self::Property(field, property) => maker.property(column, block.cell(*field, row), property.reading),
            Self::EventTime => maker.integer(column, Some(block.time_ms(row))),
            Self::ClientTime => maker.integer(column, Some(block.client_time_ms(row))),
            Self::Properties => maker.text(column, Some(&block.properties_json(row))),
        }
    }
}

/// The text of a cell that can only be text.
pub(super) fn text(cell: Cell<'_>) -> Option<&str> {
    match cell {
        Cell::Text(text) => Some(text),
        _ => None,
    }
}

/// The person of an event by name.
pub(super) fn person(block: &dyn RowBlock, row: usize, user_id: usize, anonymous_id: usize) -> Option<&str> {
    block.person(row)?;
    block.linked_id(row).or_else(|| text(block.cell(user_id, row))).or_else(|| text(block.cell(anonymous_id, row)))
}

/// The plan that reads these fields of all of an app's events.
pub(super) fn all_events(reading: &Reading, fields: Vec<Field>) -> RowsPlan {
    let app = reading.shared.app.app.clone();
    let scan = Scan { app, from_ms: i64::MIN, to_ms: i64::MAX, events: None, filter: Filter::all() };
    RowsPlan { scan, fields, is_whole: false }
}

/// A visit that looks at the clock now and then.
pub(super) fn each_row(
    reading: &Reading,
    block: &dyn RowBlock,
    mut each: impl FnMut(usize) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    for row in 0..block.rows() {
        if row % CHECK_ROWS == 0 {
            reading.shared.context.check()?;
        }
        each(row)?;
    }
    Ok(())
}

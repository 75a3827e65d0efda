/// The properties that name the page of an event, the first one that is set counts.
pub const PAGE_PROPERTIES: [&str; 2] = ["url", "path"];

/// The page of an event: its first of [`PAGE_PROPERTIES`] that is set, when it is text.
///
/// `values` are those of [`PAGE_PROPERTIES`] in their order: `None` where not set or null, `Some(None)` where set and no text. Live
/// windows from events and those that are built again from stored columns both ask here, since they must be the same.
pub fn page_of<T>(values: impl IntoIterator<Item = Option<Option<T>>>) -> Option<T> {
    values.into_iter().flatten().next().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_set_counts_also_where_it_is_no_text() {
        assert_eq!(page_of([Some(Some("u")), Some(Some("p"))]), Some("u"));
        assert_eq!(page_of([None, Some(Some("p"))]), Some("p"));
        assert_eq!(page_of([Some(None), Some(Some("p"))]), None);
        assert_eq!(page_of::<&str>([None, None]), None);
    }
}

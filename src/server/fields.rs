//! Lets the gate keep the fields that nobody declared in the state's store.

use std::sync::Arc;

use crate::proxy::{FieldStore, FieldStoreError, FieldStoreFuture, KnownFields, UnknownField};
use crate::state::{FieldRow, StateError, Store};

/// The table of the state folder.
struct StoredFields(Store);

/// What was kept, and where more is kept.
pub(super) async fn known_fields(store: Store) -> Result<KnownFields, StateError> {
    let rows = store.unknown_fields().await?;
    let at_start = rows.into_iter().map(|row| UnknownField {
        route: row.route,
        field: row.field,
        days: (row.first_day, row.last_day),
        answers: row.answers,
    });
    Ok(KnownFields { at_start: at_start.collect(), store: Arc::new(StoredFields(store)) })
}

impl FieldStore for StoredFields {
    fn keep(&self, fields: Vec<UnknownField>) -> FieldStoreFuture<'_> {
        Box::pin(async move {
            let rows = fields.into_iter().map(|field| FieldRow {
                route: field.route,
                field: field.field,
                first_day: field.days.0,
                last_day: field.days.1,
                answers: field.answers,
            });
            let kept = self.0.keep_unknown_fields(rows.collect()).await;
            kept.map_err(|error| FieldStoreError(Box::new(error)))
        })
    }
}

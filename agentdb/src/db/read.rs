//! Reading what was committed.

use super::{Agent, AgentDb, Change, agent, decode};
use crate::document::Document;
use crate::error::Result;
use crate::event::{Priority, Sequence, StoredEvent, SyncStatus};
use crate::query::{Query, run};
use crate::storage::{Backlog, EventFilter};

impl AgentDb {
    /// A document; none when it is not there. One look-up.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::Damaged`](crate::Error::Damaged).
    pub fn get(&self, id: &str) -> Result<Option<Agent>> {
        self.lookup(|rows| rows.document(id))?
            .map(agent)
            .transpose()
    }

    /// The documents of a schema that satisfy a query such as `battery < 20 && status != 'charging'`, by
    /// id. For an order, a limit or an explanation see [`find`](Self::find).
    ///
    /// # Errors
    /// [`Error::Query`](crate::Error::Query) with the column, [`Error::Store`](crate::Error::Store),
    /// [`Error::Damaged`](crate::Error::Damaged).
    pub fn query(&self, schema: &str, text: &str) -> Result<Vec<Agent>> {
        self.find(schema, text)?.run()
    }

    /// A query over the documents of a schema, to be ordered, limited and [run](Query::run).
    ///
    /// # Errors
    /// [`Error::Query`](crate::Error::Query) with the column.
    pub fn find(&self, schema: &str, text: &str) -> Result<Query<'_>> {
        Query::new(self, schema, text)
    }

    /// All documents of a schema, to be ordered and limited.
    pub fn all(&self, schema: &str) -> Query<'_> {
        Query::all(self, schema)
    }

    /// Runs a plan over what was committed.
    pub(crate) fn run(&self, plan: &run::Plan) -> Result<Vec<Agent>> {
        let rows = self.rows(|rows| run::rows(rows, plan))?;
        rows.into_iter().map(agent).collect()
    }

    /// Counts what a plan finds.
    pub(crate) fn count(&self, plan: &run::Plan) -> Result<usize> {
        self.rows(|rows| run::rows(rows, plan))
            .map(|rows| rows.len())
    }

    /// The mergeable form of a document, to send to another replica. What is not [durable](Self::durable)
    /// yet must not be sent.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::Damaged`](crate::Error::Damaged).
    pub fn document(&self, id: &str) -> Result<Option<Document>> {
        let row = self.lookup(|rows| rows.document(id))?;
        row.map(|row| {
            let mut document = decode(id, &row.crdt)?;
            // Stamps that this device's clock made before it was set right are told to be wrong.
            if let Some(now) = self.inner.shared.now() {
                document.mark_after(now.after(self.inner.options.clock_ahead_max));
            }
            Ok(document)
        })
        .transpose()
    }

    /// Up to `limit` documents that were changed after a place: id and place of the last change of each, in
    /// the order of these.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn changes_after(&self, after: Change, limit: usize) -> Result<Vec<(String, Change)>> {
        let changes = self.rows(|rows| rows.changes(after.get(), limit))?;
        Ok(changes
            .into_iter()
            .map(|(id, number)| (id, Change::new(number)))
            .collect())
    }

    /// Up to `limit` ids of documents above `after`, in order.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn ids_after(&self, after: &str, limit: usize) -> Result<Vec<String>> {
        let after = Some(after).filter(|after| !after.is_empty());
        let rows = self.rows(|rows| rows.documents(None, after, limit))?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }

    /// Up to `limit` events after a place that a filter lets through, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::Damaged`](crate::Error::Damaged).
    pub fn events(
        &self,
        filter: &EventFilter<'_>,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredEvent>> {
        self.rows(|rows| rows.events(filter, after, limit))
    }

    /// Up to `limit` events after a place, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::Damaged`](crate::Error::Damaged).
    pub fn events_after(&self, after: Sequence, limit: usize) -> Result<Vec<StoredEvent>> {
        self.events(&EventFilter::default(), after, limit)
    }

    /// Up to `limit` events of one type after a place, oldest first. Indexed.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::Damaged`](crate::Error::Damaged).
    pub fn events_of_type_after(
        &self,
        event_type: &str,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredEvent>> {
        let filter = EventFilter {
            event_type: Some(event_type),
            ..EventFilter::default()
        };
        self.events(&filter, after, limit)
    }

    /// Up to `limit` events after a place that wait for their receiver, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::Damaged`](crate::Error::Damaged).
    pub fn waiting_after(&self, after: Sequence, limit: usize) -> Result<Vec<StoredEvent>> {
        let filter = EventFilter {
            status: Some(SyncStatus::Waiting),
            ..EventFilter::default()
        };
        self.events(&filter, after, limit)
    }

    /// How many events wait for their receiver.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn waiting(&self) -> Result<u64> {
        let mut count = 0;
        for priority in Priority::ALL {
            count += self.backlog(priority)?.count;
        }
        Ok(count)
    }

    /// The events of a priority that wait for their receiver.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn backlog(&self, priority: Priority) -> Result<Backlog> {
        self.rows(|rows| rows.backlog(priority))
    }

    /// The last event's place; 0 without any.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn last_event(&self) -> Result<Sequence> {
        self.lookup(|rows| rows.last())
            .map(|last| Sequence::new(last.event))
    }

    /// An opaque record; none when it is not there.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn get_record(&self, namespace: &str, key: &str) -> Result<Option<Vec<u8>>> {
        self.lookup(|rows| rows.record(namespace, key))
    }

    /// Up to `limit` records of a namespace above `after`, by key.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn scan_records(
        &self,
        namespace: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        self.rows(|rows| rows.records(namespace, after, limit))
    }
}

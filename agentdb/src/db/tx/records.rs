//! Opaque records of a transaction.

use super::{PAGE, Tx};
use crate::db::{RECORD_BYTES_MAX, check_id};
use crate::error::{Error, Result};

impl Tx<'_> {
    /// Sets an opaque record: the journal of another library, say, in the transaction of the state it is
    /// about.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn put_record(&mut self, namespace: &str, key: &str, value: &[u8]) -> Result<()> {
        check_id(namespace)?;
        check_id(key)?;
        if value.len() > RECORD_BYTES_MAX {
            return Err(Error::Limit {
                what: "length of a record in bytes",
                found: value.len(),
                limit: RECORD_BYTES_MAX,
            });
        }
        self.set_record(namespace, key, Some(value.to_vec()));
        Ok(())
    }

    fn set_record(&mut self, namespace: &str, key: &str, value: Option<Vec<u8>>) {
        let key = (namespace.to_owned(), key.to_owned());
        self.batch.records.insert(key, value);
    }

    /// A record as this transaction sees it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn get_record(&self, namespace: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let pending = self
            .batch
            .records
            .get(&(namespace.to_owned(), key.to_owned()));
        match pending {
            Some(value) => Ok(value.clone()),
            None => self.writer()?.storage.record(namespace, key),
        }
    }

    /// Removes the records from `from` up to, but not including, `below`; returns how many.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn delete_records(&mut self, namespace: &str, from: &str, below: &str) -> Result<usize> {
        let mut keys = std::collections::BTreeSet::new();
        if from < below && self.writer()?.storage.record(namespace, from)?.is_some() {
            keys.insert(from.to_owned());
        }
        let mut after = from.to_owned();
        'pages: loop {
            let page = self.writer()?.storage.records(namespace, &after, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = last.clone();
            for (key, _) in page {
                if key.as_str() >= below {
                    break 'pages;
                }
                keys.insert(key);
            }
        }
        for ((of, key), value) in &self.batch.records {
            if of == namespace && key.as_str() >= from && key.as_str() < below {
                match value {
                    Some(_) => keys.insert(key.clone()),
                    None => keys.remove(key),
                };
            }
        }
        for key in &keys {
            self.set_record(namespace, key, None);
        }
        Ok(keys.len())
    }

    /// Removes a record; absent is fine.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn delete_record(&mut self, namespace: &str, key: &str) -> Result<()> {
        check_id(namespace)?;
        self.set_record(namespace, key, None);
        Ok(())
    }
}

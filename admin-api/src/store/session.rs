//! One transaction on either database, and values going in and out of it.
//!
//! Queries are written once, with `$1` placeholders, which both databases take. Three types of
//! value suffice (integer, text, bytes), so the drivers' generics end here.

use std::fmt::Display;
use std::str::FromStr;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Postgres, Row, SqlSafeStr, Sqlite, Transaction};

use super::StoreError;

/// A value bound to a placeholder.
#[derive(Clone)]
pub(crate) enum Bind {
    Bytes(Option<Vec<u8>>),
    Int(Option<i64>),
    Text(Option<String>),
}

impl Bind {
    /// A key or another value that is stored as its text.
    pub(crate) fn text(value: impl Display) -> Self {
        Self::Text(Some(value.to_string()))
    }

    pub(crate) fn optional_text(value: Option<impl Display>) -> Self {
        Self::Text(value.map(|value| value.to_string()))
    }

    pub(crate) fn bytes(value: impl AsRef<[u8]>) -> Self {
        Self::Bytes(Some(value.as_ref().to_vec()))
    }

    pub(crate) fn optional_bytes(value: Option<impl AsRef<[u8]>>) -> Self {
        Self::Bytes(value.map(|value| value.as_ref().to_vec()))
    }

    /// JSON, stored as text.
    pub(crate) fn json<T: Into<serde_json::Value> + Clone>(value: &T) -> Self {
        Self::text(value.clone().into())
    }

    pub(crate) fn optional_json(value: Option<&serde_json::Value>) -> Self {
        Self::optional_text(value)
    }

    /// A list of keys, stored as a JSON array of their texts.
    pub(crate) fn texts<T: ToString>(values: &[T]) -> Self {
        Self::text(serde_json::Value::from(values.iter().map(T::to_string).collect::<Vec<_>>()))
    }
}

impl From<i64> for Bind {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<u32> for Bind {
    fn from(value: u32) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}

impl From<Option<i64>> for Bind {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

/// A row read from either database. Columns are read by name.
pub(crate) enum Record {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

/// Reads one column of the row, whichever database it came from.
macro_rules! column {
    ($record:expr, $table:expr, $column:expr) => {
        match $record {
            Record::Postgres(row) => row.try_get($column),
            Record::Sqlite(row) => row.try_get($column),
        }
        .map_err(|error| StoreError::damaged($table, $column, error))
    };
}

impl Record {
    pub(crate) fn int(&self, table: &'static str, column: &'static str) -> Result<i64, StoreError> {
        column!(self, table, column)
    }

    pub(crate) fn optional_int(&self, table: &'static str, column: &'static str) -> Result<Option<i64>, StoreError> {
        column!(self, table, column)
    }

    pub(crate) fn string(&self, table: &'static str, column: &'static str) -> Result<String, StoreError> {
        column!(self, table, column)
    }

    pub(crate) fn optional_string(
        &self,
        table: &'static str,
        column: &'static str,
    ) -> Result<Option<String>, StoreError> {
        column!(self, table, column)
    }

    pub(crate) fn bytes(&self, table: &'static str, column: &'static str) -> Result<Vec<u8>, StoreError> {
        column!(self, table, column)
    }

    pub(crate) fn optional_bytes(
        &self,
        table: &'static str,
        column: &'static str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        column!(self, table, column)
    }

    /// A text column, parsed as what it must be.
    pub(crate) fn parse<T>(&self, table: &'static str, column: &'static str) -> Result<T, StoreError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.string(table, column)?;
        text.parse().map_err(|error: T::Err| StoreError::damaged(table, column, error))
    }

    /// A nullable text column, parsed as what it must be.
    pub(crate) fn optional_parse<T>(&self, table: &'static str, column: &'static str) -> Result<Option<T>, StoreError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.optional_string(table, column)?;
        text.map(|text| text.parse().map_err(|error: T::Err| StoreError::damaged(table, column, error))).transpose()
    }

    /// A column of exactly 32 bytes.
    pub(crate) fn digest(&self, table: &'static str, column: &'static str) -> Result<[u8; 32], StoreError> {
        let bytes = self.bytes(table, column)?;
        <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_| StoreError::damaged(table, column, format!("{} bytes instead of 32", bytes.len())))
    }

    /// A text column that holds JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(
        &self,
        table: &'static str,
        column: &'static str,
    ) -> Result<T, StoreError> {
        let text = self.string(table, column)?;
        serde_json::from_str(&text).map_err(|error| StoreError::damaged(table, column, error))
    }
}

impl Record {
    /// A nullable text column that holds JSON.
    pub(crate) fn optional_json(
        &self,
        table: &'static str,
        column: &'static str,
    ) -> Result<Option<serde_json::Value>, StoreError> {
        let text = self.optional_string(table, column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| StoreError::damaged(table, column, error)))
            .transpose()
    }

    /// A text column that holds a JSON array of texts, each parsed as what it must be.
    pub(crate) fn json_parsed<T>(&self, table: &'static str, column: &'static str) -> Result<Vec<T>, StoreError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let texts: Vec<String> = self.json(table, column)?;
        texts
            .iter()
            .map(|text| text.parse().map_err(|error: T::Err| StoreError::damaged(table, column, error)))
            .collect()
    }
}

/// The transaction itself.
enum Link {
    Postgres(Transaction<'static, Postgres>),
    Sqlite(Transaction<'static, Sqlite>),
}

/// A transaction that repositories borrow.
pub(crate) struct Session {
    link: Link,
    unit: &'static str,
    spoiled: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Session").field("unit", &self.unit).finish_non_exhaustive()
    }
}

macro_rules! bound {
    ($sql:expr, $binds:expr) => {{
        let mut query = sqlx::query($sql);
        for bind in $binds {
            query = match bind {
                Bind::Bytes(value) => query.bind(value),
                Bind::Int(value) => query.bind(value),
                Bind::Text(value) => query.bind(value),
            };
        }
        query
    }};
}

// The drivers' futures are boxed: they are large, and a handler holds many of them.

impl Session {
    pub(crate) fn postgres(unit: &'static str, transaction: Transaction<'static, Postgres>) -> Self {
        Self { link: Link::Postgres(transaction), unit, spoiled: false }
    }

    pub(crate) fn sqlite(unit: &'static str, transaction: Transaction<'static, Sqlite>) -> Self {
        Self { link: Link::Sqlite(transaction), unit, spoiled: false }
    }

    /// Runs a statement and says how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: impl SqlSafeStr,
        binds: impl IntoIterator<Item = Bind>,
    ) -> Result<u64, StoreError> {
        let result = match &mut self.link {
            Link::Postgres(link) => {
                Box::pin(bound!(sql, binds).execute(&mut **link)).await.map(|done| done.rows_affected())
            }
            Link::Sqlite(link) => {
                Box::pin(bound!(sql, binds).execute(&mut **link)).await.map(|done| done.rows_affected())
            }
        };
        result.map_err(|error| self.failed(error))
    }

    /// Reads all rows of a query; the query itself bounds how many.
    pub(crate) async fn rows(
        &mut self,
        sql: impl SqlSafeStr,
        binds: impl IntoIterator<Item = Bind>,
    ) -> Result<Vec<Record>, StoreError> {
        let result = match &mut self.link {
            Link::Postgres(link) => Box::pin(bound!(sql, binds).fetch_all(&mut **link))
                .await
                .map(|rows| rows.into_iter().map(Record::Postgres).collect()),
            Link::Sqlite(link) => Box::pin(bound!(sql, binds).fetch_all(&mut **link))
                .await
                .map(|rows| rows.into_iter().map(Record::Sqlite).collect()),
        };
        result.map_err(|error| self.failed(error))
    }

    /// Reads at most one row.
    pub(crate) async fn row(
        &mut self,
        sql: impl SqlSafeStr,
        binds: impl IntoIterator<Item = Bind>,
    ) -> Result<Option<Record>, StoreError> {
        let result = match &mut self.link {
            Link::Postgres(link) => {
                Box::pin(bound!(sql, binds).fetch_optional(&mut **link)).await.map(|row| row.map(Record::Postgres))
            }
            Link::Sqlite(link) => {
                Box::pin(bound!(sql, binds).fetch_optional(&mut **link)).await.map(|row| row.map(Record::Sqlite))
            }
        };
        result.map_err(|error| self.failed(error))
    }

    /// Runs a statement that must insert exactly one row (`on conflict do nothing`).
    pub(crate) async fn insert(
        &mut self,
        table: &'static str,
        key: impl Display,
        sql: &'static str,
        binds: impl IntoIterator<Item = Bind>,
    ) -> Result<(), StoreError> {
        match self.execute(sql, binds).await? {
            0 => Err(StoreError::AlreadyExists { table, key: key.to_string() }),
            _ => Ok(()),
        }
    }

    /// Runs a statement that must change exactly one row of the expected version.
    pub(crate) async fn update(
        &mut self,
        table: &'static str,
        key: impl Display,
        sql: &'static str,
        binds: impl IntoIterator<Item = Bind>,
    ) -> Result<(), StoreError> {
        match self.execute(sql, binds).await {
            Ok(1) => Ok(()),
            Ok(_) => Err(StoreError::VersionConflict { table, key: key.to_string() }),
            Err(StoreError::Database { source: sqlx::Error::Database(error), .. }) if error.is_unique_violation() => {
                Err(StoreError::AlreadyExists { table, key: key.to_string() })
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let unit = self.unit;
        if self.spoiled {
            return Err(StoreError::Spoiled { unit });
        }
        match self.link {
            Link::Postgres(link) => link.commit().await,
            Link::Sqlite(link) => link.commit().await,
        }
        .map_err(|source| StoreError::Database { unit, source })
    }

    fn failed(&mut self, source: sqlx::Error) -> StoreError {
        self.spoiled = true;
        StoreError::Database { unit: self.unit, source }
    }
}

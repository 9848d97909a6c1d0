//! Seals what older keys sealed with the current one, a few values at a time, beside the running server.
//!
//! How far it came is in the values themselves: each names its key. A pass that ends in the middle is begun again, and passes over what is
//! done already. Each value is one statement, which does nothing if the value was written anew meanwhile: no lock is held from one to the
//! next, and nobody waits for more than one.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lanyard_pki::seal::{KeyId, sealed_with};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};
use serde_json::Value as Json;

use crate::entity::scep_transaction;
use crate::instant::to_millis;
use crate::sealed::Cell;
use crate::settings::PROOF_CELL;
use crate::transactions::TransactionState;
use crate::{Store, StoreError, page};

/// A column with sealed values.
struct Column {
    table: &'static str,
    column: &'static str,
    /// The columns of the primary key, in the order in which a [`Cell`] has them.
    key: &'static [&'static str],
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The sealed octets.
    Octets,
    /// JSON: a text, their base64. What is no text was never sealed. Such values are written once and never changed.
    Text,
}

/// Every column with sealed values, but for the proof of the key.
const SEALED: [Column; 11] = [
    octets("enrollment", "token", &["id"]),
    octets("enrollment", "push_magic", &["id"]),
    octets("enrollment", "unlock_token", &["id"]),
    octets("command", "payload", &["enrollment_id", "uuid"]),
    octets("command", "result", &["enrollment_id", "uuid"]),
    octets(
        "scep_transaction",
        "request",
        &["endpoint", "transaction_id", "signer_spki"],
    ),
    octets("sign_in_step", "content", &["ticket_hash"]),
    octets("decision", "tape", &["id"]),
    text("decision", "question"),
    text("decision", "opinions"),
    text("decision", "outcome"),
];

const fn octets(table: &'static str, column: &'static str, key: &'static [&'static str]) -> Column {
    Column {
        table,
        column,
        key,
        form: Form::Octets,
    }
}

const fn text(table: &'static str, column: &'static str) -> Column {
    Column {
        table,
        column,
        key: &["id"],
        form: Form::Text,
    }
}

/// Whether a cell is of a column that is sealed anew after a rotation.
pub(crate) fn covers(cell: Cell<'_>) -> bool {
    let is = |table, column| cell.table == table && cell.column == column;
    is(PROOF_CELL.table, PROOF_CELL.column) || SEALED.iter().any(|each| is(each.table, each.column))
}

/// How far a pass over all sealed values came.
#[derive(Debug, Default)]
pub struct Resealing {
    column: usize,
    /// The key of the last row that was looked at.
    after: Option<Vec<String>>,
    /// How many values were sealed anew.
    pub resealed: u64,
}

impl Resealing {
    /// Whether every value was looked at.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.column == SEALED.len()
    }
}

/// How many values are sealed with which key.
pub type Sealed = BTreeMap<KeyId, u64>;

impl Store {
    /// Goes on with a pass: looks at no more than `limit` values (and [`MAX_PAGE`](crate::MAX_PAGE)), and seals those anew that another
    /// key than the current one sealed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] for a value that does not open, [`StoreError::Database`].
    pub async fn reseal(&self, pass: &mut Resealing, limit: u64) -> Result<(), StoreError> {
        let Some(column) = SEALED.get(pass.column) else {
            return Ok(());
        };
        let limit = page(limit);
        let rows = self.headers(column, pass.after.as_deref(), limit).await?;
        let current = self.sealing.current();
        for (key, sealed_with) in &rows {
            if sealed_with.is_some_and(|id| id != current) {
                pass.resealed += u64::from(self.reseal_one(column, key).await?);
            }
        }
        if (rows.len() as u64) < limit {
            pass.column += 1;
            pass.after = None;
        } else {
            pass.after = rows.into_iter().last().map(|(key, _)| key);
        }
        Ok(())
    }

    /// How many values each key sealed. Reads the head of every sealed value: for an operator who asks, not for a request.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn sealed(&self) -> Result<Sealed, StoreError> {
        let mut sealed = Sealed::new();
        for column in &SEALED {
            let Column {
                table,
                column: name,
                ..
            } = column;
            let header = column.header();
            let sql = format!(
                "SELECT {header} AS header, COUNT(*) AS count FROM {table} WHERE {name} IS NOT NULL GROUP BY {header}"
            );
            for row in self.query(sql, Vec::new()).await? {
                let count: i64 = row.try_get("", "count")?;
                if let Some(id) = column.read_header(&row, 0)? {
                    *sealed.entry(id).or_default() += count.unsigned_abs();
                }
            }
        }
        Ok(sealed)
    }

    /// Whether a request of before that time waits for its decision. The challenge inside of it counts under the keys of then.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn requests_wait_from_before(
        &self,
        time: std::time::SystemTime,
    ) -> Result<bool, StoreError> {
        use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
        let waiting = scep_transaction::Entity::find()
            .filter(scep_transaction::Column::State.eq(TransactionState::Pending.as_str()))
            .filter(scep_transaction::Column::CreatedAt.lt(to_millis(time)))
            .count(&self.reader)
            .await?;
        Ok(waiting > 0)
    }

    /// The keys of the rows after one, and with what their values are sealed.
    async fn headers(
        &self,
        column: &Column,
        after: Option<&[String]>,
        limit: u64,
    ) -> Result<Vec<(Vec<String>, Option<KeyId>)>, StoreError> {
        let Column {
            table,
            column: name,
            key,
            ..
        } = column;
        let (keys, header) = (key.join(", "), column.header());
        let from = match after {
            Some(_) => format!("AND ({keys}) > ({})", parameters(key.len())),
            None => String::new(),
        };
        let sql = format!(
            "SELECT {keys}, {header} FROM {table} WHERE {name} IS NOT NULL {from} ORDER BY {keys} LIMIT {limit}"
        );
        let after = after.unwrap_or_default().iter();
        let rows = self.query(sql, after.map(|part| part.as_str().into()).collect());
        let read = |row: QueryResult| {
            let parts = (0..key.len()).map(|index| row.try_get_by_index::<String>(index));
            let header = column.read_header(&row, key.len())?;
            Ok((parts.collect::<Result<_, DbErr>>()?, header))
        };
        rows.await?.into_iter().map(read).collect()
    }

    /// Whether the value was there still, as it was read.
    async fn reseal_one(&self, column: &Column, key: &[String]) -> Result<bool, StoreError> {
        let Column {
            table,
            column: name,
            ..
        } = column;
        let keys: Vec<&str> = key.iter().map(String::as_str).collect();
        let cell = Cell {
            table,
            column: name,
            key: &keys,
        };
        let is_row = |first| {
            let parts = column.key.iter().enumerate();
            let parts = parts.map(|(index, part)| format!("{part} = ${}", first + index));
            parts.collect::<Vec<_>>().join(" AND ")
        };
        let values = || keys.iter().map(|part| Value::from(*part));
        let sql = format!(
            "SELECT {name} FROM {table} WHERE {} AND {name} IS NOT NULL",
            is_row(1)
        );
        let Some(row) = self.query(sql, values().collect()).await?.pop() else {
            return Ok(false);
        };
        let (sql, mut bound) = match column.form {
            Form::Octets => {
                let sealed: Vec<u8> = row.try_get_by_index(0)?;
                let anew = self.seal(cell, self.unseal(cell, &sealed)?.expose());
                let sql = format!(
                    "UPDATE {table} SET {name} = $1 WHERE {name} = $2 AND {}",
                    is_row(3)
                );
                (sql, vec![anew.into(), sealed.into()])
            }
            Form::Text => {
                let Json::String(text) = row.try_get_by_index(0)? else {
                    return Ok(false);
                };
                let sealed = STANDARD.decode(text).map_err(|_| StoreError::Damaged {
                    table,
                    what: format!("{} is not base64", cell.context()),
                })?;
                let anew = self.seal(cell, self.unseal(cell, &sealed)?.expose());
                let sql = format!("UPDATE {table} SET {name} = $1 WHERE {}", is_row(2));
                (sql, vec![Json::String(STANDARD.encode(anew)).into()])
            }
        };
        bound.extend(values());
        let writer = self.writer()?;
        let statement = Statement::from_sql_and_values(writer.get_database_backend(), sql, bound);
        Ok(writer.execute_raw(statement).await?.rows_affected() > 0)
    }

    async fn query(&self, sql: String, values: Vec<Value>) -> Result<Vec<QueryResult>, StoreError> {
        let backend = self.reader.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, sql, values);
        Ok(self.reader.query_all_raw(statement).await?)
    }
}

impl Column {
    /// As much of a value as names its key: five octets; of a text, the quotation mark and the base64 of six.
    fn header(&self) -> String {
        match self.form {
            Form::Octets => format!("substr({}, 1, 5)", self.column),
            Form::Text => format!("substr(CAST({} AS TEXT), 1, 9)", self.column),
        }
    }

    fn read_header(&self, row: &QueryResult, index: usize) -> Result<Option<KeyId>, DbErr> {
        Ok(match self.form {
            Form::Octets => sealed_with(&row.try_get_by_index::<Vec<u8>>(index)?),
            Form::Text => {
                let text: String = row.try_get_by_index(index)?;
                let sealed = text.strip_prefix('"').map(|text| STANDARD.decode(text));
                sealed.and_then(|sealed| sealed_with(&sealed.ok()?))
            }
        })
    }
}

/// `$1, $2` …
fn parameters(count: usize) -> String {
    let all = (1..=count).map(|number| format!("${number}"));
    all.collect::<Vec<_>>().join(", ")
}

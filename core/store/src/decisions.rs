//! Decision records: what a plugin was asked, and what came of it. Where a decision changes something, its record is written in the
//! transaction that changes it.

use std::time::SystemTime;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde_json::Value;

use crate::entity::decision::{Column, Entity, Model};
use crate::instant::{from_millis, to_millis};
use crate::sealed::Cell;
use crate::{Store, StoreError, page};

/// A decision that plugins took part in. What was asked, said and answered is sealed in the database: it holds what directories say of
/// persons, and what a sign-in leaves behind between two steps.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRecord {
    /// Its id, a UUID.
    pub id: String,
    /// The hook point.
    pub hook: String,
    /// When it was asked.
    pub at: SystemTime,
    /// The enrollment session or the enrollment that it is about.
    pub subject: Option<String>,
    /// The serial number of the certificate that it led to, lower-case hex.
    pub serial: Option<String>,
    /// The policy revision that was in force.
    pub policy: Option<i64>,
    /// What was asked; secrets are redacted.
    pub question: Value,
    /// What each binding said, in order.
    pub opinions: Value,
    /// What came of it: the verdict, or the failure.
    pub outcome: Value,
    /// What each call used up.
    pub used: Value,
    /// What the host answered to each call, in the same order: JSON.
    pub tape: Vec<u8>,
    /// The decision that this one was made beside, if its binding is on trial and changes nothing; of an event, the event's id.
    pub beside: Option<String>,
}

/// Which records are listed.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecisionFilter<'a> {
    /// Of one hook point.
    pub hook: Option<&'a str>,
    /// About one subject.
    pub subject: Option<&'a str>,
    /// From this time on.
    pub since: Option<SystemTime>,
    /// After this record in the list's order: the next page.
    pub after: Option<&'a str>,
}

impl Store {
    /// The same store, whose next use case writes this record in its own transaction: [`Store::issue`], [`Store::identify_session`],
    /// [`Store::enqueue`].
    #[must_use]
    pub fn recording(&self, record: DecisionRecord) -> Self {
        let mut store = self.clone();
        store.record = Some(record);
        store
    }

    /// Writes a record of a decision that changes nothing else.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    #[tracing::instrument(name = "store: keep decision", level = "debug", skip_all)]
    pub async fn keep_decision(&self, record: &DecisionRecord) -> Result<(), StoreError> {
        self.insert_decision(self.writer()?, record).await
    }

    /// Records by time, latest first, at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)).
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; [`StoreError::Damaged`] for a record that does not open.
    pub async fn list_decisions(
        &self,
        filter: DecisionFilter<'_>,
        limit: u64,
    ) -> Result<Vec<DecisionRecord>, StoreError> {
        let mut query = Entity::find();
        if let Some(hook) = filter.hook {
            query = query.filter(Column::Hook.eq(hook));
        }
        if let Some(subject) = filter.subject {
            query = query.filter(Column::Subject.eq(subject));
        }
        if let Some(since) = filter.since {
            query = query.filter(Column::At.gte(to_millis(since)));
        }
        if let Some(after) = filter.after
            && let Some(last) = Entity::find_by_id(after).one(&self.reader).await?
        {
            let same_time = Condition::all()
                .add(Column::At.eq(last.at))
                .add(Column::Id.lt(last.id));
            query = query.filter(Condition::any().add(Column::At.lt(last.at)).add(same_time));
        }
        let rows = query
            .order_by_desc(Column::At)
            .order_by_desc(Column::Id)
            .limit(page(limit))
            .all(&self.reader)
            .await?;
        rows.into_iter()
            .map(|row| self.decision_record(row))
            .collect()
    }

    /// A record by its id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; [`StoreError::Damaged`] for one that does not open.
    pub async fn find_decision(&self, id: &str) -> Result<Option<DecisionRecord>, StoreError> {
        let row = Entity::find_by_id(id.to_owned()).one(&self.reader).await?;
        row.map(|row| self.decision_record(row)).transpose()
    }

    /// Forgets at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)) records from before `until`; how many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forget_decisions(&self, until: SystemTime, limit: u64) -> Result<u64, StoreError> {
        let tx = self.begin().await?;
        let old: Vec<String> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::At.lt(to_millis(until)))
            .limit(page(limit))
            .into_tuple()
            .all(&tx)
            .await?;
        let result = Entity::delete_many()
            .filter(Column::Id.is_in(old))
            .exec(&tx)
            .await?;
        tx.commit().await?;
        Ok(result.rows_affected)
    }

    /// Writes the record that the next use case was to write, if there is one.
    pub(crate) async fn write_record(&self, tx: &impl ConnectionTrait) -> Result<(), StoreError> {
        match &self.record {
            Some(record) => self.insert_decision(tx, record).await,
            None => Ok(()),
        }
    }

    async fn insert_decision(
        &self,
        db: &impl ConnectionTrait,
        record: &DecisionRecord,
    ) -> Result<(), StoreError> {
        let row = Model {
            id: record.id.clone(),
            hook: record.hook.clone(),
            at: to_millis(record.at),
            subject: record.subject.clone(),
            serial: record.serial.clone(),
            policy: record.policy,
            question: self.seal_json("question", &record.id, &record.question),
            opinions: self.seal_json("opinions", &record.id, &record.opinions),
            outcome: self.seal_json("outcome", &record.id, &record.outcome),
            used: record.used.clone(),
            tape: (!record.tape.is_empty())
                .then(|| self.seal(cell("tape", &[&record.id]), &record.tape)),
            beside: record.beside.clone(),
        };
        // An event that is told again is the same decision: what was recorded first stands.
        let mut keep = OnConflict::column(Column::Id);
        keep.do_nothing();
        Entity::insert(row.into_active_model())
            .on_conflict(keep)
            .exec_without_returning(db)
            .await?;
        Ok(())
    }

    /// A sealed value in a column of JSON is a text, base64; what is sealed never is one, so that a record from before these columns
    /// were sealed is told apart.
    fn seal_json(&self, column: &'static str, id: &str, value: &Value) -> Value {
        let sealed = self.seal(cell(column, &[id]), value.to_string().as_bytes());
        Value::String(STANDARD.encode(sealed))
    }

    fn unseal_json(
        &self,
        column: &'static str,
        id: &str,
        stored: Value,
    ) -> Result<Value, StoreError> {
        let Value::String(sealed) = stored else {
            return Ok(stored);
        };
        let damaged = |what: &str| StoreError::Damaged {
            table: "decision",
            what: format!("{column} of {id} {what}"),
        };
        let sealed = STANDARD
            .decode(sealed)
            .map_err(|_| damaged("is not base64"))?;
        let opened = self.unseal(cell(column, &[id]), &sealed)?;
        serde_json::from_slice(opened.expose()).map_err(|_| damaged("is not JSON"))
    }

    fn decision_record(&self, row: Model) -> Result<DecisionRecord, StoreError> {
        let tape = match &row.tape {
            Some(sealed) => self
                .unseal(cell("tape", &[&row.id]), sealed)?
                .expose()
                .clone(),
            None => Vec::new(),
        };
        Ok(DecisionRecord {
            question: self.unseal_json("question", &row.id, row.question)?,
            opinions: self.unseal_json("opinions", &row.id, row.opinions)?,
            outcome: self.unseal_json("outcome", &row.id, row.outcome)?,
            id: row.id,
            hook: row.hook,
            at: from_millis(row.at),
            subject: row.subject,
            serial: row.serial,
            policy: row.policy,
            used: row.used,
            tape,
            beside: row.beside,
        })
    }
}

fn cell<'a>(column: &'static str, key: &'a [&'a str]) -> Cell<'a> {
    Cell {
        table: "decision",
        column,
        key,
    }
}

//! What the server learnt and must remember.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect,
};

use crate::enrollments::EnrollmentState;
use crate::entity::enrollment;
use crate::entity::setting::{ActiveModel, Entity};
use crate::sealed::Cell;
use crate::{Store, StoreError};

/// The setting that proves which key this database is sealed with.
const SEALING_PROOF: &str = "sealing_proof";

/// What the proof says once it is opened. Only its being opened matters.
const PROOF_TEXT: &[u8] = b"lanyard";

/// A server has one push certificate, sometimes two while it changes over; this many topics are a mistake already.
const MAX_TOPICS: u64 = 16;

impl Store {
    /// The push topics of every channel that has not checked out, at most 16, and how many channels each has: without a push certificate
    /// for it, these would be lost. Reads all enrollments, so it is for the start of a server, not for a request.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn topics_in_use(&self) -> Result<Vec<(String, u64)>, StoreError> {
        use enrollment::Column;
        let counted: Vec<(String, i64)> = enrollment::Entity::find()
            .select_only()
            .column(Column::Topic)
            .column_as(Column::Id.count(), "channels")
            .filter(Column::State.ne(EnrollmentState::CheckedOut.as_str()))
            .group_by(Column::Topic)
            .limit(MAX_TOPICS)
            .into_tuple()
            .all(&self.reader)
            .await?;
        let positive = |(topic, channels)| (topic, u64::try_from(channels).unwrap_or_default());
        Ok(counted.into_iter().map(positive).collect())
    }

    /// A new database takes the key that it was opened with; an old one insists on its own.
    pub(crate) async fn adopt_sealing_key(&self) -> Result<(), StoreError> {
        let proof = hex::encode(self.seal(PROOF_CELL, PROOF_TEXT));
        Entity::insert(row(SEALING_PROOF, &proof))
            .on_conflict_do_nothing()
            .exec_without_returning(self.writer()?)
            .await?;
        self.check_sealing_key().await
    }

    pub(crate) async fn check_sealing_key(&self) -> Result<(), StoreError> {
        let proof = read(&self.reader, SEALING_PROOF).await?;
        let sealed = proof.and_then(|proof| hex::decode(proof).ok());
        match sealed.map(|sealed| self.unseal(PROOF_CELL, &sealed)) {
            Some(Ok(_)) => Ok(()),
            _ => Err(StoreError::WrongSealingKey),
        }
    }
}

const PROOF_CELL: Cell<'static> = Cell {
    table: "setting",
    column: "value",
    key: &[SEALING_PROOF],
};

fn row(key: &str, value: &str) -> ActiveModel {
    ActiveModel {
        key: Set(key.to_owned()),
        value: Set(value.to_owned()),
    }
}

async fn read(db: &DatabaseConnection, key: &str) -> Result<Option<String>, StoreError> {
    let row = Entity::find_by_id(key.to_owned()).one(db).await?;
    Ok(row.map(|row| row.value))
}

//! What the server learnt and must remember.

use std::time::SystemTime;

use lanyard_pki::seal::{KeyId, sealed_with};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect,
};

use crate::enrollments::EnrollmentState;
use crate::entity::enrollment;
use crate::entity::setting::{ActiveModel, Column, Entity};
use crate::instant::{from_millis, to_millis};
use crate::sealed::Cell;
use crate::turn::take_turn;
use crate::{Store, StoreError};

/// The setting that proves which key this database is sealed with.
const SEALING_PROOF: &str = "sealing_proof";

/// When it last became another one, in milliseconds since 1970.
const SEALING_ROTATED: &str = "sealing_rotated_at";

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

    /// A new database takes the key that is current; an old one insists on its own.
    pub(crate) async fn adopt_sealing_key(&self) -> Result<(), StoreError> {
        let proof = hex::encode(self.seal(PROOF_CELL, PROOF_TEXT));
        Entity::insert(row(SEALING_PROOF, &proof))
            .on_conflict_do_nothing()
            .exec_without_returning(self.writer()?)
            .await?;
        self.follow_sealing_key().await
    }

    /// Makes the key current in the ring under which the database is sealed, for another node may have rotated it.
    ///
    /// # Errors
    ///
    /// [`StoreError::WrongSealingKey`] when the ring lacks it, [`StoreError::Database`].
    pub async fn follow_sealing_key(&self) -> Result<(), StoreError> {
        let proof = read(&self.reader, SEALING_PROOF).await?;
        let proof = proof.and_then(|proof| hex::decode(proof).ok());
        let sealed = proof.ok_or(StoreError::WrongSealingKey)?;
        self.unseal(PROOF_CELL, &sealed)
            .map_err(|_| StoreError::WrongSealingKey)?;
        match sealed_with(&sealed) {
            Some(id) if self.sealing.current() == id || self.sealing.turn_to(id) => Ok(()),
            _ => Err(StoreError::WrongSealingKey),
        }
    }

    /// Seals with this key of the ring from now on; on other nodes, once they [follow](Self::follow_sealing_key). What was sealed before
    /// opens as it did, and is sealed anew by [`reseal`](Self::reseal).
    ///
    /// # Errors
    ///
    /// [`StoreError::WrongSealingKey`] for a key that the ring lacks, [`StoreError::Database`].
    pub async fn rotate_sealing_key(&self, to: KeyId, now: SystemTime) -> Result<(), StoreError> {
        let key = self.sealing.key(to).ok_or(StoreError::WrongSealingKey)?;
        let proof = hex::encode(key.seal(&PROOF_CELL.context(), PROOF_TEXT));
        let tx = self.begin().await?;
        take_turn(&tx, "setting", &[SEALING_PROOF]).await?;
        let at = to_millis(now).to_string();
        for (key, value) in [(SEALING_PROOF, &proof), (SEALING_ROTATED, &at)] {
            let mut replace = OnConflict::column(Column::Key);
            replace.update_column(Column::Value);
            Entity::insert(row(key, value))
                .on_conflict(replace)
                .exec_without_returning(&tx)
                .await?;
        }
        tx.commit().await?;
        self.sealing.turn_to(to);
        Ok(())
    }

    /// When the sealing key was last rotated; `None` if it never was.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn sealing_key_rotated_at(&self) -> Result<Option<SystemTime>, StoreError> {
        let Some(at) = read(&self.reader, SEALING_ROTATED).await? else {
            return Ok(None);
        };
        let millis = at.parse().map_err(|_| StoreError::Damaged {
            table: "setting",
            what: format!("{SEALING_ROTATED} is no number of milliseconds"),
        })?;
        Ok(Some(from_millis(millis)))
    }
}

pub(crate) const PROOF_CELL: Cell<'static> = Cell {
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

//! SCEP transactions. The signer's key is part of the name, so that nobody can squat on or poll another's transaction id.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "scep_transaction")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) endpoint: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) transaction_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) signer_spki: String,
    pub(crate) csr_sha256: String,
    pub(crate) state: String,
    pub(crate) fingerprint: Option<String>,
    pub(crate) challenge_id: String,
    pub(crate) reason: Option<String>,
    /// Sealed: the request of one that waits, for its challenge is in it.
    pub(crate) request: Option<Vec<u8>>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

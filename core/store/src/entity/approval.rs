//! What waits, or waited, for a person's answer. The transaction's columns are empty where an enrollment waits.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "approval")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) binding: String,
    pub(crate) directory: String,
    pub(crate) person_id: String,
    pub(crate) udid: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) transaction_id: Option<String>,
    pub(crate) signer_spki: Option<String>,
    pub(crate) csr_sha256: Option<String>,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) decision_id: String,
    pub(crate) state: String,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) decided_at: Option<i64>,
    pub(crate) decided_by: Option<String>,
    pub(crate) note: Option<String>,
    pub(crate) used_at: Option<i64>,
    pub(crate) facts: Option<Json>,
    pub(crate) facts_sha256: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

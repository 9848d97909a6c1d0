//! Every certificate that an authority of ours issued. `enrollment_id` is the UDID that it speaks for.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "certificate")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) fingerprint: String,
    pub(crate) serial: String,
    pub(crate) authority: String,
    pub(crate) subject: String,
    pub(crate) purpose: String,
    pub(crate) session_id: Option<String>,
    pub(crate) enrollment_id: Option<String>,
    pub(crate) issued_at: i64,
    pub(crate) not_after: i64,
    pub(crate) revoked_at: Option<i64>,
    pub(crate) der: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

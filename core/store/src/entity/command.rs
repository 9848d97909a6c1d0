//! Commands, queued and done. `payload` and `result` are sealed property lists.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "command")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) enrollment_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) uuid: String,
    pub(crate) seq: i64,
    pub(crate) request_type: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) origin: String,
    pub(crate) decision: Option<String>,
    pub(crate) bypass: bool,
    pub(crate) state: String,
    pub(crate) created_at: i64,
    pub(crate) sent_at: Option<i64>,
    pub(crate) not_now_at: Option<i64>,
    pub(crate) not_now_count: i32,
    pub(crate) completed_at: Option<i64>,
    pub(crate) result: Option<Vec<u8>>,
    pub(crate) error: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

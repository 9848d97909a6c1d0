//! What happened and is to be told to somebody who asked to hear of it: one row an event and a hearer. `due_at` is empty
//! once it was given up.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "event_outbox")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) binding: String,
    pub(crate) payload: Json,
    pub(crate) created_at: i64,
    pub(crate) due_at: Option<i64>,
    pub(crate) attempts: i32,
    pub(crate) last_error: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! Commands of plugins that are no longer on record: what a plugin wished for once is the same wish for ever.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "forgotten_command")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) enrollment_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) uuid: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

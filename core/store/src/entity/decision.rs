//! Decisions that plugins took part in, as they were made.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "decision")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) hook: String,
    pub(crate) at: i64,
    pub(crate) subject: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) policy: Option<i64>,
    /// Sealed, as a text of base64; so are the next two. In a row of an earlier version, what was asked itself.
    pub(crate) question: Json,
    pub(crate) opinions: Json,
    pub(crate) outcome: Json,
    pub(crate) used: Json,
    /// Sealed.
    pub(crate) tape: Option<Vec<u8>>,
    pub(crate) beside: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! Which enrollments are to be woken, and when. A row stays after its push with `due_at` empty, so that `generation`
//! never starts again and a slow push cannot be taken for a later one.
//!
//! `not_before` holds back requests that come too soon after a push, or after APNs asked for patience. `reminders` counts the pushes that
//! were accepted and not followed by an answer to what waits.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "push_outbox")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) enrollment_id: String,
    pub(crate) due_at: Option<i64>,
    pub(crate) attempts: i32,
    pub(crate) generation: i64,
    pub(crate) last_error: Option<String>,
    pub(crate) not_before: Option<i64>,
    pub(crate) reminders: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(
        belongs_to = "super::enrollment::Entity",
        from = "Column::EnrollmentId",
        to = "super::enrollment::Column::Id"
    )]
    Enrollment,
}

impl Related<super::enrollment::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Enrollment.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

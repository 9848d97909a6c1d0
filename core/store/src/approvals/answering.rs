//! A person's answer, and the one time that it is used.

use std::time::SystemTime;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel,
    QueryFilter, QuerySelect,
};
use uuid::Uuid;

use super::{Approval, ApprovalState};
use crate::entity::approval::{Column, Entity, Model};
use crate::instant::to_millis;
use crate::{Store, StoreError};

/// A person's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalAnswer<'a> {
    /// Yes or no.
    pub approved: bool,
    /// Who says so.
    pub by: &'a str,
    /// A note, or the reason of a no.
    pub note: Option<&'a str>,
}

/// What became of [`Store::answer_approval`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerOutcome {
    /// It is answered.
    Answered(Box<Approval>),
    /// It was used, or has expired; nothing changed.
    Over(Box<Approval>),
    /// There is no such approval.
    Unknown,
}

impl Store {
    /// The same store, whose next use case uses these approvals up, in its own transaction: [`Store::issue`],
    /// [`Store::identify_session`], [`Store::deny_transaction`].
    #[must_use]
    pub fn using(&self, approvals: Vec<Uuid>, now: SystemTime) -> Self {
        let mut store = self.clone();
        store.uses = Some((approvals, now));
        store
    }

    /// Answers an approval, or changes an answer that was not used yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn answer_approval(
        &self,
        id: Uuid,
        answer: ApprovalAnswer<'_>,
        now: SystemTime,
    ) -> Result<AnswerOutcome, StoreError> {
        let tx = self.begin().await?;
        let row = Entity::find_by_id(id.to_string()).lock_exclusive();
        let Some(row) = row.one(&tx).await? else {
            return Ok(AnswerOutcome::Unknown);
        };
        let known = Approval::try_from(row.clone())?;
        let ended = known.state == ApprovalState::Expired || now >= known.expires_at;
        if ended || known.used_at.is_some() {
            return Ok(AnswerOutcome::Over(Box::new(known)));
        }
        let state = if answer.approved {
            ApprovalState::Approved
        } else {
            ApprovalState::Denied
        };
        let row = Model {
            state: state.as_str().to_owned(),
            decided_at: Some(to_millis(now)),
            decided_by: Some(answer.by.to_owned()),
            note: answer.note.map(str::to_owned),
            ..row
        };
        Entity::update(row.clone().into_active_model().reset_all())
            .exec(&tx)
            .await?;
        tx.commit().await?;
        Ok(AnswerOutcome::Answered(Box::new(row.try_into()?)))
    }

    /// Uses up what the use case was to use; whether all of it still says what the use case relies on.
    pub(crate) async fn use_approvals(
        &self,
        tx: &DatabaseTransaction,
        relied_on: ApprovalState,
    ) -> Result<bool, StoreError> {
        let Some((approvals, now)) = &self.uses else {
            return Ok(true);
        };
        let ids = approvals.iter().map(Uuid::to_string);
        let used = Entity::update_many()
            .col_expr(Column::UsedAt, Expr::value(to_millis(*now)))
            .filter(Column::Id.is_in(ids))
            .filter(Column::State.eq(relied_on.as_str()))
            .filter(Column::UsedAt.is_null())
            .filter(Column::ExpiresAt.gt(to_millis(*now)))
            .exec(tx)
            .await?;
        Ok(used.rows_affected == approvals.len() as u64)
    }
}

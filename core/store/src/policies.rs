//! Policies as revisions, and the components that they name.

use std::time::SystemTime;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect};
use serde_json::Value;

use crate::entity::{plugin, policy_revision};
use crate::instant::{from_millis, to_millis};
use crate::turn::take_turn;
use crate::{Store, StoreError, page};

/// A policy as it was applied.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyRevision {
    /// Counted from 1. The highest is in force.
    pub number: i64,
    /// What it says.
    pub document: Value,
    /// When it was applied.
    pub applied_at: SystemTime,
}

/// A component that a policy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewPlugin<'a> {
    /// SHA-256 of the component, lower-case hex.
    pub sha256: &'a str,
    /// The component.
    pub component: &'a [u8],
    /// Who vouches for it, as it stood beside the file.
    pub signature: Option<&'a str>,
}

/// A component that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPlugin {
    /// The component.
    pub component: Vec<u8>,
    /// The signature that last came along with it.
    pub signature: Option<String>,
}

impl Store {
    /// Adds a revision with the components that it brings, in one transaction; its number. Components that are there already are
    /// kept as they are, since their name is their content; a signature that comes along takes the place of one that is there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if another node added one at the same time, [`StoreError::Database`].
    pub async fn add_policy(
        &self,
        document: &Value,
        plugins: &[NewPlugin<'_>],
        now: SystemTime,
    ) -> Result<i64, StoreError> {
        let tx = self.begin().await?;
        take_turn(&tx, "policy_revision", &[]).await?;
        for new in plugins {
            let row = plugin::Model {
                sha256: new.sha256.to_owned(),
                component: new.component.to_vec(),
                added_at: to_millis(now),
                signature: new.signature.map(str::to_owned),
            };
            let mut known = OnConflict::column(plugin::Column::Sha256);
            match new.signature {
                Some(_) => known.update_column(plugin::Column::Signature),
                None => known.do_nothing(),
            };
            plugin::Entity::insert(row.into_active_model())
                .on_conflict(known)
                .exec_without_returning(&tx)
                .await?;
        }
        let number = latest_number(&tx).await?.unwrap_or_default() + 1;
        let row = policy_revision::Model {
            number,
            document: document.clone(),
            applied_at: to_millis(now),
        };
        policy_revision::Entity::insert(row.into_active_model())
            .exec_without_returning(&tx)
            .await?;
        tx.commit().await?;
        Ok(number)
    }

    /// The number of the revision in force, which costs less than the revision: nodes ask for it often.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn latest_policy_number(&self) -> Result<Option<i64>, StoreError> {
        latest_number(&self.reader).await
    }

    /// The revision in force, if one was ever applied.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn latest_policy(&self) -> Result<Option<PolicyRevision>, StoreError> {
        Ok(self.list_policies(1).await?.pop())
    }

    /// A revision by its number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn find_policy(&self, number: i64) -> Result<Option<PolicyRevision>, StoreError> {
        let row = policy_revision::Entity::find_by_id(number)
            .one(&self.reader)
            .await?;
        Ok(row.map(PolicyRevision::from))
    }

    /// The latest revisions, latest first, at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)).
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn list_policies(&self, limit: u64) -> Result<Vec<PolicyRevision>, StoreError> {
        let rows = policy_revision::Entity::find()
            .order_by_desc(policy_revision::Column::Number)
            .limit(page(limit))
            .all(&self.reader)
            .await?;
        Ok(rows.into_iter().map(PolicyRevision::from).collect())
    }

    /// A component by its digest.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn find_plugin(&self, sha256: &str) -> Result<Option<StoredPlugin>, StoreError> {
        let row = plugin::Entity::find_by_id(sha256.to_owned())
            .one(&self.reader)
            .await?;
        Ok(row.map(|row| StoredPlugin {
            component: row.component,
            signature: row.signature,
        }))
    }
}

async fn latest_number(db: &impl ConnectionTrait) -> Result<Option<i64>, StoreError> {
    Ok(policy_revision::Entity::find()
        .select_only()
        .column(policy_revision::Column::Number)
        .order_by_desc(policy_revision::Column::Number)
        .limit(1)
        .into_tuple()
        .one(db)
        .await?)
}

impl From<policy_revision::Model> for PolicyRevision {
    fn from(row: policy_revision::Model) -> Self {
        Self {
            number: row.number,
            document: row.document,
            applied_at: from_millis(row.applied_at),
        }
    }
}

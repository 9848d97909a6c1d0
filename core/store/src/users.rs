//! The people of the native directory.

use std::fmt;
use std::time::SystemTime;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::connect::is_conflict;
use crate::entity::local_user::{ActiveModel, Column, Entity, Model};
use crate::instant::{from_millis, to_millis};
use crate::{Store, StoreError, page};

/// A password hash in PHC string format (`$argon2id$…`), made and checked elsewhere. Redacted in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a PHC string.
    pub fn new(phc: impl Into<String>) -> Self {
        Self(phc.into())
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PasswordHash(redacted)")
    }
}

/// One person of the native directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The login name, in lower case.
    pub name: String,
    /// What pages and profiles call this person.
    pub display_name: String,
    /// What a password is checked against.
    pub password_hash: PasswordHash,
    /// A disabled person cannot sign in.
    pub disabled: bool,
    /// When the person was added.
    pub created_at: SystemTime,
    /// When password or state last changed.
    pub changed_at: SystemTime,
}

/// What became of [`Store::add_user`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddUserOutcome {
    /// The person is there now.
    Added,
    /// The name was taken; nothing changed.
    NameTaken,
}

/// What became of a change to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChange {
    /// It is stored.
    Done,
    /// Nobody has this name.
    Unknown,
}

impl Store {
    /// Adds a person. Names are compared in lower case.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn add_user(
        &self,
        name: &str,
        display_name: &str,
        password_hash: &PasswordHash,
        now: SystemTime,
    ) -> Result<AddUserOutcome, StoreError> {
        let row = Model {
            name: name.to_lowercase(),
            display_name: display_name.to_owned(),
            password_hash: password_hash.0.clone(),
            disabled: false,
            created_at: to_millis(now),
            changed_at: to_millis(now),
        };
        match Entity::insert(row.into_active_model())
            .exec_without_returning(self.writer()?)
            .await
        {
            Ok(_) => Ok(AddUserOutcome::Added),
            Err(error) if is_conflict(&error) => Ok(AddUserOutcome::NameTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces a password.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn set_user_password(
        &self,
        name: &str,
        password_hash: &PasswordHash,
        now: SystemTime,
    ) -> Result<UserChange, StoreError> {
        let change = ActiveModel {
            password_hash: Set(password_hash.0.clone()),
            ..ActiveModel::default()
        };
        self.change_user(name, change, now).await
    }

    /// Disables a person or lets them in again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn set_user_disabled(
        &self,
        name: &str,
        disabled: bool,
        now: SystemTime,
    ) -> Result<UserChange, StoreError> {
        let change = ActiveModel {
            disabled: Set(disabled),
            ..ActiveModel::default()
        };
        self.change_user(name, change, now).await
    }

    /// Forgets a person. Sessions and enrollments keep the name that they were made with.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn remove_user(&self, name: &str) -> Result<UserChange, StoreError> {
        let result = Entity::delete_by_id(name.to_lowercase())
            .exec(self.writer()?)
            .await?;
        Ok(user_change(result.rows_affected))
    }

    /// Finds a person by name, in any case.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn find_user(&self, name: &str) -> Result<Option<User>, StoreError> {
        let row = Entity::find_by_id(name.to_lowercase())
            .one(&self.reader)
            .await?;
        Ok(row.map(User::from))
    }

    /// Lists people by name, from the one after `after`, at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)).
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn list_users(
        &self,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<User>, StoreError> {
        let mut query = Entity::find().order_by_asc(Column::Name).limit(page(limit));
        if let Some(after) = after {
            query = query.filter(Column::Name.gt(after.to_lowercase()));
        }
        let rows = query.all(&self.reader).await?;
        Ok(rows.into_iter().map(User::from).collect())
    }

    async fn change_user(
        &self,
        name: &str,
        change: ActiveModel,
        now: SystemTime,
    ) -> Result<UserChange, StoreError> {
        let result = Entity::update_many()
            .set(change)
            .col_expr(Column::ChangedAt, Expr::value(to_millis(now)))
            .filter(Column::Name.eq(name.to_lowercase()))
            .exec(self.writer()?)
            .await?;
        Ok(user_change(result.rows_affected))
    }
}

fn user_change(rows_affected: u64) -> UserChange {
    if rows_affected == 0 {
        UserChange::Unknown
    } else {
        UserChange::Done
    }
}

impl From<Model> for User {
    fn from(row: Model) -> Self {
        Self {
            name: row.name,
            display_name: row.display_name,
            password_hash: PasswordHash(row.password_hash),
            disabled: row.disabled,
            created_at: from_millis(row.created_at),
            changed_at: from_millis(row.changed_at),
        }
    }
}

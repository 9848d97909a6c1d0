//! What directories last said of the persons who have devices: that somebody is disabled is told once, and whom to ask about next.

use std::time::SystemTime;

use sea_orm::sea_query::{Condition, Expr, ExprTrait, NullOrdering, Order, Query};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult, IntoActiveModel,
    QuerySelect,
};

use crate::enrollments::EnrollmentState;
use crate::entity::{enrollment, person_standing};
use crate::instant::to_millis;
use crate::turn::take_turn;
use crate::{Store, StoreError, page};

/// A person, by the directory that vouches for them.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct PersonKey {
    /// The directory.
    pub directory: String,
    /// The person's lasting id there.
    pub person_id: String,
}

/// What became of [`Store::note_standing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandingNoted {
    /// As before.
    Same,
    /// The person may act again.
    Enabled,
    /// The person was active before, and is no longer. Told to those whom the store was given an event for.
    Disabled,
}

impl Store {
    /// The directories of persons with a device that has not checked out, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn directories_with_devices(&self) -> Result<Vec<String>, StoreError> {
        use enrollment::{Column, Entity};
        use sea_orm::{ColumnTrait, QueryFilter, QueryOrder};
        Ok(Entity::find()
            .select_only()
            .column(Column::Directory)
            .distinct()
            .filter(Column::State.ne(EnrollmentState::CheckedOut.as_str()))
            .order_by_asc(Column::Directory)
            .into_tuple()
            .all(&self.reader)
            .await?)
    }

    /// Persons of a directory with a device that has not checked out, whom it was never asked about, or is to be asked about again by `now`;
    /// those never asked about first, at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)).
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn persons_due(
        &self,
        directory: &str,
        now: SystemTime,
        limit: u64,
    ) -> Result<Vec<PersonKey>, StoreError> {
        use enrollment::{Column, Entity};
        use person_standing::{Column as Known, Entity as Standing};
        let query = Query::select()
            .distinct()
            .column((Entity, Column::Directory))
            .column((Entity, Column::PersonId))
            .column((Standing, Known::DueAt))
            .from(Entity)
            .left_join(
                Standing,
                Condition::all()
                    .add(
                        Expr::col((Entity, Column::Directory)).equals((Standing, Known::Directory)),
                    )
                    .add(Expr::col((Entity, Column::PersonId)).equals((Standing, Known::PersonId))),
            )
            .and_where(Expr::col((Entity, Column::Directory)).eq(directory))
            .and_where(Expr::col((Entity, Column::State)).ne(EnrollmentState::CheckedOut.as_str()))
            .cond_where(
                Condition::any()
                    .add(Expr::col((Standing, Known::DueAt)).is_null())
                    .add(Expr::col((Standing, Known::DueAt)).lte(to_millis(now))),
            )
            .order_by_with_nulls((Standing, Known::DueAt), Order::Asc, NullOrdering::First)
            .limit(page(limit))
            .take();
        let statement = self.reader.get_database_backend().build(&query);
        Ok(PersonKey::find_by_statement(statement)
            .all(&self.reader)
            .await?)
    }

    /// Ids of a person's enrollments that have not checked out: all, for each is to be told of.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn enrollments_of_person(
        &self,
        person: &PersonKey,
    ) -> Result<Vec<String>, StoreError> {
        use enrollment::{Column, Entity};
        use sea_orm::{ColumnTrait, QueryFilter, QueryOrder};
        Ok(Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Directory.eq(&person.directory))
            .filter(Column::PersonId.eq(&person.person_id))
            .filter(Column::State.ne(EnrollmentState::CheckedOut.as_str()))
            .order_by_asc(Column::Id)
            .into_tuple()
            .all(&self.reader)
            .await?)
    }

    /// Whether the person was active when their directory was last asked; `None` if it never was.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn last_standing(&self, person: &PersonKey) -> Result<Option<bool>, StoreError> {
        let row = find(&self.reader, person).await?;
        Ok(row.map(|row| row.active))
    }

    /// Notes what a directory says of a person, and when it is to be asked again. Whoever was never asked about counts as active until
    /// now. If the person is no longer, what the store was [told to note](Store::noting) is put into the outbox.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn note_standing(
        &self,
        person: &PersonKey,
        active: bool,
        due: SystemTime,
        now: SystemTime,
    ) -> Result<StandingNoted, StoreError> {
        let tx = self.begin().await?;
        turn_of(&tx, person).await?;
        let was_active = find(&tx, person).await?.is_none_or(|row| row.active);
        write(&tx, person, active, due).await?;
        let noted = match (was_active, active) {
            (true, false) => {
                self.note(&tx, now).await?;
                StandingNoted::Disabled
            }
            (false, true) => StandingNoted::Enabled,
            _ => StandingNoted::Same,
        };
        tx.commit().await?;
        Ok(noted)
    }

    /// The directory could not tell: it is asked again at `due`, and what it said before stands.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn defer_standing(
        &self,
        person: &PersonKey,
        due: SystemTime,
    ) -> Result<(), StoreError> {
        let tx = self.begin().await?;
        turn_of(&tx, person).await?;
        let active = find(&tx, person).await?.is_none_or(|row| row.active);
        write(&tx, person, active, due).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn turn_of(tx: &DatabaseTransaction, person: &PersonKey) -> Result<(), StoreError> {
    take_turn(
        tx,
        "person_standing",
        &[&person.directory, &person.person_id],
    )
    .await
}

async fn find(
    db: &impl ConnectionTrait,
    person: &PersonKey,
) -> Result<Option<person_standing::Model>, StoreError> {
    let key = (person.directory.clone(), person.person_id.clone());
    Ok(person_standing::Entity::find_by_id(key).one(db).await?)
}

async fn write(
    db: &impl ConnectionTrait,
    person: &PersonKey,
    active: bool,
    due: SystemTime,
) -> Result<(), StoreError> {
    use person_standing::{Column, Entity, Model};
    let row = Model {
        directory: person.directory.clone(),
        person_id: person.person_id.clone(),
        active,
        due_at: to_millis(due),
    };
    let known = sea_orm::sea_query::OnConflict::columns([Column::Directory, Column::PersonId])
        .update_columns([Column::Active, Column::DueAt])
        .to_owned();
    Entity::insert(row.into_active_model())
        .on_conflict(known)
        .exec_without_returning(db)
        .await?;
    Ok(())
}

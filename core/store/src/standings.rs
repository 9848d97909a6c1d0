//! What directories last said of the persons who have devices: that somebody is disabled is told once, and whom to ask about next.
//!
//! Who has a device that has not checked out has a row, and nobody else: it comes with the first device and goes with the last one, in the
//! transactions that enroll and check out. So whose turn it is stands in one index, however many devices there are.

use std::time::SystemTime;

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait,
    FromQueryResult, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Statement,
};

use crate::enrollments::EnrollmentState;
use crate::entity::enrollment;
use crate::entity::person_standing::{ActiveModel, Column, Entity, Model};
use crate::instant::to_millis;
use crate::turn::take_turn;
use crate::{Store, StoreError, page};

/// When it is the turn of a person whom nobody was asked about yet: before everybody else's.
const AT_ONCE: i64 = 0;

/// Each directory, found from the one before: as many steps as there are directories, where looking for distinct ones would read all persons.
const DIRECTORIES: &str = "WITH RECURSIVE each_one (directory) AS (\
     SELECT MIN(directory) FROM person_standing UNION ALL \
     SELECT (SELECT MIN(p.directory) FROM person_standing p WHERE p.directory > each_one.directory) \
     FROM each_one WHERE each_one.directory IS NOT NULL) \
     SELECT directory FROM each_one WHERE directory IS NOT NULL ORDER BY directory";

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
        let backend = self.reader.get_database_backend();
        let rows = self
            .reader
            .query_all_raw(Statement::from_string(backend, DIRECTORIES));
        let names = rows.await?.into_iter().map(|row| row.try_get_by_index(0));
        Ok(names.collect::<Result<_, _>>()?)
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
        Ok(Entity::find()
            .select_only()
            .columns([Column::Directory, Column::PersonId])
            .filter(Column::Directory.eq(directory))
            .filter(Column::DueAt.lte(to_millis(now)))
            .order_by_asc(Column::DueAt)
            .limit(page(limit))
            .into_model()
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

    /// Whether the person was active when their directory was last asked, as everybody is of whom it never was; `None` for who has no device.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn last_standing(&self, person: &PersonKey) -> Result<Option<bool>, StoreError> {
        let row = find(&self.reader, person).await?;
        Ok(row.map(|row| row.active))
    }

    /// Notes what a directory says of a person with devices, and when it is to be asked again. Whoever was never asked about counts as active
    /// until now. If the person is no longer, what the store was [told to note](Store::noting) is put into the outbox.
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
        let Some(known) = find(&tx, person).await? else {
            // The last device has checked out meanwhile.
            return Ok(StandingNoted::Same);
        };
        let change = ActiveModel {
            active: Set(active),
            due_at: Set(to_millis(due)),
            ..ActiveModel::default()
        };
        update(&tx, person, change).await?;
        let noted = match (known.active, active) {
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
        let change = ActiveModel {
            due_at: Set(to_millis(due)),
            ..ActiveModel::default()
        };
        update(self.writer()?, person, change).await
    }
}

/// Somebody enrolls a device: their directory is asked about them from now on.
pub(crate) async fn begin(tx: &DatabaseTransaction, person: &PersonKey) -> Result<(), StoreError> {
    turn_of(tx, person).await?;
    let row = Model {
        directory: person.directory.clone(),
        person_id: person.person_id.clone(),
        active: true,
        due_at: AT_ONCE,
    };
    Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// A device of theirs checked out: of whom it was the last one, nobody is asked about any more.
pub(crate) async fn end(tx: &DatabaseTransaction, person: &PersonKey) -> Result<(), StoreError> {
    // Whoever enrolls another device just now waits, and then finds no row.
    turn_of(tx, person).await?;
    let devices = Query::select()
        .expr(Expr::val(1))
        .from(enrollment::Entity)
        .and_where(enrollment::Column::Directory.eq(&person.directory))
        .and_where(enrollment::Column::PersonId.eq(&person.person_id))
        .and_where(enrollment::Column::State.ne(EnrollmentState::CheckedOut.as_str()))
        .take();
    Entity::delete_many()
        .filter(Column::Directory.eq(&person.directory))
        .filter(Column::PersonId.eq(&person.person_id))
        .filter(Expr::exists(devices).not())
        .exec(tx)
        .await?;
    Ok(())
}

async fn turn_of(tx: &DatabaseTransaction, person: &PersonKey) -> Result<(), StoreError> {
    take_turn(
        tx,
        "person_standing",
        &[&person.directory, &person.person_id],
    )
    .await
}

async fn find(db: &impl ConnectionTrait, person: &PersonKey) -> Result<Option<Model>, StoreError> {
    let key = (person.directory.clone(), person.person_id.clone());
    Ok(Entity::find_by_id(key).one(db).await?)
}

async fn update(
    db: &impl ConnectionTrait,
    person: &PersonKey,
    change: ActiveModel,
) -> Result<(), StoreError> {
    Entity::update_many()
        .set(change)
        .filter(Column::Directory.eq(&person.directory))
        .filter(Column::PersonId.eq(&person.person_id))
        .exec(db)
        .await?;
    Ok(())
}

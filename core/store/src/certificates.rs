//! Certificates that our authorities issued, and whom they speak for.

use std::collections::HashMap;
use std::time::SystemTime;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult,
    IntoActiveModel, QueryFilter, QuerySelect,
};
use uuid::Uuid;

use crate::entity::certificate::{Column, Entity, Model};
use crate::instant::{from_millis, to_millis};
use crate::sessions::read_id;
use crate::word::word_enum;
use crate::{Store, StoreError};

word_enum! {
    /// What a certificate was issued for.
    pub enum CertificatePurpose in "certificate" {
        /// The interim identity of over-the-air enrollment, under which a device fetches its profile.
        OtaInterim = "ota-interim",
        /// The management identity.
        Identity = "identity",
        /// A management identity that followed another one.
        Renewal = "renewal",
        /// Something that is not for device management.
        Other = "other",
    }
}

/// A certificate on record, or about to be recorded as issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the DER, lower-case hex.
    pub fingerprint: String,
    /// Serial number, lower-case hex. Unique within its authority.
    pub serial: String,
    /// The authority that signed it.
    pub authority: String,
    /// Its subject, for people to read.
    pub subject: String,
    /// What it is for.
    pub purpose: CertificatePurpose,
    /// The enrollment session that it came out of.
    pub session_id: Option<Uuid>,
    /// The UDID that it speaks for, once that is known.
    pub device_id: Option<String>,
    /// When it was signed.
    pub issued_at: SystemTime,
    /// When it ends.
    pub not_after: SystemTime,
    /// When it was revoked.
    pub revoked_at: Option<SystemTime>,
    /// The certificate itself.
    pub der: Vec<u8>,
}

/// As much of a [`Certificate`] as every request of a device needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRow {
    /// SHA-256 of the DER, lower-case hex.
    pub fingerprint: String,
    /// What it is for.
    pub purpose: CertificatePurpose,
    /// The enrollment session that it came out of.
    pub session_id: Option<Uuid>,
    /// The UDID that it speaks for.
    pub device_id: Option<String>,
    /// When it ends.
    pub not_after: SystemTime,
    /// When it was revoked.
    pub revoked_at: Option<SystemTime>,
}

/// What became of [`bind`].
pub(crate) enum BindOutcome {
    /// The certificate speaks for this device now.
    Bound,
    /// It did so already.
    AlreadyBound,
    /// It speaks for another device; nothing changed.
    BoundToAnother {
        /// That device's UDID.
        device_id: String,
    },
    /// There is no such certificate.
    Unknown,
}

/// What became of [`Store::revoke_certificate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// Revoked now.
    Revoked,
    /// Revoked before; the first time stands.
    AlreadyRevoked,
    /// There is no such certificate.
    Unknown,
}

impl Store {
    /// Finds a certificate by the lower-case hex SHA-256 of its DER.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn find_certificate(
        &self,
        fingerprint: &str,
    ) -> Result<Option<Certificate>, StoreError> {
        find(&self.reader, fingerprint).await
    }

    /// Who a request speaks for, in one statement by primary key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: identity", level = "debug", skip_all)]
    pub async fn identity(&self, fingerprint: &str) -> Result<Option<IdentityRow>, StoreError> {
        #[derive(FromQueryResult)]
        struct Columns {
            fingerprint: String,
            purpose: String,
            session_id: Option<String>,
            enrollment_id: Option<String>,
            not_after: i64,
            revoked_at: Option<i64>,
        }
        let row = Entity::find_by_id(fingerprint.to_owned())
            .select_only()
            .columns([
                Column::Fingerprint,
                Column::Purpose,
                Column::SessionId,
                Column::EnrollmentId,
                Column::NotAfter,
                Column::RevokedAt,
            ])
            .into_model::<Columns>()
            .one(&self.reader)
            .await?;
        row.map(|row| {
            Ok(IdentityRow {
                fingerprint: row.fingerprint,
                purpose: CertificatePurpose::read(&row.purpose)?,
                session_id: read_session_id(row.session_id)?,
                device_id: row.enrollment_id,
                not_after: from_millis(row.not_after),
                revoked_at: row.revoked_at.map(from_millis),
            })
        })
        .transpose()
    }

    /// When these certificates end, by fingerprint; those that are not on record are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn certificate_ends(
        &self,
        fingerprints: impl Iterator<Item = &str>,
    ) -> Result<HashMap<String, SystemTime>, StoreError> {
        let ends: Vec<(String, i64)> = Entity::find()
            .select_only()
            .columns([Column::Fingerprint, Column::NotAfter])
            .filter(Column::Fingerprint.is_in(fingerprints))
            .into_tuple()
            .all(&self.reader)
            .await?;
        let ends = ends.into_iter();
        Ok(ends.map(|(key, end)| (key, from_millis(end))).collect())
    }

    /// Revokes a certificate from `now` on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn revoke_certificate(
        &self,
        fingerprint: &str,
        now: SystemTime,
    ) -> Result<RevokeOutcome, StoreError> {
        let tx = self.begin().await?;
        let result = Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(to_millis(now)))
            .filter(Column::Fingerprint.eq(fingerprint))
            .filter(Column::RevokedAt.is_null())
            .exec(&tx)
            .await?;
        let outcome = if result.rows_affected > 0 {
            RevokeOutcome::Revoked
        } else if find(&tx, fingerprint).await?.is_some() {
            RevokeOutcome::AlreadyRevoked
        } else {
            RevokeOutcome::Unknown
        };
        tx.commit().await?;
        Ok(outcome)
    }
}

/// Ties a certificate to the device that presented it, once and for all.
pub(crate) async fn bind(
    tx: &DatabaseTransaction,
    fingerprint: &str,
    device_id: &str,
) -> Result<BindOutcome, StoreError> {
    let result = Entity::update_many()
        .col_expr(Column::EnrollmentId, Expr::value(device_id))
        .filter(Column::Fingerprint.eq(fingerprint))
        .filter(Column::EnrollmentId.is_null())
        .exec(tx)
        .await?;
    if result.rows_affected > 0 {
        return Ok(BindOutcome::Bound);
    }
    let bound_to = find(tx, fingerprint).await?.and_then(|row| row.device_id);
    Ok(match bound_to {
        Some(bound) if bound == device_id => BindOutcome::AlreadyBound,
        Some(device_id) => BindOutcome::BoundToAnother { device_id },
        None => BindOutcome::Unknown,
    })
}

pub(crate) async fn insert(tx: &DatabaseTransaction, new: &Certificate) -> Result<(), StoreError> {
    let row = Model {
        fingerprint: new.fingerprint.clone(),
        serial: new.serial.clone(),
        authority: new.authority.clone(),
        subject: new.subject.clone(),
        purpose: new.purpose.as_str().to_owned(),
        session_id: new.session_id.map(|id| id.to_string()),
        enrollment_id: new.device_id.clone(),
        issued_at: to_millis(new.issued_at),
        not_after: to_millis(new.not_after),
        revoked_at: new.revoked_at.map(to_millis),
        der: new.der.clone(),
    };
    Entity::insert(row.into_active_model())
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

pub(crate) async fn find(
    db: &impl ConnectionTrait,
    fingerprint: &str,
) -> Result<Option<Certificate>, StoreError> {
    let row = Entity::find_by_id(fingerprint.to_owned()).one(db).await?;
    row.map(Certificate::try_from).transpose()
}

pub(crate) fn read_session_id(text: Option<String>) -> Result<Option<Uuid>, StoreError> {
    text.map(|text| read_id("certificate", &text)).transpose()
}

impl TryFrom<Model> for Certificate {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            fingerprint: row.fingerprint,
            serial: row.serial,
            authority: row.authority,
            subject: row.subject,
            purpose: CertificatePurpose::read(&row.purpose)?,
            session_id: read_session_id(row.session_id)?,
            device_id: row.enrollment_id,
            issued_at: from_millis(row.issued_at),
            not_after: from_millis(row.not_after),
            revoked_at: row.revoked_at.map(from_millis),
            der: row.der,
        })
    }
}

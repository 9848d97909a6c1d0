//! Who speaks, and what waits for it. Devices that have nothing to do ask this all day, so it is one statement, written out, and reads
//! nothing else.

use sea_orm::{DbErr, FromQueryResult, QueryResult, Statement};

use crate::certificates::{IdentityRow, read_session_id};
use crate::commands::Command;
use crate::entity::command;
use crate::instant::from_millis;
use crate::{CertificatePurpose, EnrollmentState, Store, StoreError};

/// What is on record of whoever holds an identity certificate.
#[derive(Debug)]
pub struct Caller {
    /// The certificate.
    pub identity: IdentityRow,
    /// The device that it was issued to, once it has checked in.
    pub device: Option<CallingDevice>,
    /// The first command that is yet to be done on the device's own channel.
    pub next: Option<Command>,
}

/// A device that holds an identity certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallingDevice {
    /// Whether it is managed.
    pub state: EnrollmentState,
    /// The fingerprint of its current identity certificate, which may be another.
    pub certificate: Option<String>,
}

/// The head of the queue is found in the index alone: ordering whole rows would read every payload that waits.
const STATEMENT: &str = "\
    SELECT c.purpose, c.session_id, c.enrollment_id, c.not_after, c.revoked_at, \
           e.state, e.certificate, \
           q.uuid AS q_uuid, q.enrollment_id AS q_enrollment_id, q.seq AS q_seq, q.request_type AS q_request_type, \
           q.payload AS q_payload, q.origin AS q_origin, q.decision AS q_decision, q.bypass AS q_bypass, \
           q.state AS q_state, q.created_at AS q_created_at, q.sent_at AS q_sent_at, q.not_now_at AS q_not_now_at, \
           q.not_now_count AS q_not_now_count, q.completed_at AS q_completed_at, q.result AS q_result, q.error AS q_error \
    FROM certificate c \
    LEFT JOIN enrollment e ON e.id = c.enrollment_id \
    LEFT JOIN command q ON q.enrollment_id = e.id AND q.state IN ('queued', 'sent', 'not_now') AND q.seq = ( \
           SELECT MIN(m.seq) FROM command m WHERE m.enrollment_id = e.id AND m.state IN ('queued', 'sent', 'not_now')) \
    WHERE c.fingerprint = $1";

struct Row {
    purpose: String,
    session_id: Option<String>,
    device_id: Option<String>,
    not_after: i64,
    revoked_at: Option<i64>,
    state: Option<String>,
    certificate: Option<String>,
    next: Option<command::Model>,
}

impl FromQueryResult for Row {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        let next: Option<String> = row.try_get("q_", "uuid")?;
        Ok(Self {
            purpose: row.try_get("", "purpose")?,
            session_id: row.try_get("", "session_id")?,
            device_id: row.try_get("", "enrollment_id")?,
            not_after: row.try_get("", "not_after")?,
            revoked_at: row.try_get("", "revoked_at")?,
            state: row.try_get("", "state")?,
            certificate: row.try_get("", "certificate")?,
            next: next
                .map(|_| command::Model::from_query_result(row, "q_"))
                .transpose()?,
        })
    }
}

impl Store {
    /// Who holds the certificate with this SHA-256, hex, and what waits for them; `None` for a certificate that is not ours.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: caller", level = "debug", skip_all)]
    pub async fn caller(&self, fingerprint: &str) -> Result<Option<Caller>, StoreError> {
        let backend = self.reader.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, STATEMENT, [fingerprint.into()]);
        let Some(row) = Row::find_by_statement(statement).one(&self.reader).await? else {
            return Ok(None);
        };
        let device = row
            .state
            .as_deref()
            .map(EnrollmentState::read)
            .transpose()?;
        Ok(Some(Caller {
            identity: IdentityRow {
                fingerprint: fingerprint.to_owned(),
                purpose: CertificatePurpose::read(&row.purpose)?,
                session_id: read_session_id(row.session_id)?,
                device_id: row.device_id,
                not_after: from_millis(row.not_after),
                revoked_at: row.revoked_at.map(from_millis),
            },
            device: device.map(|state| CallingDevice {
                state,
                certificate: row.certificate,
            }),
            next: row.next.map(|next| self.read_command(next)).transpose()?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CommandState;

    #[test]
    fn the_statement_names_the_states_that_there_are() {
        let open = CommandState::OPEN
            .map(|state| format!("'{state}'"))
            .join(", ");
        assert_eq!(STATEMENT.matches(&format!("IN ({open})")).count(), 2);
    }
}

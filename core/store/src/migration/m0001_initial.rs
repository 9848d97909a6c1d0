//! The first version of the schema.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, blob, blob_null, boolean, boolean_null, integer, json,
    json_null, text, text_null,
};

/// The tables of the first version. Names are spelled out, not taken from the entities, which move on.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_initial"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for mut table in tables() {
            manager.create_table(table.take()).await?;
        }
        for mut index in indexes() {
            manager.create_index(index.take()).await?;
        }
        Ok(())
    }
}

/// In the order in which their foreign keys need them.
fn tables() -> [TableCreateStatement; 10] {
    [
        local_user(),
        enrollment_session(),
        certificate(),
        scep_transaction(),
        challenge_use(),
        enrollment(),
        command(),
        push_outbox(),
        event_outbox(),
        setting(),
    ]
}

fn local_user() -> TableCreateStatement {
    Table::create()
        .table("local_user")
        .col(text("name").primary_key())
        .col(text("display_name"))
        .col(text("password_hash"))
        .col(boolean("disabled"))
        .col(big_integer("created_at"))
        .col(big_integer("changed_at"))
        .take()
}

fn enrollment_session() -> TableCreateStatement {
    Table::create()
        .table("enrollment_session")
        .col(text("id").primary_key())
        .col(text("directory"))
        .col(text("person_id"))
        .col(text("person_name"))
        .col(json("attributes"))
        .col(text("state"))
        .col(blob("challenge_hash").unique_key())
        .col(integer("version"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .col(text_null("udid"))
        .col(text_null("serial"))
        .col(text_null("product"))
        .col(text_null("os_version"))
        .col(text_null("imei"))
        .col(text_null("meid"))
        .col(json_null("attestation"))
        .col(blob_null("device_certificate"))
        .col(json_null("settings"))
        .take()
}

fn certificate() -> TableCreateStatement {
    Table::create()
        .table("certificate")
        .col(text("fingerprint").primary_key())
        .col(text("serial"))
        .col(text("authority"))
        .col(text("subject"))
        .col(text("purpose"))
        .col(text_null("session_id"))
        // No foreign key: a certificate is bound to a UDID before that device has checked in.
        .col(text_null("enrollment_id"))
        .col(big_integer("issued_at"))
        .col(big_integer("not_after"))
        .col(big_integer_null("revoked_at"))
        .col(blob("der"))
        .foreign_key(&mut reference(
            "certificate",
            "session_id",
            "enrollment_session",
            "id",
        ))
        .take()
}

fn scep_transaction() -> TableCreateStatement {
    Table::create()
        .table("scep_transaction")
        .col(text("endpoint"))
        .col(text("transaction_id"))
        .col(text("signer_spki"))
        .col(text("csr_sha256"))
        .col(text("state"))
        .col(text_null("fingerprint"))
        .col(text("challenge_id"))
        .col(text_null("reason"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .primary_key(
            Index::create()
                .col("endpoint")
                .col("transaction_id")
                .col("signer_spki"),
        )
        .foreign_key(&mut reference(
            "scep_transaction",
            "fingerprint",
            "certificate",
            "fingerprint",
        ))
        .take()
}

fn challenge_use() -> TableCreateStatement {
    Table::create()
        .table("challenge_use")
        .col(text("id").primary_key())
        .col(text("used_by"))
        .col(big_integer("used_at"))
        .col(big_integer("expires_at"))
        .take()
}

fn enrollment() -> TableCreateStatement {
    Table::create()
        .table("enrollment")
        .col(text("id").primary_key())
        .col(text("device_id"))
        .col(text_null("user_id"))
        .col(text_null("session_id"))
        .col(text("directory"))
        .col(text("person_id"))
        .col(text("person_name"))
        .col(text("state"))
        .col(text("topic"))
        .col(blob_null("token"))
        .col(blob_null("push_magic"))
        .col(blob_null("unlock_token"))
        .col(text_null("serial"))
        .col(text_null("product"))
        .col(text_null("model"))
        .col(text_null("model_name"))
        .col(text_null("device_name"))
        .col(text_null("os_version"))
        .col(text_null("build_version"))
        .col(text_null("imei"))
        .col(text_null("meid"))
        .col(text_null("certificate"))
        .col(boolean_null("awaiting_configuration"))
        .col(integer("token_updates"))
        .col(big_integer("command_seq"))
        .col(integer("version"))
        .col(big_integer("created_at"))
        .col(big_integer_null("enrolled_at"))
        .col(big_integer_null("last_seen_at"))
        .col(big_integer_null("checked_out_at"))
        .col(big_integer_null("last_push_at"))
        .col(text_null("last_push_result"))
        .foreign_key(&mut reference(
            "enrollment",
            "session_id",
            "enrollment_session",
            "id",
        ))
        .foreign_key(&mut reference(
            "enrollment",
            "certificate",
            "certificate",
            "fingerprint",
        ))
        .take()
}

fn command() -> TableCreateStatement {
    Table::create()
        .table("command")
        .col(text("enrollment_id"))
        .col(text("uuid"))
        .col(big_integer("seq"))
        .col(text("request_type"))
        .col(blob("payload"))
        .col(text("origin"))
        .col(boolean("bypass"))
        .col(text("state"))
        .col(big_integer("created_at"))
        .col(big_integer_null("sent_at"))
        .col(big_integer_null("not_now_at"))
        .col(integer("not_now_count"))
        .col(big_integer_null("completed_at"))
        .col(blob_null("result"))
        .col(text_null("error"))
        .primary_key(Index::create().col("enrollment_id").col("uuid"))
        .foreign_key(&mut reference(
            "command",
            "enrollment_id",
            "enrollment",
            "id",
        ))
        .take()
}

fn push_outbox() -> TableCreateStatement {
    Table::create()
        .table("push_outbox")
        .col(text("enrollment_id").primary_key())
        .col(big_integer_null("due_at"))
        .col(integer("attempts"))
        .col(big_integer("generation"))
        .col(text_null("last_error"))
        .foreign_key(&mut reference(
            "push_outbox",
            "enrollment_id",
            "enrollment",
            "id",
        ))
        .take()
}

fn event_outbox() -> TableCreateStatement {
    Table::create()
        .table("event_outbox")
        .col(text("id"))
        .col(text("binding"))
        .col(json("payload"))
        .col(big_integer("created_at"))
        .col(big_integer_null("due_at"))
        .col(integer("attempts"))
        .col(text_null("last_error"))
        .primary_key(Index::create().col("id").col("binding"))
        .take()
}

fn setting() -> TableCreateStatement {
    Table::create()
        .table("setting")
        .col(text("key").primary_key())
        .col(text("value"))
        .take()
}

fn reference(
    table: &'static str,
    column: &'static str,
    to_table: &'static str,
    to_column: &'static str,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, column)
        .to(to_table, to_column)
        .take()
}

fn indexes() -> [IndexCreateStatement; 11] {
    [
        index(
            "certificate_serial",
            "certificate",
            &["authority", "serial"],
        )
        .unique()
        .take(),
        index(
            "enrollment_session_person",
            "enrollment_session",
            &["directory", "person_id", "created_at"],
        ),
        index(
            "enrollment_session_expiry",
            "enrollment_session",
            &["state", "expires_at"],
        ),
        index("certificate_session", "certificate", &["session_id"]),
        index("certificate_enrollment", "certificate", &["enrollment_id"]),
        index("challenge_use_expiry", "challenge_use", &["expires_at"]),
        index("enrollment_device", "enrollment", &["device_id"]),
        // The only index over `seq`: finding the head of a queue must not walk the history behind it.
        index(
            "command_queue",
            "command",
            &["enrollment_id", "state", "seq"],
        ),
        index("command_uuid", "command", &["uuid"]),
        index("push_outbox_due", "push_outbox", &["due_at"]),
        index("event_outbox_due", "event_outbox", &["due_at"]),
    ]
}

pub(super) fn index(
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

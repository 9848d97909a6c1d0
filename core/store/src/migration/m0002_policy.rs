//! Policies, the plugins that they bind and the decisions that those make; sign-ins of several steps.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, blob, json, text, text_null};

use super::m0001_initial::index;

/// Its names are spelled out, as in the first step.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0002_policy"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `VERSION` of the Profile Service was always the build.
        let mut renamed = Table::alter();
        renamed
            .table("enrollment_session")
            .rename_column("os_version", "build");
        manager.alter_table(renamed).await?;
        for table in [policy_revision(), plugin(), decision(), sign_in_step()] {
            manager.create_table(table).await?;
        }
        for index in [
            index(
                "enrollment_person",
                "enrollment",
                &["directory", "person_id"],
            ),
            index("decision_at", "decision", &["at"]),
            index("decision_subject", "decision", &["subject", "at"]),
            index("sign_in_step_expiry", "sign_in_step", &["expires_at"]),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

fn policy_revision() -> TableCreateStatement {
    Table::create()
        .table("policy_revision")
        .col(big_integer("number").primary_key())
        .col(json("document"))
        .col(big_integer("applied_at"))
        .take()
}

fn plugin() -> TableCreateStatement {
    Table::create()
        .table("plugin")
        .col(text("sha256").primary_key())
        .col(blob("component"))
        .col(big_integer("added_at"))
        .take()
}

fn decision() -> TableCreateStatement {
    Table::create()
        .table("decision")
        .col(text("id").primary_key())
        .col(text("hook"))
        .col(big_integer("at"))
        .col(text_null("subject"))
        .col(text_null("serial"))
        .col(big_integer_null("policy"))
        .col(json("question"))
        .col(json("opinions"))
        .col(json("outcome"))
        .col(json("used"))
        .take()
}

fn sign_in_step() -> TableCreateStatement {
    Table::create()
        .table("sign_in_step")
        .col(text("ticket_hash").primary_key())
        .col(blob("content"))
        .col(big_integer("expires_at"))
        .take()
}

//! One channel of one device: `id` is the UDID, or `UDID:UserID` for a user channel.
//!
//! `command_seq` is the number of the last command queued: counting here costs the same however long the history is.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "enrollment")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) device_id: String,
    pub(crate) user_id: Option<String>,
    pub(crate) session_id: Option<String>,
    pub(crate) directory: String,
    pub(crate) person_id: String,
    pub(crate) person_name: String,
    pub(crate) state: String,
    pub(crate) topic: String,
    pub(crate) token: Option<Vec<u8>>,
    pub(crate) push_magic: Option<Vec<u8>>,
    pub(crate) unlock_token: Option<Vec<u8>>,
    pub(crate) serial: Option<String>,
    pub(crate) product: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) model_name: Option<String>,
    pub(crate) device_name: Option<String>,
    pub(crate) os_version: Option<String>,
    pub(crate) build_version: Option<String>,
    pub(crate) imei: Option<String>,
    pub(crate) meid: Option<String>,
    pub(crate) certificate: Option<String>,
    pub(crate) awaiting_configuration: Option<bool>,
    pub(crate) token_updates: i32,
    pub(crate) command_seq: i64,
    pub(crate) version: i32,
    pub(crate) created_at: i64,
    pub(crate) enrolled_at: Option<i64>,
    pub(crate) last_seen_at: Option<i64>,
    pub(crate) checked_out_at: Option<i64>,
    pub(crate) last_push_at: Option<i64>,
    pub(crate) last_push_result: Option<String>,
    pub(crate) token_updated_at: Option<i64>,
    pub(crate) token_dead_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

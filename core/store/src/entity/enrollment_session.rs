//! One person's attempt to enroll one device, from the login to the first TokenUpdate.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "enrollment_session")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) directory: String,
    pub(crate) person_id: String,
    pub(crate) person_name: String,
    pub(crate) attributes: Json,
    pub(crate) state: String,
    pub(crate) challenge_hash: Vec<u8>,
    pub(crate) version: i32,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) udid: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) product: Option<String>,
    pub(crate) build: Option<String>,
    pub(crate) imei: Option<String>,
    pub(crate) meid: Option<String>,
    pub(crate) attestation: Option<Json>,
    pub(crate) device_certificate: Option<Vec<u8>>,
    pub(crate) settings: Option<Json>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

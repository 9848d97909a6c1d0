//! An installation with somebody who may enroll, and devices that go through their enrollment step by step.

use std::{collections::BTreeMap, fs};

use http::HeaderName;
use lanyard_device::{
    apns::{Courier, Subscription},
    device::Device,
    enroll::{Credentials, EnrollmentProfile, Management, Phase},
    factory::Identity,
    http::{Answer, Call, Client},
    model::Facts,
};
use lanyard_mdm::{
    PushMagic, UnlockToken, checkin,
    connect::{self, Command, Outcome, Report, Status},
    document::Limits,
    ota::{DeviceAttributes, ProfileService},
    profile::ScepPayload,
    signature, signed,
};
use lanyard_tests::site::{Site, USER};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

/// What changes by itself, or whenever a device that is believed says something.
const RESTLESS_COLUMNS: [&str; 3] = ["last_seen_at", "last_push_at", "last_push_result"];
const RESTLESS_TABLES: [&str; 2] = ["lease", "push_outbox"];

const PASSWORD: &str = "a password for tests";

pub(crate) struct Stage {
    pub(crate) site: Site,
    pub(super) credentials: Credentials,
    courier: Courier,
}

/// All rows of all tables that say something for good, as text.
pub(crate) type Records = BTreeMap<String, Vec<String>>;

impl Stage {
    pub(super) fn start() -> Self {
        Self::with(&[])
    }

    /// With settings of the server, as `LANYARD_<SECTION>_<KEY>`.
    pub(super) fn with(settings: &[(&str, String)]) -> Self {
        let mut site = Site::temporary(&[]).unwrap();
        for (name, value) in settings {
            site.set(name, value);
        }
        site.start_apns().unwrap();
        site.start_server().unwrap();
        site.add_user(PASSWORD).unwrap();
        Self::of(site)
    }

    /// Of an installation that runs.
    pub(crate) fn of(site: Site) -> Self {
        let apns = site.apns().unwrap();
        let ca = fs::read(&apns.ca).unwrap();
        Self {
            courier: Courier::new(&apns.device_address.to_string(), &ca).unwrap(),
            credentials: Credentials::new(USER, PASSWORD),
            site,
        }
    }

    /// Kills the server as a crash would, and starts it again.
    pub(super) fn crash(&mut self) {
        self.site.kill_server();
        self.site.start_server().unwrap();
    }

    pub(super) fn courier(&self) -> &Courier {
        &self.courier
    }

    /// A device that was never here.
    pub(super) fn newcomer(&self) -> Journey {
        Journey::of(self.site.new_device().unwrap())
    }

    /// The device of these facts once more, as if somebody had erased it.
    pub(super) fn erased(&self, facts: &Facts) -> Journey {
        let new = self.site.new_device().unwrap();
        Journey::of(Device::with(facts.clone(), new.factory, new.client))
    }

    /// A device that has come so far.
    pub(super) async fn at(&self, phase: Phase) -> Journey {
        let mut journey = self.newcomer();
        journey.reach(self, phase).await;
        journey
    }

    /// What the database says.
    pub(crate) async fn records(&self) -> Records {
        // That a command was sent is written down a moment later, or when somebody asks for one.
        let _ = self.site.ask("GET", "/api/v1/commands/none");
        let database = self.database().await;
        let mut records = Records::new();
        let is_sqlite = database.get_database_backend() == DbBackend::Sqlite;
        let tables = if is_sqlite {
            "SELECT name FROM sqlite_schema WHERE type = 'table'"
        } else {
            "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public'"
        };
        for table in column(&database, tables).await {
            if RESTLESS_TABLES.contains(&table.as_str()) {
                continue;
            }
            let shown = if is_sqlite {
                let columns = format!("SELECT name FROM pragma_table_info('{table}')");
                let shown: Vec<_> = column(&database, &columns)
                    .await
                    .into_iter()
                    .filter(|name| !RESTLESS_COLUMNS.contains(&name.as_str()))
                    .map(|name| format!("'{name}=' || quote(\"{name}\")"))
                    .collect();
                shown.join(" || ' ' || ")
            } else {
                let restless = RESTLESS_COLUMNS.map(|name| format!("'{name}'")).join(", ");
                format!("(to_jsonb(row) - ARRAY[{restless}])::text")
            };
            let rows = format!("SELECT {shown} AS name FROM \"{table}\" AS row ORDER BY 1");
            records.insert(table, column(&database, &rows).await);
        }
        database.close().await.unwrap();
        records
    }

    /// Lets the newest session be over, without waiting for it.
    pub(super) async fn expire_session(&self) {
        self.put_into_the_past("enrollment_session", "expires_at", "created_at")
            .await;
    }

    /// The same with the newest certificate.
    pub(super) async fn expire_certificate(&self) {
        self.put_into_the_past("certificate", "not_after", "issued_at")
            .await;
    }

    async fn put_into_the_past(&self, table: &str, end: &str, begin: &str) {
        let database = self.database().await;
        let statement = format!(
            "UPDATE {table} SET {end} = {begin} WHERE {begin} = (SELECT max({begin}) FROM {table})"
        );
        let done = database.execute_unprepared(&statement).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
        database.close().await.unwrap();
    }

    async fn database(&self) -> DatabaseConnection {
        Database::connect(self.site.database_url()).await.unwrap()
    }
}

async fn column(database: &DatabaseConnection, query: &str) -> Vec<String> {
    let rows = database
        .query_all_raw(Statement::from_string(
            database.get_database_backend(),
            query,
        ))
        .await
        .unwrap();
    rows.into_iter()
        .map(|row| row.try_get("", "name").unwrap())
        .collect()
}

/// A device on its way, with what it has got so far.
pub(crate) struct Journey {
    pub(crate) device: Device,
    reached: Option<Phase>,
    service: Option<ProfileService>,
    interim_scep: Option<ScepPayload>,
    interim: Option<Identity>,
    profile: Option<EnrollmentProfile>,
    identity: Option<Identity>,
    subscription: Option<Subscription>,
    magic: PushMagic,
}

impl Journey {
    fn of(device: Device) -> Self {
        Self {
            device,
            reached: None,
            service: None,
            interim_scep: None,
            interim: None,
            profile: None,
            identity: None,
            subscription: None,
            magic: PushMagic::new(format!("{:032X}", rand::random::<u128>())),
        }
    }

    /// Of a device whose person was given this document on the enrollment page.
    pub(crate) fn signed_in(device: Device, document: &[u8]) -> Self {
        let opened = signed::open(document).unwrap();
        let service = ProfileService::parse(&opened.content, Limits::default()).unwrap();
        Self {
            reached: Some(Phase::SignIn),
            service: Some(service),
            ..Self::of(device)
        }
    }

    /// Goes on until it has come so far.
    pub(crate) async fn reach(&mut self, stage: &Stage, phase: Phase) {
        while self.reached < Some(phase) {
            self.reached = Some(self.step(stage).await);
        }
    }

    async fn step(&mut self, stage: &Stage) -> Phase {
        match self.reached {
            None => {
                let link = stage.site.url("/enroll");
                let signed_in = self.device.sign_in(&link, &stage.credentials).await;
                self.service = Some(signed_in.unwrap().service);
                Phase::SignIn
            }
            Some(Phase::SignIn) => {
                let message = self.phase_2();
                let identified = self.device.identify(&self.service().url, &message).await;
                self.interim_scep = Some(identified.unwrap().scep);
                Phase::Identify
            }
            Some(Phase::Identify) => {
                let interim = self.device.certify(self.interim_scep()).await;
                self.interim = Some(interim.unwrap());
                Phase::InterimCertificate
            }
            Some(Phase::InterimCertificate) => {
                let url = &self.service().url;
                let delivered = self
                    .device
                    .fetch_profile(url, &self.phase_3(), self.interim())
                    .await;
                let profile = delivered.unwrap().profile;
                self.device.install(&profile).unwrap();
                self.profile = Some(profile);
                Phase::Profile
            }
            Some(Phase::Profile) => {
                let identity = self.device.certify(&self.profile().scep).await;
                self.identity = Some(identity.unwrap());
                Phase::IdentityCertificate
            }
            Some(Phase::IdentityCertificate) => {
                let answer = self.send(&self.authenticate()).await;
                assert_eq!(answer.status, 200);
                Phase::Authenticate
            }
            Some(Phase::Authenticate | Phase::TokenUpdate) => {
                self.subscribe(stage).await;
                let answer = self.send(&self.token_update()).await;
                assert_eq!(answer.status, 200);
                Phase::TokenUpdate
            }
        }
    }

    pub(super) fn service(&self) -> &ProfileService {
        self.service.as_ref().expect("it has signed in")
    }

    pub(super) fn interim_scep(&self) -> &ScepPayload {
        self.interim_scep.as_ref().expect("it was identified")
    }

    pub(super) fn interim(&self) -> &Identity {
        self.interim.as_ref().expect("it has a certificate")
    }

    pub(super) fn profile(&self) -> &EnrollmentProfile {
        self.profile.as_ref().expect("it has its profile")
    }

    pub(super) fn identity(&self) -> &Identity {
        self.identity.as_ref().expect("it has its identity")
    }

    pub(super) fn management(&self) -> Management {
        Management::from(&self.profile().mdm)
    }

    pub(super) fn magic(&self) -> &PushMagic {
        &self.magic
    }

    /// The token by which it can be woken, and its wake-ups.
    pub(super) fn subscription(&mut self) -> &mut Subscription {
        self.subscription.as_mut().expect("it has subscribed")
    }

    pub(super) async fn subscribe(&mut self, stage: &Stage) {
        let topic = self.management().topic;
        let subscription = Subscription::connect(&stage.courier, self.device.udid(), &topic).await;
        self.subscription = Some(subscription.unwrap());
    }

    /// Drops its connections, as they are when the server has crashed.
    pub(super) fn reconnect(&mut self) {
        self.device.client = self.device.client.trusting(&[]).unwrap();
    }

    pub(super) fn attributes(&self) -> DeviceAttributes {
        let service = self.service();
        self.device
            .attributes(&service.attributes, service.challenge.clone())
    }

    pub(super) fn phase_2(&self) -> Vec<u8> {
        self.device.phase_2_message(&self.attributes()).unwrap()
    }

    pub(super) fn phase_3(&self) -> Vec<u8> {
        self.device
            .phase_3_message(&self.attributes(), self.interim())
            .unwrap()
    }

    /// Posts a message of phase 2 or 3, whatever it says.
    pub(super) async fn post_message(&self, message: &[u8]) -> Answer {
        post_message(&self.device.client, &self.service().url, message).await
    }

    pub(super) fn authenticate(&self) -> Vec<u8> {
        let sender = self.device.sender().unwrap();
        let facts = &self.device.model.facts;
        let message = self.management().authenticate(sender, facts).unwrap();
        message.to_xml().to_vec()
    }

    pub(super) fn token_update(&self) -> Vec<u8> {
        let subscription = self.subscription.as_ref().expect("it has subscribed");
        let message = self.management().token_update(
            self.device.sender().unwrap(),
            subscription.token(),
            self.magic.clone(),
            UnlockToken::new(self.device.model.unlock_token.expose()),
        );
        message.unwrap().to_xml().to_vec()
    }

    pub(super) fn report(&self, outcome: Outcome) -> Vec<u8> {
        let sender = self.device.sender().unwrap();
        Report::new(sender, outcome).unwrap().to_xml()
    }

    pub(super) fn idle(&self) -> Vec<u8> {
        self.report(Outcome::Idle)
    }

    pub(super) fn acknowledged(&self, command: &Command) -> Vec<u8> {
        self.report(Outcome::Result {
            command_uuid: command.uuid().to_owned(),
            status: Status::Acknowledged,
            errors: Vec::new(),
            response: plist::Dictionary::new(),
        })
    }

    /// Sends a check-in message under its identity.
    pub(super) async fn send(&self, message: &[u8]) -> Answer {
        self.send_as(message, self.identity()).await
    }

    pub(super) async fn send_as(&self, message: &[u8], identity: &Identity) -> Answer {
        let url = self.management().check_in_url;
        let header = signature::create(message, &identity.key, &identity.certificate).unwrap();
        put(
            &self.device.client,
            &url,
            checkin::CONTENT_TYPE,
            message,
            &header,
        )
        .await
    }

    /// Sends a report under its identity; the command that it is answered with, if there is one.
    pub(super) async fn connect(&self, report: &[u8]) -> Option<Command> {
        let answer = self.connect_as(report, self.identity()).await;
        assert_eq!(answer.status, 200);
        connect::read_answer(&answer.body, Limits::default()).unwrap()
    }

    pub(super) async fn connect_as(&self, report: &[u8], identity: &Identity) -> Answer {
        let url = self.management().connect_url;
        let header = signature::create(report, &identity.key, &identity.certificate).unwrap();
        put(
            &self.device.client,
            &url,
            connect::CONTENT_TYPE,
            report,
            &header,
        )
        .await
    }
}

/// Posts a message of phase 2 or 3.
pub(super) async fn post_message(client: &Client, url: &str, message: &[u8]) -> Answer {
    let kind = lanyard_mdm::ota::REQUEST_CONTENT_TYPE;
    let call = Call::post(url, kind, message.to_vec());
    client.send(&call).await.unwrap()
}

/// Puts a message with this `Mdm-Signature`.
pub(super) async fn put(
    client: &Client,
    url: &str,
    content_type: &str,
    message: &[u8],
    header: &str,
) -> Answer {
    let name = HeaderName::from_static(signature::HEADER);
    let call = Call::put(url, content_type, message.to_vec()).header(name, header);
    client.send(&call).await.unwrap()
}

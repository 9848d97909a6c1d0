//! An engine in this process, and devices that exchange octets with it without a network between.

use std::{
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use lanyard_device::{
    apns::PushAuthority,
    device::Device,
    enroll::{self, EnrollmentProfile, Management},
    factory::{Factory, Identity},
    http::Client,
};
use lanyard_engine::{
    Clock, DeviceAuthority, Engine, Hooks, Lifetimes, LocalUsers, PkiAnswer, ProfileSigner, Proof,
    Rates, Refusal, Setup, SignInAttempt, SignInRefused, SignedIn, Urls,
};
use lanyard_mdm::{
    DeviceToken, PushMagic, UnlockToken,
    connect::{Command, Outcome, Report, Status, read_answer},
    document::Limits,
    ota::{FactoryTrust, ProfileService},
    profile::{Content, ReceivedProfile, ScepPayload, Settings},
    signature, signed,
};
use lanyard_pki::{
    Authority, KeyUsage, Name, NameAttribute, PrivateKey, SerialNumber, Template,
    seal::{KeyRing, SealingKey},
};
use lanyard_policy::{Binding, Directory, DirectoryChain, Secret};
use lanyard_push::{Apns, Endpoint as ApnsEndpoint, PushCertificate, Roots};
use lanyard_scep::{
    ChallengeKey, Compatibility, Endpoint, Mode,
    client::{Answer, Authorities, Enrollment},
};
use lanyard_store::{Approval, ApprovalAnswer, ApprovalState, Store};
use lanyard_tests::database::{self, OnPostgres};
use tempfile::TempDir;

pub(crate) const USER: &str = "tester";
pub(crate) const PASSWORD: &str = "correct horse battery";
const REMOTE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) struct Workshop {
    pub(crate) engine: Engine,
    pub(crate) store: Store,
    _database: Option<OnPostgres>,
    _folder: TempDir,
}

impl Workshop {
    /// An engine with these hooks; `directories` are asked before the native one, which knows [`USER`].
    pub(crate) async fn open(hooks: Hooks, directories: Vec<Binding<dyn Directory>>) -> Workshop {
        Self::open_at(hooks, directories, Clock::default()).await
    }

    /// The same by this clock.
    pub(crate) async fn open_at(
        hooks: Hooks,
        directories: Vec<Binding<dyn Directory>>,
        clock: Clock,
    ) -> Workshop {
        Self::open_with(hooks, directories, clock, plenty(), vec![push()]).await
    }

    /// An engine that counts sign-ins.
    pub(crate) async fn open_limited(
        directories: Vec<Binding<dyn Directory>>,
        rates: Rates,
    ) -> Workshop {
        let clock = Clock::default();
        Self::open_with(Hooks::default(), directories, clock, rates, vec![push()]).await
    }

    /// An engine that wakes devices over these, by this clock.
    pub(crate) async fn open_pushing(push: Vec<Apns>, clock: Clock) -> Workshop {
        let rates = plenty();
        Self::open_with(Hooks::default(), Vec::new(), clock, rates, push).await
    }

    async fn open_with(
        hooks: Hooks,
        directories: Vec<Binding<dyn Directory>>,
        clock: Clock,
        rates: Rates,
        push: Vec<Apns>,
    ) -> Workshop {
        let folder = tempfile::tempdir().unwrap();
        let file = || format!("sqlite://{}", folder.path().join("lanyard.db").display());
        let database = database::on_postgres().unwrap();
        let url = database.as_ref().map_or_else(file, OnPostgres::url);
        let sealing = KeyRing::from(SealingKey::generate());
        let store = Store::connect(&url, sealing.clone()).await.unwrap();
        let native: Arc<dyn Directory> = Arc::new(LocalUsers::new(store.clone()).unwrap());
        let native = Binding::new(LocalUsers::NAME, native);
        let directories = directories.into_iter().chain([native]).collect();
        let hooks = Hooks {
            directory: DirectoryChain::new(directories),
            ..hooks
        };
        let setup = setup(store.clone(), hooks, &sealing, rates, push);
        let engine = Engine::with_clock(setup, clock).await;
        let engine = engine.unwrap();
        let password = Secret::new(PASSWORD);
        engine.add_user(USER, USER, password).await.unwrap();
        Workshop {
            engine,
            store,
            _database: database,
            _folder: folder,
        }
    }

    /// What waits for an answer.
    pub(crate) async fn approvals(&self) -> Vec<Approval> {
        let pending = self.engine.approvals(Some(ApprovalState::Pending), 10);
        pending.await.unwrap()
    }

    pub(crate) async fn answer(&self, approval: &Approval, approved: bool) {
        let answer = ApprovalAnswer {
            approved,
            by: "rosa",
            note: Some("as the test says"),
        };
        let id = approval.asked.id.to_string();
        self.engine.answer_approval(&id, answer).await.unwrap();
    }

    /// Phase 1.
    pub(crate) async fn sign_in(&self) -> Result<ProfileService, SignInRefused> {
        let attempt = SignInAttempt {
            user_name: USER.to_owned(),
            password: Secret::new(PASSWORD),
            remote: REMOTE,
            user_agent: None,
        };
        let SignedIn::Document(document) = self.engine.sign_in(attempt).await? else {
            panic!("a further step");
        };
        let opened = signed::open(&document).unwrap();
        Ok(ProfileService::parse(&opened.content, Limits::default()).unwrap())
    }

    /// A device, and its message of phase 2 for a person who signed in.
    pub(crate) async fn newcomer(&self) -> Newcomer {
        let identity = factory().issue(SystemTime::now()).unwrap();
        let client = Client::new(Vec::new()).unwrap();
        let device = Device::new(rand::random(), identity, client);
        let message = self.message_of(&device).await;
        Newcomer { device, message }
    }

    /// A message of phase 2 after a sign-in of its own.
    pub(crate) async fn message_of(&self, device: &Device) -> Vec<u8> {
        let service = self.sign_in().await.unwrap();
        let attributes = device.attributes(&service.attributes, service.challenge);
        device.phase_2_message(&attributes).unwrap()
    }

    /// Phase 2: where the interim certificate is.
    pub(crate) async fn identify(&self, message: &[u8]) -> Result<ScepPayload, Refusal> {
        let document = self.engine.enrollment_message(message, REMOTE).await?;
        let opened = signed::open(&document).unwrap();
        let profile = ReceivedProfile::parse(&opened.content, Limits::default()).unwrap();
        let Content::Clear(payloads) = profile.content else {
            panic!("the interim profile is encrypted");
        };
        match &payloads[0].settings {
            Settings::Scep(payload) => Ok(payload.clone()),
            other => panic!("the interim profile has {other:?}"),
        }
    }

    pub(crate) fn authorities(&self) -> Authorities {
        let offered = self.engine.scep_authorities();
        Authorities::read(offered.content_type, &offered.body).unwrap()
    }

    /// One PKIOperation.
    pub(crate) async fn ask(&self, enrollment: &Enrollment<'_>) -> Answer {
        match self
            .engine
            .pki_operation(enrollment.message(), REMOTE)
            .await
            .unwrap()
        {
            PkiAnswer::CertRep(answer) => enrollment.receive(&answer).unwrap(),
            PkiAnswer::NotAMessage => panic!("the request is not taken for one"),
        }
    }

    /// Several PKIOperations at once.
    pub(crate) async fn ask_at_once(&self, enrollments: &[Enrollment<'_>]) -> Vec<Answer> {
        let ask = |enrollment: &Enrollment<'_>| {
            let (engine, message) = (self.engine.clone(), enrollment.message().to_vec());
            tokio::spawn(async move { engine.pki_operation(&message, REMOTE).await.unwrap() })
        };
        let asked: Vec<_> = enrollments.iter().map(ask).collect();
        let mut answers = Vec::new();
        for (enrollment, asked) in enrollments.iter().zip(asked) {
            let PkiAnswer::CertRep(answer) = asked.await.unwrap() else {
                panic!("the request is not taken for one");
            };
            answers.push(enrollment.receive(&answer).unwrap());
        }
        answers
    }

    /// Phase 3.
    pub(crate) async fn fetch_profile(
        &self,
        device: &Device,
        interim: &Identity,
    ) -> Result<Vec<u8>, Refusal> {
        let attributes = device.attributes(&asked(), None);
        let message = device.phase_3_message(&attributes, interim).unwrap();
        self.engine.enrollment_message(&message, REMOTE).await
    }

    pub(crate) async fn certify(&self, payload: &ScepPayload) -> Identity {
        let (authorities, key) = (self.authorities(), key());
        match self.ask(&request(&authorities, &key, payload)).await {
            Answer::Issued(certificate) => Identity {
                key,
                certificate,
                chain: Vec::new(),
            },
            other => panic!("not issued: {other:?}"),
        }
    }

    /// Every phase up to the management profile.
    pub(crate) async fn delivered(&self) -> (Device, EnrollmentProfile) {
        let Newcomer { device, message } = self.newcomer().await;
        let payload = self.identify(&message).await.unwrap();
        let interim = self.certify(&payload).await;
        let document = self.fetch_profile(&device, &interim).await;
        let opened = signed::open(&document.unwrap()).unwrap();
        let (_, profile) = enroll::decrypt(&opened, &interim).unwrap();
        (device, profile)
    }

    /// Every phase up to TokenUpdate.
    pub(crate) async fn enroll(&self) -> Managed<'_> {
        self.enroll_with(DeviceToken::new([7; 32])).await
    }

    /// The same, with this device token.
    pub(crate) async fn enroll_with(&self, token: DeviceToken) -> Managed<'_> {
        let managed = self.authenticated().await;
        managed.update_token(token).await;
        managed
    }

    /// Every phase up to Authenticate.
    pub(crate) async fn authenticated(&self) -> Managed<'_> {
        let (device, profile) = self.delivered().await;
        let managed = Managed {
            workshop: self,
            identity: self.certify(&profile.scep).await,
            management: Management::from(&profile.mdm),
            device,
        };
        let sender = managed.device.sender().unwrap();
        let facts = &managed.device.model.facts;
        let authenticate = managed.management.authenticate(sender, facts).unwrap();
        managed.check_in(&authenticate.to_xml()).await;
        managed
    }
}

/// A device between phase 1 and phase 2.
pub(crate) struct Newcomer {
    pub(crate) device: Device,
    pub(crate) message: Vec<u8>,
}

/// A device that checked in.
pub(crate) struct Managed<'a> {
    workshop: &'a Workshop,
    identity: Identity,
    management: Management,
    device: Device,
}

impl Managed<'_> {
    pub(crate) fn udid(&self) -> &str {
        self.device.udid()
    }

    /// The device itself.
    pub(crate) fn as_device(&self) -> &Device {
        &self.device
    }

    /// TokenUpdate.
    pub(crate) async fn update_token(&self, token: DeviceToken) {
        let (sender, magic) = (self.device.sender().unwrap(), PushMagic::new("MAGIC"));
        let unlock = UnlockToken::new([9; 64]);
        let update = self.management.token_update(sender, token, magic, unlock);
        self.check_in(&update.unwrap().to_xml()).await;
    }

    /// Asks for work.
    pub(crate) async fn idle(&self) -> Option<Command> {
        self.report(Outcome::Idle).await
    }

    /// Answers a command.
    pub(crate) async fn answer(&self, command: &Command, status: Status) -> Option<Command> {
        let outcome = Outcome::Result {
            command_uuid: command.uuid().to_owned(),
            status,
            errors: Vec::new(),
            response: Default::default(),
        };
        self.report(outcome).await
    }

    async fn report(&self, outcome: Outcome) -> Option<Command> {
        let report = Report::new(self.device.sender().unwrap(), outcome).unwrap();
        let body = report.to_xml();
        let signature = self.sign(&body);
        let answer = self.workshop.engine.connect(&body, proof(&signature)).await;
        let answer = answer.unwrap()?;
        read_answer(answer.expose(), Limits::default()).unwrap()
    }

    async fn check_in(&self, body: &[u8]) {
        let signature = self.sign(body);
        let answer = self.workshop.engine.check_in(body, proof(&signature)).await;
        answer.unwrap();
    }

    fn sign(&self, body: &[u8]) -> Vec<u8> {
        let Identity {
            key, certificate, ..
        } = &self.identity;
        signature::create(body, key, certificate)
            .unwrap()
            .into_bytes()
    }
}

fn proof(signature: &[u8]) -> Proof<'_> {
    Proof {
        signature: Some(signature),
        ..Proof::default()
    }
}

/// A request for the certificate that the payload is about.
pub(crate) fn request<'a>(
    authorities: &'a Authorities,
    key: &'a PrivateKey,
    payload: &ScepPayload,
) -> Enrollment<'a> {
    let challenge = payload
        .challenge
        .as_ref()
        .map(|challenge| challenge.expose());
    let subject = name("whatever the request says");
    let now = SystemTime::now();
    Enrollment::new(authorities, key, &subject, challenge, rand::random(), now).unwrap()
}

pub(crate) fn key() -> PrivateKey {
    PrivateKey::generate_rsa(2048).unwrap()
}

fn asked() -> Vec<String> {
    ["UDID", "SERIAL", "PRODUCT", "VERSION"]
        .map(str::to_owned)
        .to_vec()
}

fn name(common_name: &str) -> Name {
    Name::new(&[(NameAttribute::CommonName, common_name)])
}

// RSA keys take a tenth of a second each, and these say nothing about one engine or another.
static FACTORY: OnceLock<Factory> = OnceLock::new();
static RA_KEY: OnceLock<PrivateKey> = OnceLock::new();
static PUSH: OnceLock<(ApnsEndpoint, PushCertificate)> = OnceLock::new();

fn factory() -> &'static Factory {
    FACTORY.get_or_init(|| Factory::create(SystemTime::now()).unwrap())
}

fn setup(store: Store, hooks: Hooks, sealing: &KeyRing, rates: Rates, push: Vec<Apns>) -> Setup {
    let authority = authority("Device CA");
    let ra_key = RA_KEY.get_or_init(key).clone();
    let usage = KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT);
    let ra = authority
        .danger_issue(&template("Device RA", usage), ra_key.public_key())
        .unwrap();
    let ra = lanyard_scep::Identity {
        certificate: ra,
        key: ra_key,
    };
    let scep = Endpoint::new(
        "device",
        authority,
        Vec::new(),
        Mode::OneRa(ra),
        Compatibility::Modern,
    );
    let signer = self::authority("Profile Signing");
    let url = |path: &str| format!("https://mdm.example.com{path}");
    Setup {
        store,
        hooks,
        scep: scep.unwrap(),
        challenges: ChallengeKey::new(sealing.derive("scep challenges")),
        signer: ProfileSigner {
            key: signer.key().clone(),
            certificate: signer.certificate().clone(),
            chain: Vec::new(),
        },
        anchors: Vec::new(),
        factory: FactoryTrust::new()
            .with_root(factory().chain().last().unwrap().clone())
            .unwrap(),
        device_authority: DeviceAuthority::Record,
        push,
        pushes_per_second: NonZeroU32::new(1000).unwrap(),
        urls: Urls {
            profile_service: url("/enroll/profile"),
            scep: url("/scep/device"),
            check_in: url("/mdm/checkin"),
            connect: url("/mdm/connect"),
        },
        organization: "Lanyard".to_owned(),
        sign_messages: true,
        lifetimes: Lifetimes::default(),
        rates,
    }
}

/// A way to APNs that nobody goes.
pub(crate) fn push() -> Apns {
    let (endpoint, certificate) = PUSH.get_or_init(nowhere);
    Apns::new(endpoint.clone(), certificate, &Default::default()).unwrap()
}

fn nowhere() -> (ApnsEndpoint, PushCertificate) {
    let authority = PushAuthority::create(SystemTime::now()).unwrap();
    let identity = authority
        .push_certificate("com.apple.mgmt.External.test", SystemTime::now())
        .unwrap();
    let pem = format!(
        "{}{}",
        identity.certificate.to_pem(),
        *identity.key.to_pem().unwrap()
    );
    let certificate = PushCertificate::from_pem(pem.as_bytes()).unwrap();
    let roots = Roots::Pem(authority.certificate().to_pem());
    let endpoint = ApnsEndpoint::new("localhost", 9, &roots).unwrap();
    (endpoint, certificate)
}

fn plenty() -> Rates {
    let many = NonZeroU32::new(10_000).unwrap();
    Rates {
        per_name: many,
        per_address: many,
        messages_per_address: many,
    }
}

fn authority(common_name: &str) -> Authority {
    let template = Template {
        authority: Some(0),
        ..template(
            common_name,
            KeyUsage::KEY_CERT_SIGN.and(KeyUsage::DIGITAL_SIGNATURE),
        )
    };
    Authority::self_signed(PrivateKey::generate_p256().unwrap(), &template).unwrap()
}

fn template(common_name: &str, key_usage: KeyUsage) -> Template {
    let now = SystemTime::now();
    Template {
        subject: name(common_name),
        serial: SerialNumber::from_random(rand::random()),
        not_before: now - DAY,
        not_after: now + 3650 * DAY,
        key_usage,
        extended_key_usage: Vec::new(),
        alternative_names: Vec::new(),
        authority: None,
        permitted_hosts: Vec::new(),
    }
}

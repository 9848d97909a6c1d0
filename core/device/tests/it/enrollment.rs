//! Enrolling, and servers that a device must not fall for.

use std::path::Path;
use std::sync::Mutex;

use lanyard_device::apns::{Courier, Settings, Simulator};
use lanyard_device::device::Device;
use lanyard_device::enroll::{
    Credentials, EnrollError, EnrollmentProfile, Invitation, Phase, StepError, decrypt,
};
use lanyard_device::factory::Identity;
use lanyard_device::http::Client;
use lanyard_device::journal::{Journal, JournalError, State, Status};
use lanyard_device::manage::Managed;
use lanyard_device::mischief::{Mischief, Told};
use lanyard_mdm::document::{self, Limits};
use lanyard_mdm::signed;
use lanyard_pki::{Certificate, PrivateKey};
use tempfile::TempDir;

use crate::stand_in::{DEVICE, Mistake, PASSWORD, StandIn, TOPIC, USER};

/// A simulated APNs, and a directory for devices.
pub(crate) struct Surroundings {
    pub(crate) courier: Courier,
    pub(crate) directory: TempDir,
    apns: Option<Simulator>,
}

impl Surroundings {
    pub(crate) async fn new() -> Surroundings {
        let directory = tempfile::tempdir().unwrap();
        let any_port = "127.0.0.1:0".parse().unwrap();
        let apns = Simulator::start(&Settings {
            directory: directory.path().join("apns"),
            listen: any_port,
            device_listen: any_port,
        })
        .await
        .unwrap();
        let said = apns.announcement();
        let ca = std::fs::read(&said.ca).unwrap();
        Surroundings {
            courier: Courier::new(&said.device_address.to_string(), &ca).unwrap(),
            directory,
            apns: Some(apns),
        }
    }

    /// The same addresses and certificates, and no token known.
    pub(crate) async fn restart_apns_without_memory(&mut self) {
        let apns = self.apns.take().unwrap();
        let said = apns.announcement().clone();
        apns.stop().await;
        let directory = self.directory.path().join("apns");
        std::fs::remove_file(directory.join("tokens.jsonl")).unwrap();
        let settings = Settings {
            directory,
            listen: said.push_address,
            device_listen: said.device_address,
        };
        self.apns = Some(Simulator::start(&settings).await.unwrap());
    }

    pub(crate) async fn enroll(
        &self,
        server: &StandIn,
        mischief: &[Mischief],
    ) -> Result<Managed, EnrollError> {
        self.enroll_telling(server, mischief, |_| {}).await
    }

    async fn enroll_telling(
        &self,
        server: &StandIn,
        mischief: &[Mischief],
        echo: fn(&str),
    ) -> Result<Managed, EnrollError> {
        let device = device();
        let told = Told::new(mischief.iter().copied());
        let invitation = Invitation {
            link: &server.link(),
            credentials: &Credentials::new(USER, PASSWORD),
            courier: &self.courier,
            told: &told,
        };
        let journal = Journal::begin(&self.devices(), &device.model, echo).unwrap();
        Managed::enroll(device, &invitation, journal).await
    }

    pub(crate) fn devices(&self) -> std::path::PathBuf {
        self.directory.path().join("devices")
    }

    /// What the one device here has written down.
    pub(crate) fn state(&self) -> State {
        let folder = self.devices().join(device().udid());
        Journal::open(&folder, |_| {}).unwrap().state
    }
}

fn device() -> Device {
    let client = Client::new(vec![StandIn::root()]).unwrap();
    Device::new([3; 16], DEVICE.clone(), client)
}

#[tokio::test]
async fn a_device_enrolls_and_leaves_evidence() {
    let surroundings = Surroundings::new().await;
    let server = StandIn::start(None).await;
    let managed = surroundings.enroll(&server, &[]).await.unwrap();

    assert_eq!(server.check_ins(), ["Authenticate", "TokenUpdate"]);
    let state = surroundings.state();
    assert_eq!(state.status, Status::Enrolled);
    assert_eq!(state.reached, Some(Phase::TokenUpdate));
    assert_eq!(state.person.as_deref(), Some(USER));
    assert_eq!(state.management.unwrap().topic, TOPIC);
    let identity = state.identity.unwrap();
    assert_eq!(identity.subject, "CN=as the server says");
    assert_ne!(identity.serial, state.interim.unwrap().serial);
    assert!(state.model.profiles[0].encrypted && state.model.profiles[0].enrolls());
    // The certificate that signed check-in is the second one.
    let script = server.script.lock().unwrap();
    for (_, signer) in &script.check_ins {
        assert_eq!(*signer, managed.identity().certificate);
    }
}

#[tokio::test]
async fn the_files_of_a_device_open_its_profile_and_no_others_do() {
    let surroundings = Surroundings::new().await;
    let server = StandIn::start(None).await;
    let managed = surroundings.enroll(&server, &[]).await.unwrap();
    let folder = managed.folder();

    let document = std::fs::read(folder.join("enrollment.mobileconfig")).unwrap();
    let opened = signed::open(&document).unwrap();
    let (payloads, profile) = decrypt(&opened, &read_identity(folder, "interim")).unwrap();
    assert_eq!(
        *payloads,
        std::fs::read(folder.join("payloads.plist")).unwrap()
    );
    assert_eq!(profile.mdm.topic, TOPIC);
    for another in [&*DEVICE, &read_identity(folder, "identity")] {
        assert!(matches!(
            decrypt(&opened, another),
            Err(StepError::Decrypt(_))
        ));
    }
}

fn read_identity(folder: &Path, name: &str) -> Identity {
    let read = |ending: &str| std::fs::read(folder.join(format!("{name}.{ending}"))).unwrap();
    Identity {
        key: PrivateKey::from_pem(&read("key")).unwrap(),
        certificate: Certificate::many_from_pem(&read("pem")).unwrap().remove(0),
        chain: Vec::new(),
    }
}

#[tokio::test]
async fn a_device_gives_up_where_the_server_is_wrong() {
    for (mistake, phase, said) in [
        (Mistake::Unsigned, Phase::SignIn, "signature"),
        (Mistake::SignedByStranger, Phase::SignIn, "not trusted"),
        (Mistake::WebPage, Phase::SignIn, "text/html"),
        (Mistake::TwoPayloads, Phase::Identify, "exactly one payload"),
        (Mistake::NoCapabilities, Phase::InterimCertificate, "DES3"),
        (
            Mistake::WrongFingerprint,
            Phase::InterimCertificate,
            "CAFingerprint",
        ),
        (
            Mistake::ScepRefuses,
            Phase::InterimCertificate,
            "not authorised",
        ),
        (Mistake::Clear, Phase::Profile, "EncryptedPayloadContent"),
        (
            Mistake::EncryptedToAnother,
            Phase::Profile,
            "not encrypted to this",
        ),
        (Mistake::NoManagement, Phase::Profile, "com.apple.mdm"),
    ] {
        let surroundings = Surroundings::new().await;
        let server = StandIn::start(Some(mistake)).await;
        let error = surroundings.enroll(&server, &[]).await.err().unwrap();
        assert_eq!(error.phase, phase, "{mistake:?}");
        let state = surroundings.state();
        assert_eq!(state.status, Status::Failed);
        assert!(state.reached < Some(phase), "{mistake:?}");
        let failure = state.failure.unwrap();
        assert!(failure.contains(said), "{mistake:?}: {failure}");
        assert_eq!(server.check_ins(), [""; 0], "{mistake:?}");
    }
}

#[tokio::test]
async fn a_pending_certificate_is_waited_for_aloud_and_asked_for_again() {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let surroundings = Surroundings::new().await;
    let server = StandIn::start(Some(Mistake::ScepPendsOnce)).await;
    let echo = |line: &str| TOLD.lock().unwrap().push(line.to_owned());
    let enrolling = surroundings.enroll_telling(&server, &[], echo);
    enrolling.await.unwrap();
    assert!(server.script.lock().unwrap().pended);
    let told = TOLD.lock().unwrap();
    let waits: Vec<&String> = told.iter().filter(|line| line.contains("waits")).collect();
    let [line] = waits[..] else {
        panic!("it was pending once: {told:?}");
    };
    for part in [
        device().udid(),
        "SCEP (interim certificate)",
        "somebody may have to approve it",
        "Asks again every 0 s, 3 times at most",
    ] {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
}

#[tokio::test]
async fn mischief_is_made_where_it_is_told() {
    for (mischief, phase, said) in [
        (Mischief::WrongPassword, Phase::SignIn, "401"),
        (Mischief::AlterPhase2, Phase::Identify, "400"),
        (Mischief::ForeignPhase2, Phase::Identify, "400"),
        (
            Mischief::WrongChallenge,
            Phase::InterimCertificate,
            "not authorised",
        ),
        (Mischief::AlterPhase3, Phase::Profile, "400"),
        (Mischief::UnsignedCheckIn, Phase::Authenticate, "400"),
        (Mischief::NoTokenUpdate, Phase::TokenUpdate, "told to stop"),
    ] {
        let surroundings = Surroundings::new().await;
        let server = StandIn::start(None).await;
        let error = surroundings
            .enroll(&server, &[mischief])
            .await
            .err()
            .unwrap();
        assert_eq!(error.phase, phase, "{mischief}");
        let failure = surroundings.state().failure.unwrap();
        assert!(failure.contains(said), "{mischief}: {failure}");
    }
}

#[tokio::test]
async fn a_device_that_failed_cannot_go_on_being_managed() {
    let surroundings = Surroundings::new().await;
    let server = StandIn::start(Some(Mistake::Clear)).await;
    surroundings.enroll(&server, &[]).await.err().unwrap();
    let folder = surroundings.devices().join(device().udid());
    let resumed = Managed::resume(&folder, &surroundings.courier, Told::default(), |_| {}).await;
    assert!(matches!(
        resumed.err().unwrap(),
        StepError::Journal(JournalError::NotEnrolled)
    ));
}

#[test]
fn a_profile_must_lead_to_https_and_name_its_identity() {
    let good = String::from_utf8(StandIn::profile("https://mdm.example")).unwrap();
    let read = |profile: &str| {
        let entries = document::read(profile.as_bytes(), Limits::default()).unwrap();
        EnrollmentProfile::read(&entries, &[])
    };
    assert!(read(&good).is_ok());
    let connect = "https://mdm.example/connect";
    let plain = good.replace(connect, "http://mdm.example/connect");
    assert!(matches!(read(&plain), Err(StepError::NotHttps { .. })));
    let key = "<key>IdentityCertificateUUID</key>";
    let (before, after) = good.split_once(key).unwrap();
    let (_, after) = after.split_once("</string>").unwrap();
    let nobody = "<string>00000000-0000-0000-0000-000000000000</string>";
    let nameless = format!("{before}{key}{nobody}{after}");
    assert!(matches!(read(&nameless), Err(StepError::Payloads(_))));
}

#[test]
fn attributes_are_those_that_were_asked_for() {
    let device = device();
    let asked = ["UDID".to_owned(), "SERIAL".to_owned()];
    let attributes = device.attributes(&asked, None);
    let facts = &device.model.facts;
    assert_eq!(attributes.udid, facts.udid);
    assert_eq!(attributes.serial.as_ref(), Some(&facts.serial_number));
    assert_eq!((attributes.imei, attributes.product), (None, None));
}

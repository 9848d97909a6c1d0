//! The stand-in: the server halves of the protocol crates over real TLS, with a mistake to order.

mod scep;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::SystemTime;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lanyard_device::apns::PushAuthority;
use lanyard_device::factory::{Factory, Identity};
use lanyard_mdm::checkin::CheckIn;
use lanyard_mdm::connect::{Command, Report};
use lanyard_mdm::document::Limits;
use lanyard_mdm::ota::{self, Attestation, FactoryTrust, PhaseMessage, ProfileService};
use lanyard_mdm::profile::{
    self, CertificatePayload, CertificateRole, ConfigurationProfile, Label, MdmPayload, Payload,
    Settings,
};
use lanyard_mdm::signed::{self, SigningIdentity};
use lanyard_mdm::{Challenge, signature};
use lanyard_pki::Certificate;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

pub(crate) const TOPIC: &str = "com.apple.mgmt.External.stand-in";
pub(crate) const USER: &str = "anna";
pub(crate) const PASSWORD: &str = "geheim";
/// `anna:geheim`
const BASIC: &str = "Basic YW5uYTpnZWhlaW0=";
const CHALLENGE: &str = "phase-2-challenge";

/// Keys are made once a run: RSA is slow to generate.
pub(crate) static FACTORY: LazyLock<Factory> =
    LazyLock::new(|| Factory::create(SystemTime::now()).unwrap());
pub(crate) static DEVICE: LazyLock<Identity> =
    LazyLock::new(|| FACTORY.issue(SystemTime::now()).unwrap());
static TLS: LazyLock<PushAuthority> =
    LazyLock::new(|| PushAuthority::create(SystemTime::now()).unwrap());
static STRANGER: LazyLock<PushAuthority> =
    LazyLock::new(|| PushAuthority::create(SystemTime::now()).unwrap());
/// A mistake to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// The Profile Service document is not signed.
    Unsigned,
    /// It is signed by somebody whom the device does not trust.
    SignedByStranger,
    /// It has the content type of a web page.
    WebPage,
    /// The interim profile has a second payload.
    TwoPayloads,
    /// GetCACaps knows neither a digest nor a cipher.
    NoCapabilities,
    /// The profile has another CAFingerprint than the authority.
    WrongFingerprint,
    /// SCEP refuses.
    ScepRefuses,
    /// The first SCEP answer is that a decision is pending, the second has the certificate.
    ScepPendsOnce,
    /// The profile of phase 3 is not encrypted.
    Clear,
    /// It is encrypted to another certificate.
    EncryptedToAnother,
    /// It has no management payload.
    NoManagement,
}

/// What the server has been told, and what it has still to say.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) mistake: Option<Mistake>,
    pub(crate) pended: bool,
    /// The latest request for a certificate, which a poll is about.
    pub(crate) request: Vec<u8>,
    pub(crate) check_ins: Vec<(CheckIn, Certificate)>,
    pub(crate) reports: Vec<Report>,
    pub(crate) commands: VecDeque<Command>,
    /// What becomes of the next connect requests: a status and a body, or, with `None`, the usual.
    pub(crate) refusals: VecDeque<Option<(u16, &'static [u8])>>,
}

/// A running stand-in; it ends when it is dropped.
pub(crate) struct StandIn {
    pub(crate) origin: String,
    pub(crate) script: Arc<Mutex<Script>>,
    _connections: JoinSet<()>,
}

impl StandIn {
    pub(crate) async fn start(mistake: Option<Mistake>) -> StandIn {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let origin = format!(
            "https://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        let script = Arc::new(Mutex::new(Script {
            mistake,
            ..Script::default()
        }));
        let acceptor = TlsAcceptor::from(Arc::new(tls()));
        let mut connections = JoinSet::new();
        let (served, at) = (Arc::clone(&script), origin.clone());
        connections.spawn(async move {
            let mut each = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, script) = (acceptor.clone(), Arc::clone(&served));
                let origin = at.clone();
                each.spawn(async move {
                    let stream = acceptor.accept(tcp).await.unwrap();
                    let service = service_fn(move |request| {
                        let (script, origin) = (Arc::clone(&script), origin.clone());
                        async move { Ok::<_, Infallible>(answer(request, &script, &origin).await) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    // The device may end a connection as it likes.
                    let _ = connection.await;
                });
            }
        });
        StandIn {
            origin,
            script,
            _connections: connections,
        }
    }

    pub(crate) fn root() -> Certificate {
        TLS.certificate().clone()
    }

    pub(crate) fn link(&self) -> String {
        format!("{}/enroll", self.origin)
    }

    pub(crate) fn queue(&self, uuid: &str, request: plist::Dictionary) {
        let command = Command::new(uuid, request).unwrap();
        self.script.lock().unwrap().commands.push_back(command);
    }

    /// `MessageType` of each check-in so far.
    pub(crate) fn check_ins(&self) -> Vec<String> {
        let script = self.script.lock().unwrap();
        let types = script.check_ins.iter();
        types
            .map(|(check_in, _)| check_in.message.message_type().to_owned())
            .collect()
    }

    /// The enrollment profile of the server at `origin`, in clear.
    pub(crate) fn profile(origin: &str) -> Vec<u8> {
        enrollment_profile(origin, None).to_xml().unwrap()
    }

    /// The same signed, as InstallProfile carries it for a renewal.
    pub(crate) fn renewal(origin: &str) -> Vec<u8> {
        sign(&StandIn::profile(origin), &TLS)
    }
}

fn tls() -> ServerConfig {
    let Identity {
        key, certificate, ..
    } = TLS.server(SystemTime::now()).unwrap();
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivatePkcs8KeyDer::from(key.to_pkcs8().unwrap().to_vec());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key.into())
        .unwrap()
}

type Reply = (u16, &'static str, Vec<u8>);

const BAD_REQUEST: Reply = (400, "text/plain", Vec::new());

async fn answer(
    request: Request<Incoming>,
    script: &Mutex<Script>,
    origin: &str,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let header = |name: &str| head.headers.get(name).map(|value| value.as_bytes());
    let mut script = script.lock().unwrap();
    let (status, content_type, body) = match (head.method.as_str(), head.uri.path()) {
        ("GET", "/enroll") if header("authorization") == Some(BASIC.as_bytes()) => {
            profile_service(origin, script.mistake)
        }
        ("GET", "/enroll") => (401, "text/plain", b"who are you?".to_vec()),
        ("POST", "/profile") => phase(&body, origin, script.mistake),
        (_, "/scep") => scep::answer(head.uri.query().unwrap_or_default(), &body, &mut script),
        ("PUT", "/checkin") => {
            match (
                signer(header(signature::HEADER), &body),
                CheckIn::parse(&body, Limits::default()),
            ) {
                (Some(signer), Ok(check_in)) => {
                    script.check_ins.push((check_in, signer));
                    (200, "text/plain", Vec::new())
                }
                _ => BAD_REQUEST,
            }
        }
        ("PUT", "/connect") => {
            match (
                signer(header(signature::HEADER), &body),
                Report::parse(&body, Limits::default()),
            ) {
                (Some(_), Ok(report)) => connect(report, &mut script),
                _ => BAD_REQUEST,
            }
        }
        _ => (404, "text/plain", Vec::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let headers = response.headers_mut();
    headers.insert("content-type", content_type.parse().unwrap());
    response
}

fn signer(header: Option<&[u8]>, body: &[u8]) -> Option<Certificate> {
    let claim = signature::Claim::read(header?).ok()?;
    claim.verify(body).ok()
}

fn connect(report: Report, script: &mut Script) -> Reply {
    if let Some(Some((status, body))) = script.refusals.pop_front() {
        return (status, "application/json", body.to_vec());
    }
    script.reports.push(report);
    let next = script.commands.pop_front();
    let body = next.map(|command| command.to_xml().unwrap().to_vec());
    (
        200,
        "application/xml; charset=UTF-8",
        body.unwrap_or_default(),
    )
}

fn profile_service(origin: &str, mistake: Option<Mistake>) -> Reply {
    let label = Label::new("org.example.service", Uuid::nil());
    let url = format!("{origin}/profile");
    let service = ProfileService::new(label, url, Challenge::new(CHALLENGE));
    let document = service.to_xml().unwrap();
    match mistake {
        Some(Mistake::Unsigned) => (200, profile::CONTENT_TYPE, document),
        Some(Mistake::SignedByStranger) => (200, profile::CONTENT_TYPE, sign(&document, &STRANGER)),
        Some(Mistake::WebPage) => (200, "text/html", sign(&document, &TLS)),
        _ => (200, profile::CONTENT_TYPE, sign(&document, &TLS)),
    }
}

fn sign(document: &[u8], authority: &PushAuthority) -> Vec<u8> {
    let Identity {
        key,
        certificate,
        chain,
    } = &authority.server(SystemTime::now()).unwrap();
    let identity = SigningIdentity {
        key,
        certificate,
        chain,
    };
    signed::sign(document, identity).unwrap()
}

/// Phases 2 and 3.
fn phase(body: &[u8], origin: &str, mistake: Option<Mistake>) -> Reply {
    let root = FACTORY.chain().last().unwrap().clone();
    let trust = FactoryTrust::new().with_root(root).unwrap();
    let is_ours = |certificate: &Certificate| {
        let authority = scep::SCEP.authority().public_key();
        certificate
            .verify_signed_by(authority, lanyard_pki::Strength::Modern)
            .is_ok()
    };
    match ota::verify_message(body, Limits::default(), is_ours) {
        Ok(PhaseMessage::Device {
            attributes,
            certificate,
            chain,
        }) => {
            let attestation = trust.attest(&certificate, &chain);
            assert!(matches!(attestation, Attestation::Trusted { .. }));
            let challenge = attributes.challenge.as_ref().map(Challenge::expose);
            if challenge != Some(CHALLENGE) {
                return BAD_REQUEST;
            }
            let mut payloads = vec![scep::payload(origin, Uuid::new_v4(), mistake)];
            if mistake == Some(Mistake::TwoPayloads) {
                payloads.push(anchor());
            }
            let profile = ConfigurationProfile {
                label: Label::new("org.example.interim", Uuid::new_v4()),
                payloads,
            };
            let signed = sign(&profile.to_xml().unwrap(), &TLS);
            (200, profile::CONTENT_TYPE, signed)
        }
        Ok(PhaseMessage::Identity { certificate, .. }) => {
            let profile = enrollment_profile(origin, mistake);
            let document = match mistake {
                Some(Mistake::Clear) => profile.to_xml(),
                Some(Mistake::EncryptedToAnother) => profile.to_encrypted_xml(&DEVICE.certificate),
                _ => profile.to_encrypted_xml(&certificate),
            };
            let signed = sign(&document.unwrap(), &TLS);
            (200, profile::CONTENT_TYPE, signed)
        }
        Err(_) => BAD_REQUEST,
    }
}

fn enrollment_profile(origin: &str, mistake: Option<Mistake>) -> ConfigurationProfile {
    let identity = Uuid::new_v4();
    let mut mdm = MdmPayload::new(identity, TOPIC, format!("{origin}/connect"));
    mdm.check_in_url = Some(format!("{origin}/checkin"));
    let mut payloads = vec![anchor(), scep::payload(origin, identity, None)];
    if mistake != Some(Mistake::NoManagement) {
        payloads.push(Payload {
            label: Label::new("org.example.mdm", Uuid::new_v4()),
            settings: Settings::Mdm(Box::new(mdm)),
        });
    }
    ConfigurationProfile {
        label: Label::new("org.example.enrollment", Uuid::new_v4()),
        payloads,
    }
}

fn anchor() -> Payload {
    let anchor = CertificatePayload {
        role: CertificateRole::Root,
        der: StandIn::root().der().to_vec(),
    };
    Payload {
        label: Label::new("org.example.anchor", Uuid::new_v4()),
        settings: Settings::Certificate(anchor),
    }
}

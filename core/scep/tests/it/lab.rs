//! Authorities, registration authorities and an endpoint; the keys are made once, because RSA keys take their time.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lanyard_pki::{
    Authority, Certificate, ExtendedKeyUsage, KeyUsage, Name, NameAttribute, PrivateKey, Template,
    seal::{KeyRing, SealingKey},
};
use lanyard_scep::{
    Authenticated, CertificateProfile, ChallengeKey, Claims, Compatibility, Endpoint, FailInfo,
    Identity, Mode, Refusal, RefusalReason, Request,
    client::{Authorities, Enrollment},
};

pub(crate) const ENDPOINT: &str = "device";
pub(crate) const SERIAL: lanyard_pki::SerialNumber =
    lanyard_pki::SerialNumber::from_random([0x2a; 16]);
pub(crate) const CLIENT_NONCE: [u8; 16] = [0xc1; 16];
pub(crate) const SERVER_NONCE: [u8; 16] = [0x5e; 16];

pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub(crate) static AUTHORITY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate_rsa(2048).unwrap());
pub(crate) static EC_AUTHORITY: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate_p256().unwrap());
pub(crate) static SIGNING: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate_rsa(2048).unwrap());
pub(crate) static ENCRYPTION: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate_rsa(2048).unwrap());
pub(crate) static CLIENT: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate_rsa(2048).unwrap());
pub(crate) static STRANGER: LazyLock<PrivateKey> =
    LazyLock::new(|| PrivateKey::generate_rsa(2048).unwrap());

pub(crate) fn name(common: &str) -> Name {
    Name::new(&[
        (NameAttribute::Organization, "Example"),
        (NameAttribute::CommonName, common),
    ])
}

pub(crate) fn template(subject: &str, serial: u8, usage: KeyUsage) -> Template {
    Template {
        subject: name(subject),
        serial: lanyard_pki::SerialNumber::from_random([serial; 16]),
        not_before: now() - Duration::from_secs(86_400),
        not_after: now() + Duration::from_secs(1000 * 86_400),
        key_usage: usage,
        extended_key_usage: Vec::new(),
        alternative_names: Vec::new(),
        authority: None,
        permitted_hosts: Vec::new(),
    }
}

pub(crate) fn both() -> KeyUsage {
    KeyUsage::DIGITAL_SIGNATURE.and(KeyUsage::KEY_ENCIPHERMENT)
}

fn issues() -> KeyUsage {
    KeyUsage::KEY_CERT_SIGN.and(KeyUsage::CRL_SIGN)
}

pub(crate) fn authority_template(subject: &str, serial: u8, usage: KeyUsage) -> Template {
    Template {
        authority: Some(1),
        ..template(subject, serial, usage)
    }
}

/// A registration authority of this authority's.
pub(crate) fn ra(
    authority: &Authority,
    subject: &str,
    serial: u8,
    key: &PrivateKey,
    usage: KeyUsage,
) -> Identity {
    let template = template(subject, serial, usage);
    Identity {
        certificate: authority.danger_issue(&template, key.public_key()).unwrap(),
        key: key.clone(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    AuthorityOnly,
    OneRa,
    SplitRa,
}

/// Every mode with every kind of authority that goes with it.
pub(crate) const SHAPES: [(Shape, bool); 5] = [
    (Shape::AuthorityOnly, false),
    (Shape::OneRa, false),
    (Shape::SplitRa, false),
    (Shape::OneRa, true),
    (Shape::SplitRa, true),
];

pub(crate) struct Lab {
    pub(crate) endpoint: Endpoint,
    pub(crate) authority: Authority,
    pub(crate) root: Authority,
    pub(crate) challenges: ChallengeKey,
}

impl Lab {
    /// One registration authority in front of a P-256 authority, old algorithms taken.
    pub(crate) fn usual() -> Self {
        Self::new(Shape::OneRa, true, Compatibility::Compatible)
    }

    pub(crate) fn modern() -> Self {
        Self::new(Shape::OneRa, true, Compatibility::Modern)
    }

    pub(crate) fn new(shape: Shape, ec: bool, compatibility: Compatibility) -> Self {
        let root_key = PrivateKey::generate_p256().unwrap();
        let root =
            Authority::self_signed(root_key, &authority_template("root", 1, issues())).unwrap();
        let key = if ec { &*EC_AUTHORITY } else { &*AUTHORITY };
        let usage = match shape {
            Shape::AuthorityOnly => issues().and(both()),
            Shape::OneRa | Shape::SplitRa => issues(),
        };
        let certificate = root
            .danger_issue(&authority_template("authority", 2, usage), key.public_key())
            .unwrap();
        let authority = Authority::new(certificate, key.clone()).unwrap();
        let mode = match shape {
            Shape::AuthorityOnly => Mode::AuthorityOnly,
            Shape::OneRa => Mode::OneRa(ra(&authority, "ra", 3, &SIGNING, both())),
            Shape::SplitRa => Mode::SplitRa {
                signing: ra(
                    &authority,
                    "signing",
                    4,
                    &SIGNING,
                    KeyUsage::DIGITAL_SIGNATURE,
                ),
                encryption: ra(
                    &authority,
                    "encryption",
                    5,
                    &ENCRYPTION,
                    KeyUsage::KEY_ENCIPHERMENT,
                ),
            },
        };
        let above = vec![root.certificate().clone()];
        Self {
            endpoint: Endpoint::new(ENDPOINT, authority.clone(), above, mode, compatibility)
                .unwrap(),
            authority,
            root,
            challenges: ChallengeKey::new(
                KeyRing::from(SealingKey::generate()).derive("challenges"),
            ),
        }
    }

    pub(crate) fn authorities(&self) -> Authorities {
        let response = self.endpoint.authorities();
        Authorities::read(response.content_type, &response.body).unwrap()
    }

    pub(crate) fn challenge(&self) -> String {
        self.challenges.mint(ENDPOINT, &claims()).to_string()
    }

    /// A client's enrollment with a challenge of ours.
    pub(crate) fn enrollment<'a>(
        &self,
        authorities: &'a Authorities,
        key: &'a PrivateKey,
        nonce: [u8; 16],
    ) -> Enrollment<'a> {
        let challenge = self.challenge();
        Enrollment::new(
            authorities,
            key,
            &name("device"),
            Some(&challenge),
            nonce,
            now(),
        )
        .unwrap()
    }

    /// A request that is read and verified.
    pub(crate) fn receive(&self, message: &[u8]) -> Request {
        self.endpoint.receive(message).unwrap().request().unwrap()
    }

    /// What the server makes of a message, up to the caller's decision.
    pub(crate) fn hear(&self, message: &[u8]) -> Result<Authenticated, Refusal> {
        self.endpoint
            .receive(message)?
            .request()?
            .authenticate(&self.challenges, now())
    }

    /// A whole server that approves whatever has a challenge: an answer, or why there is none.
    pub(crate) fn serve(&self, message: &[u8]) -> Result<Vec<u8>, RefusalReason> {
        match self.hear(message) {
            Ok(authenticated) => {
                let authorized = authenticated.approve(profile());
                let certificate = self.endpoint.issue(&authorized, SERIAL, now()).unwrap();
                let exchange = authorized.request().exchange();
                Ok(self
                    .endpoint
                    .success(exchange, &certificate, SERVER_NONCE, now())
                    .unwrap())
            }
            Err(Refusal::Failed { exchange, reason }) => Ok(self
                .endpoint
                .failure(
                    &exchange,
                    reason.fail_info(),
                    reason.fail_text(),
                    SERVER_NONCE,
                    now(),
                )
                .unwrap()),
            Err(Refusal::Unanswerable(reason)) => Err(reason),
        }
    }

    /// The reason for which a message is refused with an answer.
    pub(crate) fn refusal(&self, message: &[u8]) -> RefusalReason {
        match self.hear(message) {
            Err(Refusal::Failed { reason, .. }) => reason,
            Err(Refusal::Unanswerable(reason)) => panic!("unanswerable: {reason:?}"),
            Ok(_) => panic!("accepted"),
        }
    }

    pub(crate) fn fail_info(&self, message: &[u8]) -> FailInfo {
        self.refusal(message).fail_info()
    }

    /// The certificate that requests are encrypted to: the first of the bundle that may be.
    pub(crate) fn recipient(&self) -> Certificate {
        let authorities = self.authorities();
        authorities
            .all()
            .iter()
            .find(|certificate| {
                certificate
                    .key_usage()
                    .is_some_and(|usage| usage.contains(KeyUsage::KEY_ENCIPHERMENT))
            })
            .unwrap()
            .clone()
    }
}

pub(crate) fn claims() -> Claims {
    Claims {
        id: [7; 16],
        binding: "session/identity".into(),
        expires: now() + Duration::from_secs(600),
    }
}

/// Nothing of it is what the client asks for.
pub(crate) fn profile() -> CertificateProfile {
    CertificateProfile {
        subject: name("as the server says"),
        alternative_names: Vec::new(),
        key_usage: both(),
        extended_key_usage: vec![ExtendedKeyUsage::ClientAuth],
        lifetime: Duration::from_secs(365 * 86_400),
    }
}

//! What the two profiles of an enrollment say.

use std::time::SystemTime;

use lanyard_mdm::{
    Challenge,
    profile::{
        CertificatePayload, CertificateRole, ConfigurationProfile, Label, MdmPayload, Payload,
        ScepPayload, Settings,
    },
    signed::{self, SigningIdentity},
};
use lanyard_pki::Certificate;
use lanyard_policy::Purpose;
use lanyard_scep::Claims;
use lanyard_store::DeviceFacts;
use uuid::Uuid;

use crate::{Engine, ProfileSigner, Refusal, stable_uuid::stable_uuid};

/// Identifiers stay the same for ever: a device replaces the profile that has the same one.
pub(crate) const PROFILE_SERVICE: &str = "org.lanyard.profile-service";
const INTERIM: &str = "org.lanyard.enrollment.interim";
const ENROLLMENT: &str = "org.lanyard.enrollment";
const IDENTITY_PAYLOAD: &str = "org.lanyard.enrollment.identity";
const MDM_PAYLOAD: &str = "org.lanyard.enrollment.mdm";
const ANCHOR_PAYLOAD: &str = "org.lanyard.enrollment.anchor";

/// How often, and how many seconds apart, a device asks for a certificate that is pending.
const POLLS: u32 = 720;
const SECONDS_BETWEEN_POLLS: u32 = 60;

impl ProfileSigner {
    pub(crate) fn identity(&self) -> SigningIdentity<'_> {
        SigningIdentity {
            key: &self.key,
            certificate: &self.certificate,
            chain: &self.chain,
        }
    }
}

/// What a challenge is for: one purpose within one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChallengeBinding {
    pub(crate) session: Uuid,
    pub(crate) purpose: Purpose,
}

impl ChallengeBinding {
    fn encode(self) -> String {
        format!("{}/{}", self.session, self.purpose.as_str())
    }

    pub(crate) fn decode(text: &str) -> Option<Self> {
        let (session, purpose) = text.split_once('/')?;
        let purpose = [Purpose::OtaInterim, Purpose::Identity]
            .into_iter()
            .find(|known| known.as_str() == purpose)?;
        Some(Self {
            session: Uuid::try_parse(session).ok()?,
            purpose,
        })
    }
}

impl Engine {
    /// The answer to phase 2: nothing but the way to an interim certificate.
    pub(crate) fn interim_profile(
        &self,
        session: Uuid,
        device: &DeviceFacts,
        now: SystemTime,
    ) -> Result<Vec<u8>, Refusal> {
        let identity = self.scep_payload(
            ChallengeBinding {
                session,
                purpose: Purpose::OtaInterim,
            },
            device,
            now,
        );
        let profile = ConfigurationProfile {
            label: self.label(INTERIM, Uuid::new_v4(), "enrollment, step 1 of 2"),
            payloads: vec![Payload {
                label: self.label(IDENTITY_PAYLOAD, Uuid::new_v4(), "interim certificate"),
                settings: Settings::Scep(identity),
            }],
        };
        let document = profile
            .to_xml()
            .map_err(|error| Refusal::internal(&error))?;
        signed::sign(&document, self.setup().signer.identity())
            .map_err(|error| Refusal::internal(&error))
    }

    /// The answer to phase 3: the management profile, encrypted to the certificate of the device and signed by us.
    pub(crate) fn management_profile(
        &self,
        session: Uuid,
        device: &DeviceFacts,
        recipient: &Certificate,
        now: SystemTime,
    ) -> Result<Vec<u8>, Refusal> {
        let Some(topic) = self.enrolling_topic() else {
            return Err(Refusal::unavailable("no push certificate is configured"));
        };
        let identity = Uuid::new_v4();
        let urls = &self.setup().urls;
        let mut mdm = MdmPayload::new(identity, topic.name(), &urls.connect);
        mdm.check_in_url = Some(urls.check_in.clone());
        let scep = self.scep_payload(
            ChallengeBinding {
                session,
                purpose: Purpose::Identity,
            },
            device,
            now,
        );
        let mut payloads: Vec<Payload> = self
            .setup()
            .anchors
            .iter()
            .map(|anchor| self.anchor(anchor))
            .collect();
        payloads.push(Payload {
            label: self.label(IDENTITY_PAYLOAD, identity, "device identity"),
            settings: Settings::Scep(scep),
        });
        payloads.push(Payload {
            label: self.label(
                MDM_PAYLOAD,
                stable_uuid(MDM_PAYLOAD.as_bytes()),
                "device management",
            ),
            settings: Settings::Mdm(Box::new(mdm)),
        });
        let profile = ConfigurationProfile {
            label: self.label(
                ENROLLMENT,
                stable_uuid(ENROLLMENT.as_bytes()),
                "device management",
            ),
            payloads,
        };
        let document = profile
            .to_encrypted_xml(recipient)
            .map_err(|error| Refusal::internal(&error))?;
        signed::sign(&document, self.setup().signer.identity())
            .map_err(|error| Refusal::internal(&error))
    }

    fn scep_payload(
        &self,
        binding: ChallengeBinding,
        device: &DeviceFacts,
        now: SystemTime,
    ) -> ScepPayload {
        let claims = Claims {
            id: rand::random(),
            binding: binding.encode(),
            expires: now + self.setup().lifetimes.challenge,
        };
        let challenge = self
            .setup()
            .challenges
            .mint(self.setup().scep.name(), &claims);
        let mut payload =
            ScepPayload::new(&self.setup().urls.scep, Challenge::new(challenge.as_str()));
        // Where somebody may have to look at it, half a day of polls: by itself, a device gives up after some twenty seconds.
        if !self.hooks().ra.is_empty() {
            payload.retries = Some(POLLS);
            payload.retry_delay = Some(SECONDS_BETWEEN_POLLS);
        }
        payload.name = Some(self.setup().organization.clone());
        // A wish only: the certificate's subject is written from the session, whatever the request says.
        payload.subject = vec![
            vec![("O".to_owned(), self.setup().organization.clone())],
            vec![("CN".to_owned(), device.udid.clone())],
        ];
        payload
    }

    /// Its UUID goes by the certificate: the same anchor stays installed over a renewal.
    fn anchor(&self, certificate: &Certificate) -> Payload {
        Payload {
            label: self.label(
                ANCHOR_PAYLOAD,
                stable_uuid(certificate.der()),
                "server certificate authority",
            ),
            settings: Settings::Certificate(CertificatePayload {
                role: CertificateRole::Root,
                der: certificate.der().to_vec(),
            }),
        }
    }

    fn label(&self, identifier: &str, uuid: Uuid, what: &str) -> Label {
        let organization = &self.setup().organization;
        let mut label = Label::new(identifier, uuid).named(format!("{organization}: {what}"));
        label.organization = Some(organization.clone());
        label
    }
}

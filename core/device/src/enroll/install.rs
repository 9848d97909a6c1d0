//! Phase 3: the same device under its interim certificate, and the profile that only it can read.

use lanyard_mdm::document::{self, Limits};
use lanyard_mdm::ota::DeviceAttributes;
use lanyard_mdm::profile::{
    CertificateRole, Content, MdmPayload, Payload, ReceivedProfile, ScepPayload, Settings,
};
use lanyard_mdm::signed::SignedDocument;
use lanyard_pki::Certificate;
use lanyard_pki::cms::Envelope;
use plist::{Dictionary, Value};
use zeroize::Zeroizing;

use super::StepError;
use super::identify::write_message;
use crate::device::Device;
use crate::factory::Identity;
use crate::model::Profile;

/// Phase 3 is done.
pub struct Delivered {
    /// The profile as it came: signed, its payloads encrypted.
    pub document: Vec<u8>,
    /// The property list that was encrypted: an array of payloads.
    pub payloads: Zeroizing<Vec<u8>>,
    /// What it says.
    pub profile: EnrollmentProfile,
}

/// A profile with an identity and a `com.apple.mdm` payload that goes by it.
#[derive(Debug, Clone)]
pub struct EnrollmentProfile {
    /// As it is listed once it is installed.
    pub listed: Profile,
    /// Anchors of trust.
    pub anchors: Vec<Certificate>,
    /// Where and how to get the identity.
    pub scep: ScepPayload,
    /// How the device is managed.
    pub mdm: MdmPayload,
}

impl Device {
    /// The message of phase 3, signed by the interim identity.
    ///
    /// # Errors
    /// An attribute that cannot be written, or a key that does not work.
    pub fn phase_3_message(
        &self,
        attributes: &DeviceAttributes,
        interim: &Identity,
    ) -> Result<Vec<u8>, StepError> {
        write_message(&attributes.without_challenge(), interim)
    }

    /// Posts the message of phase 3, takes the profile and decrypts it with the interim identity.
    ///
    /// # Errors
    /// The server refuses, or its profile is not to be trusted, not encrypted, encrypted to somebody else, or does not enroll.
    pub async fn fetch_profile(
        &self,
        url: &str,
        message: &[u8],
        interim: &Identity,
    ) -> Result<Delivered, StepError> {
        let answer = self.post_message(url, message).await?;
        let (document, opened) = self.open_document(answer)?;
        let (payloads, profile) = decrypt(&opened, interim)?;
        Ok(Delivered {
            document,
            payloads,
            profile,
        })
    }

    /// Installs the profile but for its identity: lists it and trusts its anchors.
    ///
    /// # Errors
    /// An anchor that cannot be one.
    pub fn install(&mut self, profile: &EnrollmentProfile) -> Result<(), StepError> {
        self.client = self.client.trusting(&profile.anchors)?;
        self.model.install(profile.listed.clone());
        Ok(())
    }
}

/// Opens what the server sends in phase 3: a profile whose payloads are encrypted to this identity.
///
/// # Errors
/// It is not encrypted, or to somebody else, or does not enroll.
pub fn decrypt(
    opened: &SignedDocument,
    identity: &Identity,
) -> Result<(Zeroizing<Vec<u8>>, EnrollmentProfile), StepError> {
    let limits = Limits::default();
    let mut entries = document::read(&opened.content, limits)?;
    let Some(Value::Data(envelope)) = entries.remove("EncryptedPayloadContent") else {
        return Err(StepError::Payloads(
            "an over-the-air profile has EncryptedPayloadContent, of type data",
        ));
    };
    if entries.contains_key("PayloadContent") {
        return Err(StepError::Payloads(
            "an encrypted profile has no PayloadContent beside it",
        ));
    }
    let decrypted = Envelope::parse(&envelope)?.decrypt(&identity.certificate, &identity.key)?;
    let payloads = document::read_array(&decrypted, limits)?;
    entries.insert("PayloadContent".to_owned(), Value::Array(payloads));
    let mut signers = vec![opened.signer.clone()];
    let others = opened.certificates.iter();
    signers.extend(others.filter(|each| **each != opened.signer).cloned());
    Ok((decrypted, EnrollmentProfile::read(&entries, &signers)?))
}

impl EnrollmentProfile {
    /// Takes it out of a profile in clear.
    ///
    /// # Errors
    /// It is no profile, or it does not enroll: it lacks the management payload, or the identity that this names.
    pub fn read(entries: &Dictionary, signers: &[Certificate]) -> Result<Self, StepError> {
        let listed = Profile::of(entries, signers)?;
        let written = Zeroizing::new(document::write(entries)?);
        let received = ReceivedProfile::parse(&written, Limits::default())?;
        let Content::Clear(payloads) = received.content else {
            return Err(StepError::Payloads("the payloads are still encrypted"));
        };
        let mdm = payloads.iter().find_map(|payload| match &payload.settings {
            Settings::Mdm(mdm) => Some(MdmPayload::clone(mdm)),
            _ => None,
        });
        let mdm = mdm.ok_or(StepError::Payloads(
            "an enrollment profile has a com.apple.mdm payload",
        ))?;
        for url in [Some(&mdm.server_url), mdm.check_in_url.as_ref()] {
            if let Some(url) = url.filter(|url| !url.starts_with("https://")) {
                return Err(StepError::NotHttps { url: url.clone() });
            }
        }
        let identity = payloads
            .iter()
            .find(|payload| payload.label.uuid == mdm.identity)
            .map(|payload| &payload.settings);
        let Some(Settings::Scep(scep)) = identity else {
            return Err(StepError::Payloads(
                "IdentityCertificateUUID names a com.apple.security.scep payload of the same profile",
            ));
        };
        Ok(EnrollmentProfile {
            listed,
            anchors: anchors(&payloads)?,
            scep: scep.clone(),
            mdm,
        })
    }
}

fn anchors(payloads: &[Payload]) -> Result<Vec<Certificate>, StepError> {
    let certificates = payloads
        .iter()
        .filter_map(|payload| match &payload.settings {
            Settings::Certificate(anchor) if anchor.role == CertificateRole::Root => {
                Some(&anchor.der)
            }
            _ => None,
        });
    certificates
        .map(|der| Ok(Certificate::from_der(der)?))
        .collect()
}

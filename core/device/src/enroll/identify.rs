//! Phase 2: the device says which one it is, under its factory identity, and learns where to get a certificate.

use lanyard_mdm::document::Limits;
use lanyard_mdm::ota::{self, DeviceAttributes, REQUEST_CONTENT_TYPE};
use lanyard_mdm::profile::{Content, ReceivedProfile, ScepPayload, Settings};
use lanyard_pki::Digest;

use super::StepError;
use crate::device::Device;
use crate::factory::Identity;
use crate::http::{Answer, Call};

/// Phase 2 is done.
#[derive(Debug, Clone)]
pub struct Identified {
    /// Where and how to get the interim certificate.
    pub scep: ScepPayload,
    /// The interim profile as it came, signed.
    pub document: Vec<u8>,
}

impl Device {
    /// The message of phase 2, signed by the factory identity with its chain inside.
    ///
    /// # Errors
    /// An attribute that cannot be written, or a key that does not work.
    pub fn phase_2_message(&self, attributes: &DeviceAttributes) -> Result<Vec<u8>, StepError> {
        write_message(attributes, &self.factory)
    }

    /// Posts the message of phase 2 and takes the interim profile.
    ///
    /// # Errors
    /// The server refuses, or its profile is not to be trusted, or not one SCEP payload.
    pub async fn identify(&self, url: &str, message: &[u8]) -> Result<Identified, StepError> {
        let answer = self.post_message(url, message).await?;
        let (document, opened) = self.open_document(answer)?;
        let profile = ReceivedProfile::parse(&opened.content, Limits::default())?;
        let Content::Clear(payloads) = profile.content else {
            return Err(StepError::Payloads("phase 2 is answered in clear"));
        };
        let mut payloads = payloads.into_iter().map(|payload| payload.settings);
        match (payloads.next(), payloads.next()) {
            (Some(Settings::Scep(scep)), None) => Ok(Identified { scep, document }),
            _ => Err(StepError::Payloads(
                "an interim profile has exactly one payload, com.apple.security.scep",
            )),
        }
    }

    pub(super) async fn post_message(
        &self,
        url: &str,
        message: &[u8],
    ) -> Result<Answer, StepError> {
        let call =
            Call::post(url, REQUEST_CONTENT_TYPE, message.to_vec()).user_agent("Profile/1.0");
        Ok(self.client.send(&call).await?)
    }
}

pub(super) fn write_message(
    attributes: &DeviceAttributes,
    identity: &Identity,
) -> Result<Vec<u8>, StepError> {
    let Identity {
        key,
        certificate,
        chain,
    } = identity;
    Ok(ota::write_message(
        attributes,
        key,
        certificate,
        chain,
        Digest::Sha256,
    )?)
}

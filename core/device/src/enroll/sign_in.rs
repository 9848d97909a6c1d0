//! Phase 1: the person signs in, and the device is asked who it is.

use std::time::SystemTime;

use http::header::AUTHORIZATION;
use lanyard_mdm::document::Limits;
use lanyard_mdm::ota::ProfileService;
use lanyard_mdm::profile::CONTENT_TYPE;
use lanyard_mdm::signed::{self, SignedDocument};

use super::{Credentials, StepError};
use crate::device::Device;
use crate::http::{Answer, Call};
use crate::trust;

/// Phase 1 is done.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// What the device is asked, and by whom.
    pub service: ProfileService,
    /// The document as it came, signed.
    pub document: Vec<u8>,
}

impl Device {
    /// Opens the link as the person does in a browser, signs in by HTTP Basic and takes the Profile Service document.
    ///
    /// # Errors
    /// The server refuses, or its document is not one, not signed, or not signed by somebody trusted.
    pub async fn sign_in(
        &self,
        link: &str,
        credentials: &Credentials,
    ) -> Result<SignedIn, StepError> {
        if !link.starts_with("https://") {
            return Err(StepError::NotHttps {
                url: link.to_owned(),
            });
        }
        let call = Call::get(link)
            .header(AUTHORIZATION, &credentials.basic())
            .user_agent("Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) simulated");
        let answer = self.client.send(&call).await?;
        let (document, opened) = self.open_document(answer)?;
        let service = ProfileService::parse(&opened.content, Limits::default())?;
        Ok(SignedIn { service, document })
    }

    /// A signed profile out of an answer: as it came, and opened.
    pub(super) fn open_document(
        &self,
        answer: Answer,
    ) -> Result<(Vec<u8>, SignedDocument), StepError> {
        let Answer {
            content_type, body, ..
        } = answer.ok()?;
        // Anything else is shown by the browser, and not handed to Settings.
        if content_type != CONTENT_TYPE {
            return Err(StepError::ContentType {
                expected: CONTENT_TYPE,
                found: content_type,
            });
        }
        let opened = signed::open(&body)?;
        trust::verify(&opened, self.client.anchors(), SystemTime::now())?;
        Ok((body, opened))
    }
}

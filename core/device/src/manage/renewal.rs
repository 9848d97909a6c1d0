//! A new enrollment profile on a device that is managed already, as InstallProfile brings it.

use std::time::SystemTime;

use lanyard_mdm::document::{self, Limits};
use lanyard_mdm::signed;

use super::Managed;
use crate::enroll::{self, EnrollmentProfile, Management, StepError};
use crate::trust;

impl Managed {
    /// Replaces the enrollment profile: a new identity, Authenticate and TokenUpdate, the same place.
    pub(super) async fn reenroll(&mut self, profile: &[u8]) -> Result<(), StepError> {
        let opened = signed::open(profile)?;
        trust::verify(&opened, self.device.client.anchors(), SystemTime::now())?;
        let entries = document::read(&opened.content, Limits::default())?;
        let profile = EnrollmentProfile::read(&entries, &opened.certificates)?;
        let (new, old) = (Management::from(&profile.mdm), &self.membership.management);
        if (&new.topic, &new.connect_url, &new.check_in_url)
            != (&old.topic, &old.connect_url, &old.check_in_url)
        {
            return Err(StepError::Payloads(
                "a renewed profile must keep Topic, ServerURL and CheckInURL",
            ));
        }
        self.device.client = self.device.client.trusting(&profile.anchors)?;
        self.journal.write_anchors(self.device.client.anchors())?;
        let (identity, management) =
            enroll::check_in(&mut self.device, &profile, &self.told, &mut self.journal).await?;
        self.membership.identity = identity;
        self.membership.management = management;
        // From here on there is no way back: should TokenUpdate fail, it is due until it does not.
        self.journal.state.token_sha256 = None;
        enroll::send_tokens(&self.device, &self.membership, &mut self.journal).await
    }
}

//! Check-in: the device says that it is managed, how to wake it, and that it leaves.

use lanyard_mdm::checkin::{self, Authenticate, CheckIn, Message, TokenUpdate};
use lanyard_mdm::{DeviceToken, PushMagic, Sender, UnlockToken, signature};

use super::{Management, StepError};
use crate::device::Device;
use crate::factory::Identity;
use crate::http::{Answer, Call};
use crate::model::Facts;

impl Management {
    /// Authenticate.
    ///
    /// # Errors
    /// A fact that XML cannot carry.
    pub fn authenticate(&self, sender: Sender, facts: &Facts) -> Result<CheckIn, StepError> {
        let some = |text: &String| Some(text.clone());
        let message = Message::Authenticate(Authenticate {
            topic: self.topic.clone(),
            device_name: some(&facts.device_name),
            model: some(&facts.model),
            model_name: some(&facts.model_name),
            os_version: some(&facts.os_version),
            build_version: some(&facts.build_version),
            product_name: some(&facts.product_name),
            serial_number: some(&facts.serial_number),
            imei: facts.imei.clone(),
            meid: facts.meid.clone(),
        });
        Ok(CheckIn::new(sender, message)?)
    }

    /// TokenUpdate, with all three tokens.
    ///
    /// # Errors
    /// A text that XML cannot carry.
    pub fn token_update(
        &self,
        sender: Sender,
        token: DeviceToken,
        magic: PushMagic,
        unlock_token: UnlockToken,
    ) -> Result<CheckIn, StepError> {
        let message = Message::TokenUpdate(TokenUpdate {
            topic: self.topic.clone(),
            token,
            push_magic: magic,
            unlock_token: Some(unlock_token),
            awaiting_configuration: Some(false),
        });
        Ok(CheckIn::new(sender, message)?)
    }

    /// CheckOut.
    ///
    /// # Errors
    /// A text that XML cannot carry.
    pub fn check_out(&self, sender: Sender) -> Result<CheckIn, StepError> {
        let topic = Some(self.topic.clone());
        Ok(CheckIn::new(sender, Message::CheckOut { topic })?)
    }

    /// A request to this server, signed where the profile wants it.
    pub(crate) fn call(
        &self,
        url: &str,
        content_type: &str,
        body: &[u8],
        identity: &Identity,
    ) -> Result<Call, StepError> {
        let call = Call::put(url, content_type, body.to_vec()).user_agent("MDM/1.0");
        if !self.sign_message {
            return Ok(call);
        }
        let signature = signature::create(body, &identity.key, &identity.certificate)?;
        let header = http::HeaderName::from_static(signature::HEADER);
        Ok(call.header(header, &signature))
    }
}

impl Device {
    /// Sends a check-in message, again where no answer comes: the server knows one that it has seen.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub async fn check_in(
        &self,
        management: &Management,
        identity: &Identity,
        message: &CheckIn,
    ) -> Result<Answer, StepError> {
        let url = &management.check_in_url;
        let call = management.call(url, checkin::CONTENT_TYPE, &message.to_xml(), identity)?;
        Ok(self.client.send_repeatedly(&call).await?.ok()?)
    }
}

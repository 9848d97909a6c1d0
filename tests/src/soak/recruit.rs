//! Devices that enroll, as many at the same time as there are recruiters.

use std::{sync::Arc, time::SystemTime};

use http::HeaderName;
use lanyard_device::{
    apns::Subscription,
    device::Device,
    enroll::{Management, StepError},
    factory::Identity,
    http::Call,
};
use lanyard_engine::ErrorChain;
use lanyard_mdm::{
    Challenge, PushMagic, UnlockToken,
    checkin::{self, CheckIn},
    profile::ScepPayload,
    signature,
};
use lanyard_pki::{Certificate, Name, NameAttribute, PrivateKey};
use lanyard_scep::client::{Answer, Authorities, Enrollment};
use rand::{RngExt as _, rngs::StdRng};

use super::{
    World,
    life::Managed,
    oracle::Complaint,
    wire::{Interrupted, Kind, increment, pause},
};

const PKI_MESSAGE: &str = "application/x-pki-message";

/// Of requests for certificates that were answered at once, one in so many is sent again.
const SENT_AGAIN: u32 = 4;

/// Enrolls one device after the other, with keys that are made once: two RSA keys a device would be most of the work.
pub(super) struct Recruiter {
    pub(super) world: Arc<World>,
    pub(super) interim: PrivateKey,
    pub(super) identity: PrivateKey,
    pub(super) chance: StdRng,
}

/// A certificate that was issued, and the request that it was issued for.
struct Issued<'a> {
    certificate: Certificate,
    request: Enrollment<'a>,
    url: String,
    /// How often the server had been killed by then.
    kills: usize,
}

/// Why an enrollment is begun again.
enum Stopped {
    /// There was no answer, and what was asked cannot be asked again.
    Interrupted,
    /// It went wrong.
    Broken(String),
}

impl From<Interrupted> for Stopped {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

impl From<StepError> for Stopped {
    fn from(error: StepError) -> Self {
        Self::Broken(ErrorChain(&error).to_string())
    }
}

impl Recruiter {
    /// Enrolls one device all the way. Where its person would have to sign in again, it begins again.
    pub(super) async fn recruit(&mut self, seed: [u8; 16]) -> Managed {
        loop {
            match self.attempt(seed).await {
                Ok(managed) => return managed,
                Err(Stopped::Interrupted) => {}
                Err(Stopped::Broken(said)) => {
                    self.world.oracle.complain(Complaint::Broken { said });
                }
            }
            pause(&mut self.chance).await;
        }
    }

    async fn attempt(&mut self, seed: [u8; 16]) -> Result<Managed, Stopped> {
        let world = Arc::clone(&self.world);
        let device = Device::new(seed, world.factory.clone(), world.client.clone());
        let signed_in = device.sign_in(&world.link, &world.credentials);
        let signed_in = world.step(Kind::SignIn, &mut self.chance, signed_in);
        let service = signed_in.await?.service;

        let attributes = device.attributes(&service.attributes, service.challenge.clone());
        let message = device.phase_2_message(&attributes)?;
        let identified = device.identify(&service.url, &message);
        let identified = world.step(Kind::Identify, &mut self.chance, identified);
        let scep = identified.await?.scep;

        let key = self.interim.clone();
        let issued = self.certify(&world.authorities, &scep, &key).await?;
        let interim = identity(&key, issued.certificate);
        let message = device.phase_3_message(&attributes, &interim)?;
        let delivered = device.fetch_profile(&service.url, &message, &interim);
        let delivered = world.step(Kind::Profile, &mut self.chance, delivered);
        let profile = delivered.await?.profile;

        let key = self.identity.clone();
        let scep = &profile.scep;
        let issued = self.certify(&world.authorities, scep, &key).await?;
        let identity = identity(&key, issued.certificate.clone());
        let management = Management::from(&profile.mdm);
        let sender = device.sender().map_err(StepError::from)?;
        let authenticate = management.authenticate(sender.clone(), &device.model.facts)?;
        self.check_in(&management, &identity, &authenticate).await?;
        let topic = &management.topic;
        let subscription = Subscription::connect(&world.courier, device.udid(), topic).await;
        let subscription = subscription.map_err(StepError::from)?;
        let magic = PushMagic::new(format!("{:032X}", self.chance.random::<u128>()));
        let unlock_token = UnlockToken::new(device.model.unlock_token.expose());
        let token = subscription.token();
        let update = management.token_update(sender, token, magic.clone(), unlock_token)?;
        self.check_in(&management, &identity, &update).await?;

        let certificate = hex::encode(identity.certificate.fingerprint());
        world.oracle.enrolled(device.udid(), certificate);
        if issued.kills != world.kills() {
            self.expect_again(&issued).await?;
        }
        Ok(Managed {
            model: device.model,
            identity,
            management,
            subscription,
            magic,
            unsent: None,
            put_off: false,
        })
    }

    /// Gets a certificate. Where an answer fails to come, the same request goes again, as Apple's client does.
    async fn certify<'a>(
        &mut self,
        authorities: &'a Authorities,
        payload: &ScepPayload,
        key: &'a PrivateKey,
    ) -> Result<Issued<'a>, Stopped> {
        let subject = Name::new(&[(NameAttribute::CommonName, "soak")]);
        let challenge = payload.challenge.as_ref().map(Challenge::expose);
        let (nonce, now) = (self.chance.random(), SystemTime::now());
        let request = Enrollment::new(authorities, key, &subject, challenge, nonce, now);
        let request = request.map_err(StepError::from)?;
        let url = format!("{}?operation=PKIOperation", payload.url);
        let (certificate, repeated) = self.ask(&request, &url).await?;
        let issued = Issued {
            certificate,
            request,
            url,
            kills: self.world.kills(),
        };
        if repeated || self.chance.random_ratio(1, SENT_AGAIN) {
            self.expect_again(&issued).await?;
        }
        Ok(issued)
    }

    async fn ask(
        &mut self,
        request: &Enrollment<'_>,
        url: &str,
    ) -> Result<(Certificate, bool), Stopped> {
        let call = Call::post(url, PKI_MESSAGE, request.message().to_vec());
        let answered = self
            .world
            .answered(Kind::Certificate, &call, &mut self.chance);
        let (answer, repeated) = answered.await;
        match request.receive(&answer.body).map_err(StepError::from)? {
            Answer::Issued(certificate) => Ok((certificate, repeated)),
            other => Err(Stopped::Broken(format!("not issued: {other:?}"))),
        }
    }

    /// The very same request gets the very same certificate.
    async fn expect_again(&mut self, issued: &Issued<'_>) -> Result<(), Stopped> {
        increment(&self.world.traffic.sent_again);
        let (again, _) = self.ask(&issued.request, &issued.url).await?;
        if again != issued.certificate {
            let whom = format!("the request at {}", issued.url);
            self.world.oracle.complain(Complaint::IssuedTwice { whom });
        }
        Ok(())
    }

    async fn check_in(
        &mut self,
        management: &Management,
        identity: &Identity,
        message: &CheckIn,
    ) -> Result<(), Stopped> {
        let url = &management.check_in_url;
        let call = signed(url, checkin::CONTENT_TYPE, &message.to_xml(), identity)?;
        self.world
            .answered(Kind::CheckIn, &call, &mut self.chance)
            .await;
        Ok(())
    }
}

/// A request of a managed device, with its `Mdm-Signature`.
pub(super) fn signed(
    url: &str,
    content_type: &str,
    body: &[u8],
    identity: &Identity,
) -> Result<Call, StepError> {
    let header = signature::create(body, &identity.key, &identity.certificate)?;
    let name = HeaderName::from_static(signature::HEADER);
    Ok(Call::put(url, content_type, body.to_vec()).header(name, &header))
}

fn identity(key: &PrivateKey, certificate: Certificate) -> Identity {
    Identity {
        key: key.clone(),
        certificate,
        chain: Vec::new(),
    }
}

//! Over-the-air enrollment from the device's side, phase by phase.
//!
//! [`Managed::enroll`](crate::manage::Managed::enroll) goes all the way and does on the way what the device was told to do wrong. Each phase is also a function of
//! [`Device`] by itself, with the message apart from its sending, so that a test can stop between any two, send something twice, or
//! change it:
//!
//! | phase | functions |
//! |---|---|
//! | 1: the person signs in | [`Device::sign_in`] |
//! | 2: the device says who it is | [`Device::phase_2_message`], [`Device::identify`] |
//! | interim certificate | [`Device::certify`] |
//! | 3: the profile | [`Device::phase_3_message`], [`Device::fetch_profile`], [`Device::install`] |
//! | identity certificate | [`Device::certify`] |
//! | check-in | [`Management`] writes the messages, [`Device::check_in`] sends them |

mod certify;
mod check_in;
mod error;
mod identify;
mod install;
mod sign_in;

use lanyard_mdm::{PushMagic, Sender, UnlockToken};
use uuid::Uuid;

pub use error::{EnrollError, StepError};
pub use identify::Identified;
pub use install::{Delivered, EnrollmentProfile, decrypt};
pub use sign_in::SignedIn;

pub use crate::credentials::Credentials;
pub use crate::management::Management;
pub use crate::phase::Phase;

use crate::apns::{Courier, Subscription};
use crate::device::Device;
use crate::factory::Identity;
use crate::journal::{Journal, Status};
use crate::mischief::{Mischief, OTHER_UDID, Told};

/// An enrollment to make.
pub struct Invitation<'a> {
    /// The link that the person got.
    pub link: &'a str,
    /// What the person types.
    pub credentials: &'a Credentials,
    /// The way to the simulated APNs.
    pub courier: &'a Courier,
    /// What the device does wrong.
    pub told: &'a Told,
}

/// What makes a device managed.
pub(crate) struct Membership {
    /// Who it is to the server.
    pub(crate) identity: Identity,
    /// Where the server is.
    pub(crate) management: Management,
    /// What a push must say.
    pub(crate) magic: PushMagic,
    /// Where pushes come from.
    pub(crate) subscription: Subscription,
}

/// Goes through all phases. Each is in the journal before the next one begins.
pub(crate) async fn go_through(
    device: &mut Device,
    invitation: &Invitation<'_>,
    journal: &mut Journal,
) -> Result<Membership, StepError> {
    let told = invitation.told;
    journal.write_factory(&device.factory)?;

    let credentials = told.credentials(invitation.credentials);
    journal.state.person = Some(credentials.user.clone());
    let signed_in = device.sign_in(invitation.link, &credentials).await?;
    let service = &signed_in.service;
    journal.reach(Phase::SignIn, &device.model, &service.url)?;

    let attributes = device.attributes(&service.attributes, service.challenge.clone());
    let attributes = told.attributes_of_phase_2(attributes);
    let mut message = device.phase_2_message(&attributes)?;
    told.alter(Mischief::AlterPhase2, &mut message);
    if told.to(Mischief::ReplayPhase2) {
        device.identify(&service.url, &message).await?;
    }
    let identified = device.identify(&service.url, &message).await?;
    journal.reach(Phase::Identify, &device.model, &identified.scep.url)?;

    let scep = told.scep(identified.scep);
    let alter = |message: &mut Vec<u8>| told.alter(Mischief::AlterCsr, message);
    let waits = |polls| journal.wait_for(Phase::InterimCertificate, &polls);
    let interim = device.certify_watched(&scep, alter, waits).await?;
    journal.write_interim(&interim)?;
    let subject = interim.certificate.subject().to_string();
    journal.reach(Phase::InterimCertificate, &device.model, &subject)?;

    let attributes = told.attributes_of_phase_3(attributes);
    let mut message = device.phase_3_message(&attributes, &interim)?;
    told.alter(Mischief::AlterPhase3, &mut message);
    if told.to(Mischief::ReplayPhase3) {
        device
            .fetch_profile(&service.url, &message, &interim)
            .await?;
    }
    let delivered = device
        .fetch_profile(&service.url, &message, &interim)
        .await?;
    let profile = delivered.profile;
    let identifier = &profile.listed.identifier;
    journal.write_profile(identifier, &delivered.document, &delivered.payloads)?;
    device.install(&profile)?;
    journal.write_anchors(device.client.anchors())?;
    journal.reach(Phase::Profile, &device.model, &profile.listed.identifier)?;

    let (identity, management) = check_in(device, &profile, told, journal).await?;
    if told.to(Mischief::NoTokenUpdate) {
        return Err(StepError::ToldToStop);
    }
    let magic = PushMagic::new(Uuid::new_v4().to_string().to_uppercase());
    let subscription =
        Subscription::connect(invitation.courier, device.udid(), &management.topic).await?;
    let membership = Membership {
        identity,
        management,
        magic,
        subscription,
    };
    send_tokens(device, &membership, journal).await?;
    Ok(membership)
}

/// The second certificate, and Authenticate with it.
pub(crate) async fn check_in(
    device: &mut Device,
    profile: &EnrollmentProfile,
    told: &Told,
    journal: &mut Journal,
) -> Result<(Identity, Management), StepError> {
    let waits = |polls| journal.wait_for(Phase::IdentityCertificate, &polls);
    let identity = device.certify_watched(&profile.scep, |_| {}, waits).await?;
    journal.write_managed(&identity)?;
    device.client = device.client.showing(&identity)?;
    let subject = identity.certificate.subject().to_string();
    journal.reach(Phase::IdentityCertificate, &device.model, &subject)?;

    let mut management = Management::from(&profile.mdm);
    management.sign_message &= !told.to(Mischief::UnsignedCheckIn);
    let sender = match told.to(Mischief::OtherUdidCheckIn) {
        true => Sender::device(OTHER_UDID)?,
        false => device.sender()?,
    };
    let message = management.authenticate(sender, &device.model.facts)?;
    device.check_in(&management, &identity, &message).await?;
    let url = management.check_in_url.clone();
    journal.state.management = Some(management.clone());
    journal.reach(Phase::Authenticate, &device.model, &url)?;
    Ok((identity, management))
}

/// TokenUpdate, with all three tokens.
pub(crate) async fn send_tokens(
    device: &Device,
    membership: &Membership,
    journal: &mut Journal,
) -> Result<(), StepError> {
    let Membership {
        identity,
        management,
        magic,
        subscription,
    } = membership;
    let token = subscription.token();
    let unlock_token = UnlockToken::new(device.model.unlock_token.expose());
    let sender = device.sender()?;
    let message = management.token_update(sender, token.clone(), magic.clone(), unlock_token)?;
    device.check_in(management, identity, &message).await?;
    journal.set_tokens(&token, magic);
    journal.state.status = Status::Enrolled;
    journal.reach(Phase::TokenUpdate, &device.model, &management.topic)?;
    Ok(())
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

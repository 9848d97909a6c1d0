//! What an engine is made of.

use std::{num::NonZeroU32, time::Duration};

use lanyard_mdm::ota::FactoryTrust;
use lanyard_pki::{Certificate, PrivateKey};
use lanyard_policy::{
    AnyHook, Binding, DirectoryChain, EnrollmentChain, EventSink, HookPoint, RaChain,
    SelectionChain,
};
use lanyard_push::Apns;
use lanyard_scep::{ChallengeKey, Endpoint};
use lanyard_store::{Store, StoreError};

use crate::{Ceilings, Rates, Schedule};

/// Everything that an [`Engine`](crate::Engine) works with.
pub struct Setup {
    /// Where things are remembered.
    pub store: Store,
    /// Who decides at first; [`Engine::replace_hooks`](crate::Engine::replace_hooks) changes that.
    pub hooks: Hooks,
    /// The SCEP endpoint of devices.
    pub scep: Endpoint,
    /// With what its challenges are minted.
    pub challenges: ChallengeKey,
    /// Who signs what devices install.
    pub signer: ProfileSigner,
    /// Anchors that the final profile makes a device trust: the TLS root where it is not a public one.
    pub anchors: Vec<Certificate>,
    /// Which factory identities are recognised.
    pub factory: FactoryTrust,
    /// What a device without one gets.
    pub device_authority: DeviceAuthority,
    /// The ways to APNs, one a topic, of which new devices get the first; without one nobody can enroll, because the profile needs it.
    /// [`Engine::replace_push`](crate::Engine::replace_push) changes them.
    pub push: Vec<Apns>,
    /// How many devices a second this node wakes at most: they all come at once.
    pub pushes_per_second: NonZeroU32,
    /// Whether devices are told to sign what they send; where they show their certificate in TLS, they need not.
    pub sign_messages: bool,
    /// Where devices find us.
    pub urls: Urls,
    /// Shown to persons, and O in certificates.
    pub organization: String,
    /// How long things last.
    pub lifetimes: Lifetimes,
    /// How often somebody may try to sign in.
    pub rates: Rates,
}

/// Who answers the questions: chains of native and sandboxed hooks.
#[derive(Default)]
pub struct Hooks {
    /// Who is this person?
    pub directory: DirectoryChain,
    /// May this person enroll this device?
    pub enrollment: EnrollmentChain,
    /// May this certificate be issued?
    pub ra: RaChain,
    /// Which command next?
    pub selection: SelectionChain,
    /// Who hears of what happened?
    pub events: Vec<Binding<dyn EventSink>>,
    /// When do which of them hear of a tick?
    pub schedules: Vec<(String, Schedule)>,
    /// The policy revision that binds them, if one does.
    pub revision: Option<i64>,
    /// What may they issue?
    pub ceilings: Ceilings,
    /// Who is on trial: asked beside the others, and nothing comes of it.
    pub shadows: Vec<Shadow>,
}

impl Hooks {
    /// Those on trial that hear of what happens.
    pub(crate) fn event_shadows(&self) -> impl Iterator<Item = &Shadow> {
        let all = self.shadows.iter();
        all.filter(|shadow| shadow.hook.point() == HookPoint::Event)
    }

    /// Everybody who is told of what happens, by name.
    pub(crate) fn event_listeners(&self) -> impl Iterator<Item = &str> {
        let bound = self.events.iter().map(|binding| binding.name.as_str());
        bound.chain(self.event_shadows().map(|shadow| shadow.name.as_str()))
    }
}

/// A binding on trial.
#[derive(Clone)]
pub struct Shadow {
    /// Its name.
    pub name: String,
    /// Who is asked.
    pub hook: AnyHook,
}

/// The identity under whose signature profiles go out.
pub struct ProfileSigner {
    /// Its key.
    pub key: PrivateKey,
    /// Its certificate.
    pub certificate: Certificate,
    /// What stands above the certificate, root last and included.
    pub chain: Vec<Certificate>,
}

/// What to do about a device that no known factory authority vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceAuthority {
    /// It is a fact for enrollment-approval.
    Record,
    /// It is refused.
    Require,
}

/// Absolute URLs, as they stand in profiles. All are https.
#[derive(Clone, Debug)]
pub struct Urls {
    /// Phases 2 and 3.
    pub profile_service: String,
    /// SCEP.
    pub scep: String,
    /// Check-in.
    pub check_in: String,
    /// Commands.
    pub connect: String,
}

/// How long things last.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// From a sign-in to the installed profile. Default: an hour, for people who look for the Settings app.
    pub session: Duration,
    /// An SCEP challenge, which a device uses within seconds of getting it. Default: an hour.
    pub challenge: Duration,
    /// The interim certificate of over-the-air enrollment. Default: a day.
    pub interim: Duration,
    /// The management identity. Default: a year.
    pub identity: Duration,
    /// How long before its end the server begins to remind of it. Default: 30 days.
    pub reminder: Duration,
    /// A command on record, from its end on. Default: 90 days.
    pub commands: Duration,
    /// A decision on record. Default: 90 days.
    pub decisions: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        Self {
            session: HOUR,
            challenge: HOUR,
            interim: 24 * HOUR,
            identity: 365 * 24 * HOUR,
            reminder: 30 * 24 * HOUR,
            commands: 90 * 24 * HOUR,
            decisions: 90 * 24 * HOUR,
        }
    }
}

/// An engine cannot be put together so.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No push certificate has a topic that devices enrolled with.
    #[error(
        "the push certificate's topic is {configured}, but {devices} devices and users are enrolled with {enrolled}: with another topic not one of them could be woken again. Renew the old certificate (\"Renew\", not \"Create\", at identity.apple.com), or name it under push.further as well"
    )]
    Topic {
        /// The certificates'.
        configured: String,
        /// The devices'.
        enrolled: String,
        /// How many channels would be lost.
        devices: u64,
    },
    /// The store does not answer.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
}

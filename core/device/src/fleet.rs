//! Many devices at once, each in a task of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

use crate::apns::Courier;
use crate::device::Device;
use crate::enroll::{Credentials, EnrollError, Invitation, StepError};
use crate::factory::{AuthorityError, Factory};
use crate::http::Client;
use crate::journal::{Journal, JournalError};
use crate::manage::{Managed, Until};
use crate::mischief::Told;
use crate::model::Behaviour;

/// What all devices of a fleet have in common.
pub struct Fleet {
    /// The way to the simulated APNs.
    pub courier: Courier,
    /// Where each device has its directory.
    pub state: PathBuf,
    /// What they do wrong.
    pub told: Told,
    /// How they deviate in answering commands.
    pub behaviours: Vec<Behaviour>,
    /// How long they stay; not at all if it is `None`.
    pub stay: Option<Until>,
    /// Hears each step of each device, as a line for people.
    pub echo: fn(&str),
}

/// Devices to be enrolled.
pub struct Recruits {
    /// Where they come from.
    pub factory: Factory,
    /// The link that people got.
    pub link: String,
    /// What people type.
    pub credentials: Credentials,
    /// Their connections, with the authorities that they trust at first.
    pub client: Client,
    /// The UDID of the first one, if it is not to be made up. A device that has a directory already enrolls again as itself.
    pub udid: Option<String>,
    /// How many.
    pub devices: usize,
    /// How many of them enroll at the same time.
    pub concurrency: usize,
}

/// What became of a fleet.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Devices that came through their enrollment, or went on being managed.
    pub managed: usize,
    /// What stopped the others.
    pub failures: Vec<Failure>,
}

/// What stopped one device.
#[derive(Debug, thiserror::Error)]
#[error("device {device}")]
pub struct Failure {
    /// Its UDID.
    pub device: String,
    /// Why.
    #[source]
    pub reason: Reason,
}

/// Why a device stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It was not made.
    #[error("it cannot be made")]
    Made(#[from] AuthorityError),
    /// It has no directory.
    #[error("it has no directory")]
    Journal(#[from] JournalError),
    /// It did not enroll.
    #[error("it did not enroll")]
    Enroll(#[from] EnrollError),
    /// It could not go on being managed.
    #[error("it could not go on")]
    Managed(#[from] StepError),
    /// Its task ended before it had.
    #[error("its task broke")]
    Task(#[from] JoinError),
}

impl Fleet {
    /// Enrolls devices and has them managed as long as they stay.
    pub async fn enroll(self, recruits: Recruits) -> Outcome {
        let places = Arc::new(Semaphore::new(recruits.concurrency.max(1)));
        let (fleet, recruits) = (Arc::new(self), Arc::new(recruits));
        let mut tasks = JoinSet::new();
        for number in 0..recruits.devices {
            let (fleet, recruits) = (Arc::clone(&fleet), Arc::clone(&recruits));
            let places = Arc::clone(&places);
            tasks.spawn(async move {
                let place = places.acquire_owned().await;
                let managed = fleet.recruit(&recruits, number).await?;
                drop(place);
                fleet.stay(managed).await
            });
        }
        gather(tasks).await
    }

    /// Has all devices go on that are under management by their directories.
    ///
    /// # Errors
    /// The directory of the fleet cannot be read.
    pub async fn resume(self) -> io::Result<Outcome> {
        let fleet = Arc::new(self);
        let mut tasks = JoinSet::new();
        for folder in folders(&fleet.state)? {
            let fleet = Arc::clone(&fleet);
            tasks.spawn(async move {
                let device = folder
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let told = fleet.told.clone();
                let resumed = Managed::resume(&folder, &fleet.courier, told, fleet.echo).await;
                match resumed {
                    Ok(mut managed) => {
                        let behaviours = &mut managed.device_mut().model.behaviours;
                        behaviours.extend(fleet.behaviours.iter().cloned());
                        fleet.stay(managed).await
                    }
                    Err(StepError::Journal(JournalError::NotEnrolled)) => Ok(Stayed::No),
                    Err(error) => Err(Failure {
                        device,
                        reason: error.into(),
                    }),
                }
            });
        }
        Ok(gather(tasks).await)
    }

    async fn recruit(&self, recruits: &Arc<Recruits>, number: usize) -> Result<Managed, Failure> {
        let wanted = recruits.udid.as_deref().filter(|_| number == 0);
        let name = wanted.unwrap_or("(not made yet)").to_owned();
        let device = self.make(recruits, wanted).await;
        let mut device = device.map_err(|reason| Failure {
            device: name,
            reason,
        })?;
        device.model.behaviours.clone_from(&self.behaviours);
        let udid = device.udid().to_owned();
        let enrolled = async {
            let journal = Journal::begin(&self.state, &device.model, self.echo)?;
            let invitation = Invitation {
                link: &recruits.link,
                credentials: &recruits.credentials,
                courier: &self.courier,
                told: &self.told,
            };
            Ok(Managed::enroll(device, &invitation, journal).await?)
        };
        enrolled.await.map_err(|reason| Failure {
            device: udid,
            reason,
        })
    }

    /// A new device; or, if its UDID was given and it has a directory, that one as it comes out of being erased.
    async fn make(&self, recruits: &Arc<Recruits>, wanted: Option<&str>) -> Result<Device, Reason> {
        let client = recruits.client.clone();
        if let Some(folder) = wanted.map(|udid| self.state.join(udid))
            && folder.is_dir()
        {
            let journal = Journal::open(&folder, self.echo)?;
            let facts = journal.state.model.facts.clone();
            return Ok(Device::with(facts, journal.read_factory()?, client));
        }
        let issuing = Arc::clone(recruits);
        // Its key takes a tenth of a second and more.
        let issue = move || issuing.factory.issue(SystemTime::now());
        let factory = tokio::task::spawn_blocking(issue).await??;
        let mut device = Device::new(rand::random(), factory, client);
        if let Some(udid) = wanted {
            udid.clone_into(&mut device.model.facts.udid);
        }
        Ok(device)
    }

    async fn stay(&self, managed: Managed) -> Result<Stayed, Failure> {
        let Some(until) = self.stay else {
            return Ok(Stayed::Yes);
        };
        let device = managed.device().udid().to_owned();
        match managed.run(until).await {
            Ok(_) => Ok(Stayed::Yes),
            Err(error) => Err(Failure {
                device,
                reason: error.into(),
            }),
        }
    }
}

/// Whether a device was under management at all.
enum Stayed {
    Yes,
    No,
}

async fn gather(mut tasks: JoinSet<Result<Stayed, Failure>>) -> Outcome {
    let mut outcome = Outcome::default();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(Stayed::Yes)) => outcome.managed += 1,
            Ok(Ok(Stayed::No)) => {}
            Ok(Err(failure)) => {
                tracing::error!("{}", crate::enroll::chain(&failure));
                outcome.failures.push(failure);
            }
            Err(error) => outcome.failures.push(Failure {
                device: "(unknown)".to_owned(),
                reason: error.into(),
            }),
        }
    }
    outcome
}

fn folders(state: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(state)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

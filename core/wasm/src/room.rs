//! Engines by the size of what runs in them.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::calls::Calls;
use crate::error::LoadError;
use crate::host::{Capacity, Outside, PluginHost, StartError};
use crate::plugin::{Plugin, Terms};

/// How much room an instance of a plugin needs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Room {
    /// That of a component that was compiled from Rust: one memory of at most 64 MiB, in a file of at most 4 MiB.
    #[default]
    Ordinary,
    /// That of a component which brings the interpreter of its language along, such as JavaScript or Python: memories of at most
    /// 256 MiB, in a file of at most 32 MiB, for eight calls at the same time.
    Large,
}

impl Room {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Ordinary, Self::Large];

    /// Its name, as policies write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Large => "large",
        }
    }

    /// The capacity of an engine for such plugins.
    pub fn capacity(self) -> Capacity {
        match self {
            Self::Ordinary => Capacity::default(),
            Self::Large => Capacity {
                instances: 8,
                memory_bytes: 256 << 20,
                // Interpreters bring a memory of their own, and Python some thirty modules, one for each of its libraries.
                memories: 4,
                modules: 64,
                tables: 16,
                component_bytes: 32 << 20,
                ..Capacity::default()
            },
        }
    }
}

/// The hosts of a server: one for each [`Room`], of which the large one starts with the first plugin that needs it.
pub struct Rooms {
    ordinary: PluginHost,
    large: OnceLock<PluginHost>,
}

impl Rooms {
    /// Starts the engine of the ordinary room. Neither reaches anything outside, and nothing is kept.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn new() -> Result<Self, StartError> {
        PluginHost::new(Room::Ordinary.capacity()).map(Self::from)
    }

    /// The same, from which plugins reach this.
    #[must_use]
    pub fn reaching(self, outside: Outside) -> Self {
        self.ordinary.reaching(outside).into()
    }

    /// The same, which keep what they compile.
    #[must_use]
    pub fn caching(self, cache: Cache) -> Self {
        self.ordinary.caching(cache).into()
    }

    /// What is counted of the calls of plugins, in all rooms.
    pub fn calls(&self) -> &Calls {
        self.ordinary.calls()
    }

    /// What bindings can grant by name.
    pub fn outside(&self) -> &Outside {
        self.ordinary.outside()
    }

    /// Loads a component into a room: [`PluginHost::load`].
    ///
    /// # Errors
    /// [`LoadError`]
    pub async fn load(&self, room: Room, bytes: Vec<u8>) -> Result<Plugin, LoadError> {
        self.host(room)?.load(bytes).await
    }

    /// Loads a component into the smallest room that it fits into.
    ///
    /// # Errors
    /// [`LoadError`]
    pub async fn fit(&self, bytes: Vec<u8>) -> Result<(Plugin, Room), LoadError> {
        let room = match self.load(Room::Ordinary, bytes.clone()).await {
            Err(LoadError::NoRoom { .. } | LoadError::TooLarge { .. }) => Room::Large,
            loaded => return Ok((loaded?, Room::Ordinary)),
        };
        Ok((self.load(room, bytes).await?, room))
    }

    /// Examines a component in the smallest room that it fits into: [`PluginHost::examine`].
    ///
    /// # Errors
    /// [`StartError`], if there is no engine for it.
    pub async fn examine(
        &self,
        bytes: Vec<u8>,
        terms: &Terms,
    ) -> Result<(Option<(Plugin, Room)>, Vec<LoadError>), StartError> {
        let is_large = |problem: &LoadError| {
            matches!(
                problem,
                LoadError::NoRoom { .. } | LoadError::TooLarge { .. }
            )
        };
        let (mut room, mut examined) = (
            Room::Ordinary,
            self.ordinary.examine(bytes.clone(), terms).await,
        );
        if examined.1.iter().any(is_large) {
            room = Room::Large;
            examined = self.host(room)?.examine(bytes, terms).await;
        }
        let (plugin, problems) = examined;
        Ok((plugin.map(|plugin| (plugin, room)), problems))
    }

    fn host(&self, room: Room) -> Result<&PluginHost, StartError> {
        match (room, self.large.get()) {
            (Room::Ordinary, _) => Ok(&self.ordinary),
            (Room::Large, Some(large)) => Ok(large),
            (Room::Large, None) => {
                let large = self.ordinary.beside(room.capacity())?;
                Ok(self.large.get_or_init(|| large))
            }
        }
    }
}

/// The host of the ordinary room; the large one will be [beside](PluginHost::beside) it.
impl From<PluginHost> for Rooms {
    fn from(ordinary: PluginHost) -> Self {
        Self {
            ordinary,
            large: OnceLock::new(),
        }
    }
}
